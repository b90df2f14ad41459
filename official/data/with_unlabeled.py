"""Unlabelled photographs among the labelled ones of a data set."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from official import failures
from official.data import base

if TYPE_CHECKING:
    import tensorflow as tf

_WHOLE = 10**6  # shares are counted in millionths: whole numbers add up exactly
_ENDLESS = np.iinfo(np.int64).max // _WHOLE
_UNLABELLED = {
    "label": -1,
    "labels": -1,
    "semantic": base.IGNORE_LABEL,
    "instance": 0,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class WithUnlabeled(base.Dataset):
    """A data set whose training split has unlabelled photographs mixed in.

    For distillation, where a teacher labels what nobody has. Of any examples that
    follow one another, `share` are unlabelled, as evenly spread as can be; a pass
    ends with the labelled examples. Which photograph stands at a position is a
    function of seed and position alone. Of the unlabelled data set only the images are
    used: what it says about them becomes -1, or `IGNORE_LABEL` in a map.

    Attributes:
        labeled: Gives the classes, and all other splits as they are.
        unlabeled: Gives the photographs, such as `Photos(data_dir="...")`.
        share: Of the examples that are unlabelled, above 0 and below 1.
        split: The training split of `labeled`.
        unlabeled_split: The split of `unlabeled`.
    """

    labeled: base.Dataset
    unlabeled: base.Dataset
    share: float = 0.5
    split: str = "train"
    unlabeled_split: str = "train"

    def __post_init__(self) -> None:
        if not 0 < self._millionths() < _WHOLE:
            raise failures.RequestError(
                f"WithUnlabeled: share = {self.share}; want above 0 and below 1"
            )

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.labeled.class_names

    @property
    def palette(self) -> Sequence[base.Color]:
        return self.labeled.palette

    @property
    def thing_ids(self) -> tuple[int, ...]:
        return self.labeled.thing_ids

    @property
    def drawn(self) -> bool:
        return self.labeled.drawn

    def size(self, split: str) -> int:
        """Number of examples; of the training split, those that make up a pass."""
        labeled = self.labeled.size(split)
        if split != self.split:
            return labeled
        self.unlabeled.size(self.unlabeled_split)
        return labeled * _WHOLE // (_WHOLE - self._millionths())

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
        """As `Dataset.load`; the training split is always decoded."""
        if split != self.split:
            return self.labeled.load(
                split,
                seed=seed,
                start=start,
                cache=cache,
                limit=limit,
                keep=keep,
                undecoded=undecoded,
            )
        mixed = self._mixed(seed=seed, start=start, cache=cache, limit=limit)
        if keep is None:
            return mixed
        # The streams of both have to go on in step, so that all are read.
        return mixed.filter(lambda example: keep(example["position"]))

    def pick(self, split: str, indices: Sequence[int]) -> Iterable[base.Example]:
        if split != self.split:
            return self.labeled.pick(split, indices)
        return super().pick(split, indices)

    def stored(
        self, split: str, indices: Sequence[int], *, maps: bool = True
    ) -> Iterable[base.Example]:
        """As `Dataset.stored`, of the training split only the labelled examples."""
        return self.labeled.stored(split, indices, maps=maps)

    def tried(
        self, split: str, indices: Sequence[int], *, decoded: bool
    ) -> Iterable[base.Example | failures.DataError]:
        """As `Dataset.tried`, of the labelled examples."""
        return self.labeled.tried(split, indices, decoded=decoded)

    def stored_size(self, split: str) -> int:
        return self.labeled.stored_size(split)

    def _mixed(
        self, *, seed: int | None, start: int, cache: bool, limit: int | None
    ) -> "tf.data.Dataset":
        import tensorflow as tf

        size = self.size(self.split)
        size = size if limit is None else min(limit, size)
        before = self._unlabeled_of(start)
        labeled = self.labeled.load(
            self.split,
            seed=seed,
            start=start - before,
            cache=cache,
            limit=size - self._unlabeled_of(size),
        )
        photographs = self._photographs(
            seed, before, cache=cache, count=max(1, self._unlabeled_of(size))
        )
        spec = labeled.element_spec
        photographs = photographs.map(lambda example: _blank(example, spec))
        end = size if seed is None else _ENDLESS
        positions = tf.data.Dataset.range(start, end)
        examples = tf.data.Dataset.choose_from_datasets(
            [labeled, photographs],
            positions.map(lambda p: self._unlabeled_of(p + 1) - self._unlabeled_of(p)),
        )
        return tf.data.Dataset.zip(positions, examples).map(
            lambda position, example: {**example, "position": position}
        )

    def _photographs(
        self, seed: int | None, start: int, *, cache: bool, count: int
    ) -> "tf.data.Dataset":
        """Without a seed the first `count`; fewer than that come round again."""
        present = self.unlabeled.size(self.unlabeled_split)
        # A pass over the labelled examples may take other photographs than the last.
        limit = count if seed is None else None
        begin = start if seed is not None else start % present
        stream = self.unlabeled.load(
            self.unlabeled_split, seed=seed, start=begin, cache=cache, limit=limit
        )
        if seed is None and begin + count > present:
            again = self.unlabeled.load(self.unlabeled_split, cache=cache)
            stream = stream.concatenate(again.repeat())
        return stream

    def _millionths(self) -> int:
        return round(self.share * _WHOLE)

    def _unlabeled_of(self, count: Any) -> Any:
        """How many of the first `count` examples of the stream are unlabelled."""
        return count * self._millionths() // _WHOLE


def _blank(example: base.Example, spec: dict[str, "tf.TensorSpec"]) -> base.Example:
    """An example with the keys of a specification, of which only the image is known."""
    import tensorflow as tf

    known = {key: example[key] for key in ("image", "image_id", "position")}
    size = tf.shape(example["image"])[:2]
    return known | {
        key: tf.fill(
            size if spec[key].shape.rank == 2 else spec[key].shape,
            tf.constant(value, spec[key].dtype),
        )
        for key, value in _UNLABELLED.items()
        if key in spec
    }
