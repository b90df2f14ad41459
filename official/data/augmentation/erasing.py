"""A rectangle of noise in the image."""

import dataclasses

import tensorflow as tf

from official.data.augmentation import base

_TRIES = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomErasing(base.Augmentation):
    """Random Erasing with random values (RE-R).

    Zhong et al., 2017, https://arxiv.org/abs/1708.04896; the defaults are those of
    TensorFlow Model Garden. Of 10 rectangles the first that fits into the image is
    taken; where none does, the image stays.

    Attributes:
        probability: Of an image to be changed.
        area_range: Smallest and largest area of the rectangle, as a share of the
            image's; drawn uniformly.
        min_aspect: Smallest height to width; the largest is its inverse. The logarithm
            is drawn uniformly.
    """

    probability: float = 0.25
    area_range: tuple[float, float] = (0.02, 1 / 3)
    min_aspect: float = 0.3

    def __post_init__(self):
        base.require_share("probability", self.probability)
        low, high = self.area_range
        if not 0.0 < low <= high <= 1.0:
            raise ValueError(
                f"area_range {self.area_range}: want two growing shares in 0..1"
            )
        if not 0.0 < self.min_aspect <= 1.0:
            raise ValueError(f"min_aspect {self.min_aspect}: want more than 0, up to 1")

    def __call__(self, image: tf.Tensor, *, seed: tf.Tensor) -> tf.Tensor:
        chance, shape, place, noise = tf.unstack(tf.random.split(seed, 4))
        size = self._size(tf.shape(image)[:2], shape)
        wanted = tf.random.stateless_uniform([], chance) < self.probability
        erased = tf.cond(
            wanted & tf.reduce_all(size > 0),
            lambda: _erase(image, size, place=place, noise=noise),
            lambda: tf.identity(image),
        )
        return tf.ensure_shape(erased, image.shape)

    def _size(self, image_size: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Height and width int32 `[2]` of the rectangle; zeros if none fits."""
        draws = tf.random.stateless_uniform([2, _TRIES], seed)
        low, high = self.area_range
        area = (low + (high - low) * draws[0]) * tf.cast(
            tf.reduce_prod(image_size), tf.float32
        )
        half = tf.sqrt(tf.pow(self.min_aspect, 2.0 * draws[1] - 1.0))
        sides = tf.stack([tf.sqrt(area) * half, tf.sqrt(area) / half], axis=1)
        sides = tf.cast(tf.round(sides), tf.int32)
        fits = tf.reduce_all((sides > 0) & (sides <= image_size), axis=1)
        first = sides[tf.argmax(fits)]
        return tf.where(tf.reduce_any(fits), first, 0)


def _erase(
    image: tf.Tensor, size: tf.Tensor, *, place: tf.Tensor, noise: tf.Tensor
) -> tf.Tensor:
    image_size = tf.shape(image)[:2]
    room = tf.cast(image_size - size + 1, tf.float32)
    start = tf.cast(tf.random.stateless_uniform([2], place) * room, tf.int32)
    shape = tf.concat([size, [3]], axis=0)
    values = tf.random.stateless_uniform(shape, noise, 0.0, 256.0)
    rows = tf.range(start[0], start[0] + size[0])
    columns = tf.range(start[1], start[1] + size[1])
    indices = tf.stack(tf.meshgrid(rows, columns, indexing="ij"), axis=-1)
    return tf.tensor_scatter_nd_update(image, indices, tf.floor(values))
