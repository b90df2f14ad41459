"""Geometry and color of images with their label maps, in TensorFlow.

Images are uint8 or float32 `[H, W, 3]`, RGB, 0..255; results are float32. Label maps
are integers `[H, W]`. What is random depends on `seed` (int32 `[2]`) alone, and each
function draws other numbers from the same seed.
"""

import math

import numpy as np
import tensorflow as tf

from official.data import base

Size = tuple[int, int]
"""Height and width in pixels."""

# Folded into the seed, so that the functions draw apart from each other.
_SCALE, _CROP_TOP, _CROP_LEFT, _FLIP, _COLOR, _CHANGED = range(6)

_TO_YIQ = (  # FCC NTSC, 1953; rows Y, I, Q
    (0.299, 0.587, 0.114),
    (0.596, -0.274, -0.322),
    (0.211, -0.523, 0.312),
)


def resize(image: tf.Tensor, size: Size) -> tf.Tensor:
    """Bilinear, pixel centers at half integers, no antialiasing: as phones resize."""
    resized = tf.image.resize(image, size, method="bilinear", antialias=False)
    return tf.cast(resized, tf.float32)


def resize_labels(labels: tf.Tensor, size: Size) -> tf.Tensor:
    """The nearest label, pixel centers at half integers; the dtype stays."""
    return tf.image.resize(labels[..., None], size, method="nearest")[..., 0]


def random_scale_crop(
    image: tf.Tensor,
    labels: tf.Tensor,
    *,
    base_size: Size,
    scale_range: tuple[float, float],
    crop_size: Size,
    seed: tf.Tensor,
    fill: float = 127.5,
    ignore_label: int = base.IGNORE_LABEL,
) -> tuple[tf.Tensor, tf.Tensor]:
    """As if the whole image were resized to `base_size` times a factor, then cropped.

    The crop is cut out before it is resized, at whole pixels of the original: the work
    depends on the crop alone. Where the resized image is smaller than the crop, it is
    placed at random and padded.

    Args:
        base_size: Size of the whole image at factor 1.
        scale_range: Smallest and largest factor; it is drawn uniformly.
        crop_size: Size of the results.
        fill: Pixel value of the padding.
        ignore_label: Label of the padding.

    Returns:
        float32 `[*crop_size, 3]` and labels `[*crop_size]`.
    """
    scale = _uniform(seed, _SCALE, *scale_range)
    top, rows, height, above = _window(
        tf.shape(image)[0], base_size[0], scale, crop_size[0], _random(seed, _CROP_TOP)
    )
    left, columns, width, before = _window(
        tf.shape(image)[1], base_size[1], scale, crop_size[1], _random(seed, _CROP_LEFT)
    )
    image = image[top : top + rows, left : left + columns]
    labels = labels[top : top + rows, left : left + columns]
    image = resize(image, (height, width))
    labels = resize_labels(labels, (height, width))
    margins = [
        [above, crop_size[0] - height - above],
        [before, crop_size[1] - width - before],
    ]
    image = tf.pad(image, [*margins, [0, 0]], constant_values=fill)
    labels = tf.pad(labels, margins, constant_values=ignore_label)
    return tf.ensure_shape(image, (*crop_size, 3)), tf.ensure_shape(labels, crop_size)


def _window(
    side: tf.Tensor, base_side: int, scale: tf.Tensor, crop: int, random: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """One dimension of a crop.

    Returns:
        Start and length of the window in the original, its length once resized, and the
        padding before it.
    """
    scaled = tf.maximum(tf.cast(tf.round(base_side * scale), tf.int32), 1)
    # Where the crop is larger than the resized image, the window is the whole image.
    share = tf.minimum(crop / scaled, 1.0)
    length = tf.cast(tf.round(tf.cast(side, tf.float64) * share), tf.int32)
    length = tf.maximum(length, 1)
    resized = tf.minimum(scaled, crop)
    start = tf.cast(random * tf.cast(side - length + 1, tf.float32), tf.int32)
    padding = tf.cast(random * tf.cast(crop - resized + 1, tf.float32), tf.int32)
    return start, length, resized, padding


def random_flip(
    image: tf.Tensor, labels: tf.Tensor, *, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mirrors left and right with probability one half."""
    return tf.cond(
        flips(seed),
        lambda: (tf.reverse(image, [1]), tf.reverse(labels, [1])),
        lambda: (image, labels),
    )


def flips(seed: tf.Tensor) -> tf.Tensor:
    """Whether `random_flip` mirrors."""
    return _random(seed, _FLIP) < 0.5


def color_jitter(
    image: tf.Tensor,
    *,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
    seed: tf.Tensor,
    probability: float = 1.0,
) -> tf.Tensor:
    """Changes saturation and hue, then contrast and brightness, all drawn uniformly.

    The four are one affine map of the colors (hue turns the plane of I and Q in YIQ), a
    single small matrix product for the whole image; the result is clipped to 0..255.

    Args:
        brightness: Largest shift, as a share of 255.
        contrast: Largest change of the factor 1 on the distance to the mean gray.
        saturation: Largest change of the factor 1 on the distance to a pixel's gray.
        hue: Largest turn, as a share of the circle.
        probability: Of each of the four to be changed at all.
    """
    image = tf.cast(image, tf.float32)
    if not any((brightness, contrast, saturation, hue)):
        return image
    draws = tf.random.stateless_uniform([4], _fold(seed, _COLOR), -1.0, 1.0)
    chances = tf.random.stateless_uniform([4], _fold(seed, _CHANGED))
    draws = tf.where(chances < probability, draws, 0.0)
    shift = 255.0 * brightness * draws[0]
    factor = 1.0 + contrast * draws[1]
    colors = _turn(1.0 + saturation * draws[2], 2.0 * math.pi * hue * draws[3])
    pixels = tf.reshape(image, [-1, 3])
    # Neither saturation nor hue changes Y, so this is the mean gray after them, too.
    mean = tf.tensordot(tf.reduce_mean(pixels, axis=0), tf.constant(_TO_YIQ[0]), 1)
    jittered = tf.matmul(pixels, factor * colors, transpose_b=True)
    jittered = tf.clip_by_value(jittered + (shift + (1.0 - factor) * mean), 0.0, 255.0)
    return tf.reshape(jittered, tf.shape(image))


def _turn(saturation: tf.Tensor, angle: tf.Tensor) -> tf.Tensor:
    """Matrix `[3, 3]` on RGB that scales the color plane of YIQ and turns it."""
    cosine, sine = saturation * tf.cos(angle), saturation * tf.sin(angle)
    turn = tf.stack(
        [
            tf.constant([1.0, 0.0, 0.0]),
            tf.stack([0.0, cosine, -sine]),
            tf.stack([0.0, sine, cosine]),
        ]
    )
    to_rgb = np.linalg.inv(_TO_YIQ).astype(np.float32)
    return tf.constant(to_rgb) @ turn @ tf.constant(_TO_YIQ)


def _fold(seed: tf.Tensor, salt: int) -> tf.Tensor:
    return tf.random.experimental.stateless_fold_in(seed, salt)


def _random(seed: tf.Tensor, salt: int) -> tf.Tensor:
    return tf.random.stateless_uniform([], _fold(seed, salt))


def _uniform(seed: tf.Tensor, salt: int, low: float, high: float) -> tf.Tensor:
    return low + (high - low) * _random(seed, salt)
