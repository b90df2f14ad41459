"""The image operations of AutoAugment and RandAugment, in TensorFlow.

Images are float32 `[H, W, 3]`, RGB, 0..255, and so are results. Where PIL has the
operation, results are PIL's up to its rounding. Arguments are Python numbers or float32
scalars. `magnitudes` says which argument stands for which magnitude.
"""

import math
from typing import Any

import tensorflow as tf

from official.data.augmentation import base

Scalar = Any
"""A Python number, or float32 `[]`."""

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as PIL's mode "L"


def autocontrast(image: tf.Tensor) -> tf.Tensor:
    """Stretches each channel to 0..255; a channel of one value stays."""
    low = tf.reduce_min(image, axis=(0, 1))
    high = tf.reduce_max(image, axis=(0, 1))
    flat = high <= low
    scale = tf.where(flat, 1.0, 255.0 / tf.where(flat, 1.0, high - low))
    return tf.clip_by_value(
        (image - low) * scale + tf.where(flat, low, 0.0), 0.0, 255.0
    )


def equalize(image: tf.Tensor) -> tf.Tensor:
    """Makes the histogram of each channel flat; pixels are rounded to whole values."""
    cells = tf.cast(tf.round(image), tf.int32) + tf.constant([0, 256, 512])
    counts = tf.math.bincount(tf.reshape(cells, [-1]), minlength=768, maxlength=768)
    table = tf.reshape(_equalizing(tf.reshape(counts, [3, 256])), [-1])
    return tf.gather(table, cells)


