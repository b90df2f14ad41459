"""Examples to batches."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from official import failures
from official.data import base, errors

if TYPE_CHECKING:
    import tensorflow as tf

Preprocess = Callable[..., tuple[Any, dict[str, Any]]]
"""`Task.preprocess`: `(example, training=..., seed=...)` to an image and targets."""


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


def training_batches(
    dataset: base.Dataset,
    source: Input,
    preprocess: Preprocess,
    *,
    seed: int,
    start_step: int = 0,
) -> "tf.data.Dataset":
    """Endless `(images, targets)`, the same whenever and wherever it is asked for.

    Batch k holds positions `k * batch_size` and on of the dataset's stream, augmented
    with seeds made of `seed` and the position alone.

    Args:
        start_step: Number of the first batch, for a run that goes on.

    Raises:
        failures.DataError: If the data is missing or faulty; an error met later arrives
            wrapped, see `errors.clear`.
    """
    import tensorflow as tf

    first, second = np.array([seed % 2**64], np.uint64).view(np.int32)

    def augment(example: base.Example) -> tuple[Any, dict[str, Any]]:
        own_seed = tf.random.experimental.stateless_fold_in(
            tf.constant([first, second], tf.int32), example["position"]
        )
        return preprocess(example, training=True, seed=own_seed)

    examples = dataset.load(
        source.split,
        seed=seed,
        start=start_step * source.batch_size,
        cache=source.cache,
        limit=source.limit,
    )
    examples = examples.map(
        augment, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    batches = examples.batch(source.batch_size, drop_remainder=True)
    return batches.prefetch(tf.data.AUTOTUNE)


def evaluation_batches(
    dataset: base.Dataset, source: Input, preprocess: Preprocess
) -> "tf.data.Dataset":
    """`(images, targets)` of every example once, in order; the last batch may be short.

    Targets of differing sizes are padded at the bottom and right: maps of integers with
    `IGNORE_LABEL`, others with zeros.

    Raises:
        failures.DataError: As `training_batches`.
    """
    import tensorflow as tf

    examples = dataset.load(source.split, cache=source.cache, limit=source.limit).map(
        lambda example: preprocess(example, training=False),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
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
    import tensorflow as tf

    examples = dataset.load(source.split, seed=seed, limit=source.limit)
    images = examples.map(
        lambda example: preprocess(example, training=False)[0],
        num_parallel_calls=tf.data.AUTOTUNE,
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
    with errors.clear():
        yield from dataset.pick(
            source.split, [number * size // count for number in range(count)]
        )


def _padding(spec: "tf.TensorSpec") -> Any:
    import tensorflow as tf

    if spec.dtype == tf.string:
        return tf.constant("")
    is_map = spec.dtype.is_integer and spec.shape.rank >= 2
    return tf.constant(base.IGNORE_LABEL if is_map else 0, spec.dtype)
