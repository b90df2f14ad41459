"""Examples to batches."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from official import failures
from official.data import base, errors

if TYPE_CHECKING:
    import tensorflow as tf

Preprocess = Callable[..., tuple[Any, dict[str, Any]]]
"""`Task.preprocess`: `(example, training=..., seed=...)` to an image and targets."""

Mix = Callable[..., tuple[Any, dict[str, Any]]]
"""`Task.mix`: `(images, targets, seed=...)` of a batch to images and targets."""

_BATCHES = -1  # what seeds of batches are made of: never the position of an example


@dataclasses.dataclass(frozen=True, kw_only=True)
class Input:
    """Which examples are read, and how they are batched.

    Attributes:
        split: As the data set calls it.
        batch_size: Examples in a batch, over all replicas together.
        limit: Use only this many examples, the first of the split; None uses all.
        cache: Keep decoded examples in memory.
    """

    split: str
    batch_size: int
    limit: int | None = None
    cache: bool = False

    def __post_init__(self):
        for name in ("batch_size", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise failures.RequestError(f"{name} = {value}: want 1 or more")

    def count(self, dataset: base.Dataset) -> int:
        """Number of examples that are used.

        Raises:
            failures.DataError: If the split is unknown, missing or empty.
        """
        size = dataset.size(self.split)
        return size if self.limit is None else min(size, self.limit)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Share:
    """The part of every batch that one of several hosts feeds.

    Attributes:
        number: Of the host, from 0.
        hosts: That share a batch evenly.
        replicas: Of this host, each of which takes an element of the dataset.
    """

    number: int
    hosts: int
    replicas: int


def training_batches(
    dataset: base.Dataset,
    source: Input,
    preprocess: Preprocess,
    *,
    seed: int,
    mix: Mix | None = None,
    whole: bool = True,
    undecoded: bool = False,
    start_step: int = 0,
    share: Share | None = None,
) -> "tf.data.Dataset":
    """Endless `(images, targets)`, the same whenever and wherever it is asked for.

    Batch k holds positions `k * batch_size` and on of the dataset's stream, augmented
    with seeds made of `seed` and the position alone, then mixed with a seed made of
    `seed` and k.

    Args:
        mix: What is done to a batch; None does nothing.
        whole: `mix` has to see a whole batch; else a part of one will do.
        undecoded: `preprocess` decodes what it needs of an image by itself.
        start_step: Number of the first batch, for a run that goes on.
        share: Give only this host's part of each batch, in elements for one replica
            each; the parts of all hosts together are the batch. Other examples are not
            read, unless `mix` has to see them.

    Raises:
        failures.DataError: If the data is missing or faulty; an error met later arrives
            wrapped, see `errors.clear`.
    """
    import tensorflow as tf

    words = np.array([seed % 2**64], np.uint64).view(np.int32)
    fold = tf.random.experimental.stateless_fold_in

    def augment(example: base.Example) -> tuple[Any, dict[str, Any]]:
        own_seed = fold(tf.constant(words), example["position"])
        return preprocess(example, training=True, seed=own_seed)

    size, keep = source.batch_size, None
    whole = whole and mix is not None
    if share is not None and not whole:
        size //= share.hosts
        keep = functools.partial(_is_own, share, size)
    examples = _examples(
        dataset,
        source,
        seed=seed,
        start=start_step * source.batch_size,
        keep=keep,
        undecoded=undecoded,
    )
    batches = _mapped(examples, augment).batch(size, drop_remainder=True)
    if mix is not None:
        batch_seed = fold(tf.constant(words), _BATCHES)
        mixed = functools.partial(_mixed, mix, batch_seed)
        batches = _mapped(batches.enumerate(start_step), mixed)
    if share is not None:
        batches = _divided(batches, share, whole=whole)
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options())


def options() -> "tf.data.Options":
    """Of training: images are worked on side by side, each by one thread.

    To divide each, too, takes a fifth more of the cores.
    """
    import tensorflow as tf

    found = tf.data.Options()
    found.threading.max_intra_op_parallelism = 1
    return found


def _is_own(share: Share, size: int, position: "tf.Tensor") -> "tf.Tensor":
    """Whether a position lies in the part of its batch, `size` examples, of a host."""
    return position % (size * share.hosts) // size == share.number


def _divided(
    batches: "tf.data.Dataset", share: Share, *, whole: bool
) -> "tf.data.Dataset":
    """Elements for the replicas of a host, of whole batches or of its parts of them."""
    import tensorflow as tf

    parts = share.replicas * share.hosts if whole else share.replicas
    first = share.replicas * share.number if whole else 0

    def divide(*batch: Any) -> "tf.data.Dataset":
        def own(value: "tf.Tensor") -> "tf.Tensor":
            length, *others = value.shape
            rows = tf.reshape(value, [parts, length // parts, *others])
            return rows[first : first + share.replicas]

        return tf.data.Dataset.from_tensor_slices(tf.nest.map_structure(own, batch))

    return batches.flat_map(divide)


def evaluation_batches(
    dataset: base.Dataset, source: Input, preprocess: Preprocess
) -> "tf.data.Dataset":
    """`(images, targets)` of every example once, in order; the last batch may be short.

    Targets of differing sizes are padded at the end, maps at the bottom and right: maps
    of integers with `IGNORE_LABEL`, others (lists of boxes and of their classes, too)
    with zeros.

    Raises:
        failures.DataError: As `training_batches`.
    """
    import tensorflow as tf

    examples = _mapped(
        _examples(dataset, source),
        lambda example: preprocess(example, training=False),
    )
    batches = examples.padded_batch(
        source.batch_size,
        padding_values=tf.nest.map_structure(_padding, examples.element_spec),
    )
    return batches.prefetch(tf.data.AUTOTUNE)


def calibration_images(
    dataset: base.Dataset,
    source: Input,
    preprocess: Preprocess,
    *,
    count: int,
    seed: int,
) -> Iterator[np.ndarray]:
    """`count` images float32 `[1, H, W, 3]` as evaluation would see them.

    They are drawn at random from the split (give the training split, so that nothing is
    tuned to evaluation data), none twice before all were drawn.

    Raises:
        failures.DataError: If the data is missing or faulty.
    """
    source = dataclasses.replace(source, cache=False)
    images = _mapped(
        _examples(dataset, source, seed=seed),
        lambda example: preprocess(example, training=False)[0],
    )
    with errors.clear():
        yield from images.batch(1).take(count).as_numpy_iterator()


def picked(dataset: base.Dataset, source: Input, count: int) -> Iterable[base.Example]:
    """`count` examples, or all if they are fewer, spread evenly over what is used.

    Raises:
        failures.DataError: If the data is missing or faulty.
    """
    size = source.count(dataset)
    count = min(count, size)
    yield from at(dataset, source, [number * size // count for number in range(count)])


def at(
    dataset: base.Dataset, source: Input, places: Sequence[int]
) -> Iterable[base.Example]:
    """The examples at some places of what is used, increasing.

    Raises:
        failures.DataError: If the data is missing or faulty.
    """
    constant = _constant(dataset)
    if not places:
        return
    with errors.clear():
        for example in dataset.pick(source.split, places):
            yield {**example, **constant}


def _mixed(
    mix: Mix, seed: "tf.Tensor", number: "tf.Tensor", batch: tuple[Any, dict[str, Any]]
) -> tuple[Any, dict[str, Any]]:
    import tensorflow as tf

    own_seed = tf.random.experimental.stateless_fold_in(seed, number)
    return mix(*batch, seed=own_seed)


def _examples(
    dataset: base.Dataset,
    source: Input,
    *,
    seed: int | None = None,
    start: int = 0,
    keep: base.Keep | None = None,
    undecoded: bool = False,
) -> "tf.data.Dataset":
    """The examples of a source, their labels within the classes."""
    examples = dataset.load(
        source.split,
        seed=seed,
        start=start,
        cache=source.cache,
        limit=source.limit,
        keep=keep,
        undecoded=undecoded,
    )
    for key, check in _CHECKS.items():
        if key in examples.element_spec:
            checked = functools.partial(_checked, key, check, dataset.num_classes)
            examples = _mapped(examples, checked)
    constant = _constant(dataset)
    if constant:
        examples = _mapped(examples, lambda example: {**example, **constant})
    return examples


def _constant(dataset: base.Dataset) -> base.Example:
    """What all examples of a data set have in common."""
    if not dataset.thing_ids:
        return {}
    return {"thing_ids": np.array(dataset.thing_ids, np.int32)}


def _checked(
    key: str,
    check: Callable[[int, np.ndarray, bytes], np.ndarray],
    classes: int,
    example: base.Example,
) -> base.Example:
    import tensorflow as tf

    value, name = example[key], example.get("image_id", "an example")
    # Python is asked for words alone: a call takes longer than it takes to look.
    passed = tf.cond(
        _allowed(key, value, classes),
        lambda: value,
        lambda: tf.numpy_function(
            functools.partial(check, classes),
            [value, name],
            value.dtype,
            stateful=False,
        ),
    )
    passed.set_shape([classes] if key == "labels" else value.shape)
    return {**example, key: passed}


def _allowed(key: str, value: "tf.Tensor", classes: int) -> "tf.Tensor":
    """Whether all is well with an example, at a glance."""
    import tensorflow as tf

    if key == "labels":
        alike = tf.reduce_all(tf.shape(value) == [classes])
        return alike & tf.reduce_all(value <= 1)  # a NaN fails, too
    low = -1 if key == "label" else 0
    return tf.reduce_all((low <= value) & (value < classes))


def require_labels(example: base.Example, classes: int) -> None:
    """Refuses an example of which training would.

    Args:
        example: Its values arrays or what NumPy takes for some.

    Raises:
        failures.DataError: If a class is none.
    """
    name = str(example.get("image_id", "an example")).encode()
    for key, check in _CHECKS.items():
        if key in example:
            check(classes, np.asarray(example[key]), name)


def _label(classes: int, label: np.ndarray, name: bytes) -> np.ndarray:
    if not -1 <= label < classes:
        raise failures.DataError(
            f"{name.decode()}: label {label}; want 0..{classes - 1}, or -1 for an "
            "image without one"
        )
    return label


def _labels(classes: int, labels: np.ndarray, name: bytes) -> np.ndarray:
    if labels.shape != (classes,):
        raise failures.DataError(
            f"{name.decode()}: {labels.size} labels; want one for each of the "
            f"{classes} classes"
        )
    if not (labels <= 1).all():  # a NaN fails, too
        raise failures.DataError(
            f"{name.decode()}: labels {labels.tolist()}; want 0 or 1 for each class, "
            "or less than 0 where it is not known"
        )
    return labels


def _box_classes(classes: int, ids: np.ndarray, name: bytes) -> np.ndarray:
    wrong = ids[(ids < 0) | (ids >= classes)]
    if wrong.size:
        raise failures.DataError(
            f"{name.decode()}: a box of class {wrong[0]}; want 0..{classes - 1}"
        )
    return ids


_CHECKS = {"label": _label, "labels": _labels, "box_classes": _box_classes}


def _mapped(
    examples: "tf.data.Dataset", function: Callable[..., Any]
) -> "tf.data.Dataset":
    """`examples.map`, in order; what a task refuses arrives as it was raised."""
    import tensorflow as tf

    # Nothing of ours branches on a tensor, and rewriting the functions as if it did
    # takes a second before the first step.
    function = tf.autograph.experimental.do_not_convert(function)
    with errors.clear():
        return examples.map(
            function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )


def _padding(spec: "tf.TensorSpec") -> Any:
    import tensorflow as tf

    if spec.dtype == tf.string:
        return tf.constant("")
    is_map = spec.dtype.is_integer and spec.shape.rank >= 2
    return tf.constant(base.IGNORE_LABEL if is_map else 0, spec.dtype)