def _equalizing(counts: tf.Tensor) -> tf.Tensor:
    """New values float32 `[3, 256]` from a histogram int32 `[3, 256]`."""
    values = tf.range(256)
    highest = tf.reduce_max(tf.where(counts > 0, values, 0), axis=1)
    at_highest = tf.gather(counts, highest, batch_dims=1)[:, None]
    step = (tf.reduce_sum(counts, axis=1, keepdims=True) - at_highest) // 255
    below = tf.cumsum(counts, axis=1, exclusive=True)
    table = tf.minimum((below + step // 2) // tf.maximum(step, 1), 255)
    # A step of 0: (nearly) all pixels have one value, there is nothing to spread.
    return tf.cast(tf.where(step == 0, values, table), tf.float32)


def invert(image: tf.Tensor) -> tf.Tensor:
    return 255.0 - image


def posterize(image: tf.Tensor, bits: Scalar) -> tf.Tensor:
    """Keeps the upper `bits` of 8; fractions of a pixel value go, too."""
    step = tf.pow(2.0, 8.0 - bits)
    return tf.floor(image / step) * step


def solarize(image: tf.Tensor, threshold: Scalar) -> tf.Tensor:
    """Inverts the values from `threshold` on; 256 changes nothing."""
    return tf.where(image < threshold, image, 255.0 - image)


def solarize_add(image: tf.Tensor, addition: Scalar) -> tf.Tensor:
    """Adds to the values below 128."""
    return tf.where(
        image < 128.0, tf.clip_by_value(image + addition, 0.0, 255.0), image
    )


def color(image: tf.Tensor, factor: Scalar) -> tf.Tensor:
    """Saturation: 0 is gray, 1 changes nothing."""
    return _blend(_gray(image)[..., None], image, factor)


def contrast(image: tf.Tensor, factor: Scalar) -> tf.Tensor:
    """Distance to the mean gray: 0 is one gray, 1 changes nothing."""
    return _blend(tf.reduce_mean(_gray(image)), image, factor)


def brightness(image: tf.Tensor, factor: Scalar) -> tf.Tensor:
    """0 is black, 1 changes nothing."""
    return tf.clip_by_value(image * factor, 0.0, 255.0)


def sharpness(image: tf.Tensor, factor: Scalar) -> tf.Tensor:
    """0 is smoothed, 1 changes nothing; the outermost pixels stay."""
    rows = image[:-2] + image[1:-1] + image[2:]
    boxes = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    inner = image[1:-1, 1:-1]
    smooth = (boxes + 4.0 * inner) / 13.0  # a 3x3 kernel of ones with a 5 in the middle
    sharp = _blend(smooth, inner, factor)
    middle = tf.concat([image[1:-1, :1], sharp, image[1:-1, -1:]], axis=1)
    return tf.concat([image[:1], middle, image[-1:]], axis=0)


def rotate(image: tf.Tensor, degrees: Scalar) -> tf.Tensor:
    """Turns counter-clockwise about the center, bilinear."""
    cosine = tf.cos(tf.cast(degrees, tf.float32) * (math.pi / 180.0))
    sine = tf.sin(tf.cast(degrees, tf.float32) * (math.pi / 180.0))
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    y, x = (size[0] - 1.0) / 2.0, (size[1] - 1.0) / 2.0
    return _project(
        image,
        (cosine, -sine, x - cosine * x + sine * y),
        (sine, cosine, y - sine * x - cosine * y),
    )


def shear_x(image: tf.Tensor, shear: Scalar) -> tf.Tensor:
    """Moves each row left by `shear` times its distance to the upper edge, bilinear."""
    return _project(image, (1.0, shear, 0.5 * shear), (0.0, 1.0, 0.0))


def shear_y(image: tf.Tensor, shear: Scalar) -> tf.Tensor:
    """Moves each column up by `shear` times its distance to the left edge, bilinear."""
    return _project(image, (1.0, 0.0, 0.0), (shear, 1.0, 0.5 * shear))


def translate_x(image: tf.Tensor, pixels: Scalar) -> tf.Tensor:
    """Moves to the right, by whole pixels."""
    return _project(image, (1.0, 0.0, -tf.round(pixels)), (0.0, 1.0, 0.0))


def translate_y(image: tf.Tensor, pixels: Scalar) -> tf.Tensor:
    """Moves down, by whole pixels."""
    return _project(image, (1.0, 0.0, 0.0), (0.0, 1.0, -tf.round(pixels)))


def cutout(image: tf.Tensor, reach: Scalar, *, seed: tf.Tensor) -> tf.Tensor:
    """Paints a gray square whose center is any pixel; it may leave the image in part.

    DeVries & Taylor, 2017, https://arxiv.org/abs/1708.04552.

    Args:
        reach: Half of the square's side, in pixels, rounded.
    """
    size = tf.shape(image)[:2]
    center = tf.random.stateless_uniform([2], seed) * tf.cast(size, tf.float32)
    center, reach = tf.floor(center), tf.round(reach)
    rows = tf.range(size[0], dtype=tf.float32) - center[0]
    columns = tf.range(size[1], dtype=tf.float32) - center[1]
    inside_rows = (-reach <= rows) & (rows < reach)
    inside_columns = (-reach <= columns) & (columns < reach)
    inside = inside_rows[:, None] & inside_columns[None, :]
    return tf.where(inside[..., None], float(base.GRAY), image)


def _gray(image: tf.Tensor) -> tf.Tensor:
    return tf.tensordot(image, tf.constant(_LUMA), 1)


def _blend(degenerate: tf.Tensor, image: tf.Tensor, factor: Scalar) -> tf.Tensor:
    """`image` at factor 1, `degenerate` at 0, beyond it above 1."""
    mixed = degenerate + factor * (image - degenerate)
    return tf.clip_by_value(mixed, 0.0, 255.0)


def _project(
    image: tf.Tensor,
    to_x: tuple[Scalar, Scalar, Scalar],
    to_y: tuple[Scalar, Scalar, Scalar],
) -> tf.Tensor:
    """Every pixel (x, y) taken from where the two rows send (x, y, 1)."""
    rows = [tf.cast(value, tf.float32) for value in (*to_x, *to_y, 0.0, 0.0)]
    projected = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=tf.stack(rows)[None],
        output_shape=tf.shape(image)[:2],
        fill_value=float(base.GRAY),
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return projected[0]
