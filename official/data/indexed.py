"""Datasets whose examples can be read one by one, in any order."""

import abc
import dataclasses
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from official import failures
from official.data import base, encoded, memory

if TYPE_CHECKING:
    import tensorflow as tf

ELEMENTS: dict[str, tuple[str, tuple[int | None, ...]]] = {
    "image": ("uint8", (None, None, 3)),
    "encoded": ("string", (3,)),
    "image_size": ("int32", (2,)),
    "semantic": ("int32", (None, None)),
    "instance": ("int32", (None, None)),
    "label": ("int32", ()),
    "labels": ("float32", (None,)),
    "boxes": ("float32", (None, 4)),
    "box_classes": ("int32", (None,)),
    "box_kinds": ("int32", (None,)),
    "box_areas": ("float32", (None,)),
    "image_id": ("string", ()),
}
"""Type and shape of what `IndexedDataset.load` may give."""

_ENDLESS = np.iinfo(np.int64).max
_READERS = 4  # threads
_AHEAD = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class IndexedDataset(base.Dataset):
    """A dataset given by a list of records and a function that reads one.

    Attributes:
        threads: That read side by side; None is as many as are found to be fastest. Of
            what Python draws 1: more threads only take Python from each other.
    """

    threads: ClassVar[int | None] = None

    @abc.abstractmethod
    def records(self, split: str) -> Sequence[Any]:
        """What there is to read, checked as far as is cheap.

        Called once for a split; the answer is kept while the program runs.

        Raises:
            failures.DataError: If the split is unknown, missing, empty or faulty.
        """

    @abc.abstractmethod
    def read(self, record: Any) -> dict[str, Any]:
        """The example of a record, keys of `ELEMENTS`; called from several threads.

        An image that is a file is given as `encoded.Encoded`; `load` decodes it.

        Raises:
            failures.DataError: If its files are missing or faulty.
        """

    def glance(self, record: Any) -> dict[str, Any]:
        """As `read`; override it to leave out maps that are files of their own.

        Raises:
            failures.DataError: As `read`.
        """
        return self.read(record)

    def size(self, split: str) -> int:
        return len(kept_records(self, split))

    def load(
        self,
        split: str,
        *,
        seed: int | None = None,
        start: int = 0,
        cache: bool = False,
        limit: int | None = None,
        keep: base.Keep | None = None,
        undecoded: bool = False,
    ) -> "tf.data.Dataset":
        import tensorflow as tf

        records = kept_records(self, split)[:limit]
        form = _undecoded if undecoded and not cache else _decoded
        # The first example tells the keys, and bad data fails here, not in a thread.
        keys = tuple(form(self.read(records[0])))
        get: Callable[[int], list[Any]] = functools.partial(
            _arrays, self, records, keys, form
        )
        if cache:
            memory.require(
                _bytes_of_example(self, split, limit) * len(records),
                what=f"cache = True for the {len(records)} examples of split {split!r}",
                way_out="set cache = False, or a limit",
            )
            get = _Cached(get)

        shapes = {key: ELEMENTS[key][1] for key in keys}
        shapes["labels"] = (self.num_classes,)

        def fetch(position: int) -> list[Any]:
            return get(_index(len(records), seed, position))

        @tf.autograph.experimental.do_not_convert
        def element(position: "tf.Tensor") -> base.Example:
            # Declared stateless: with deterministic ops switched on, tf.data would call
            # a stateful function for one example at a time.
            values = tf.numpy_function(
                fetch,
                [position],
                [tf.as_dtype(ELEMENTS[key][0]) for key in keys],
                stateful=False,
            )
            for key, value in zip(keys, values, strict=True):
                value.set_shape(shapes[key])
            return {**dict(zip(keys, values, strict=True)), "position": position}

        end = len(records) if seed is None else _ENDLESS
        positions = tf.data.Dataset.range(start, end)
        if keep is not None:
            positions = positions.filter(keep)
        return positions.map(
            element,
            num_parallel_calls=self.threads or tf.data.AUTOTUNE,
            deterministic=True,
        )

    def pick(self, split: str, indices: Sequence[int]) -> Iterator[base.Example]:
        """As `Dataset.pick`; reads these examples and no others."""
        records = kept_records(self, split)
        for index in indices:
            example = _decoded(self.read(records[index]))
            arrays = {key: _array(key, value) for key, value in example.items()}
            yield {**arrays, "position": np.int64(index)}

    def stored(
        self, split: str, indices: Sequence[int], *, maps: bool = True
    ) -> Iterator[base.Example]:
        """As `Dataset.stored`; in threads, for folders may lie far away."""
        read = self.read if maps else self.glance
        records = kept_records(self, split)
        yield from _in_threads(read, records, indices, count=self.threads)

    def tried(
        self, split: str, indices: Sequence[int], *, decoded: bool
    ) -> Iterator[base.Example | failures.DataError]:
        """As `Dataset.tried`."""

        def attempt(record: Any) -> base.Example | failures.DataError:
            try:
                example = self.read(record) if decoded else self.glance(record)
                if decoded:
                    return _decoded(example)
                _ = example["image"].shape  # of a file: reads its head
            except failures.DataError as error:
                return error
            return example

        records = kept_records(self, split)
        yield from _in_threads(attempt, records, indices, count=self.threads)


def _in_threads(
    call: Callable[[Any], Any],
    records: Sequence[Any],
    indices: Sequence[int],
    *,
    count: int | None,
) -> Iterator[Any]:
    with futures.ThreadPoolExecutor(max_workers=count or _READERS) as pool:
        # A few at a time: all of them need not fit into memory.
        for start in range(0, len(indices), _AHEAD):
            chosen = [records[i] for i in indices[start : start + _AHEAD]]
            yield from pool.map(call, chosen)


@functools.lru_cache(maxsize=16)
def kept_records(dataset: IndexedDataset, split: str) -> Sequence[Any]:
    """The records of a split, from memory where they have been asked for before."""
    records = dataset.records(split)
    if not records:
        raise failures.DataError(f"split {split!r} of {dataset} has no example")
    return records


def _index(size: int, seed: int | None, position: int) -> int:
    if seed is None:
        return int(position)
    return int(_permutation(size, seed, position // size)[position % size])


@functools.lru_cache(maxsize=8)
def _permutation(size: int, seed: int, pass_number: int) -> np.ndarray:
    """The order of one pass over `size` examples: a function of the arguments alone."""
    return np.random.default_rng((seed % 2**64, pass_number)).permutation(size)


Form = Callable[[base.Example], base.Example]


def _decoded(example: base.Example) -> base.Example:
    image = example["image"]
    if isinstance(image, encoded.Encoded):
        return {**example, "image": image.decode()}
    return example


def _undecoded(example: base.Example) -> base.Example:
    """As it is where the image is no file."""
    image = example["image"]
    if not isinstance(image, encoded.Encoded):
        return example
    others = {key: value for key, value in example.items() if key != "image"}
    stored = [image.data, image.name.encode(), image.kind]
    return {"encoded": stored, "image_size": image.shape[:2], **others}


def _arrays(
    dataset: IndexedDataset,
    records: Sequence[Any],
    keys: tuple[str, ...],
    form: Form,
    index: int,
) -> list[Any]:
    example = form(dataset.read(records[index]))
    return [_array(key, example[key]) for key in keys]


def _array(key: str, value: Any) -> Any:
    dtype = ELEMENTS[key][0]
    if dtype == "string":
        # As objects: numpy's own strings end before a zero byte.
        return value.encode() if isinstance(value, str) else np.array(value, object)
    return np.asarray(value, dtype)


class _Cached:
    """Keeps what `get` gave, by index: one memory for all passes and orders."""

    def __init__(self, get: Callable[[int], list[Any]]):
        self._get = get
        self._kept: dict[int, list[Any]] = {}
        self._lock = threading.Lock()

    def __call__(self, index: int) -> list[Any]:
        with self._lock:
            kept = self._kept.get(index)
        if kept is None:
            kept = self._get(index)
            with self._lock:
                self._kept[index] = kept
        return kept


@functools.lru_cache(maxsize=8)
def _bytes_of_example(dataset: IndexedDataset, split: str, limit: int | None) -> float:
    """Decoded, in the mean of a few; a training asks for one split several times."""
    count = len(kept_records(dataset, split)[:limit])
    few = 1 if dataset.drawn else 5
    sample = np.unique(np.linspace(0, count - 1, num=few).astype(int))
    arrays = [v for e in dataset.pick(split, sample.tolist()) for v in e.values()]
    return sum(np.asarray(array).nbytes for array in arrays) / len(sample)
