"""Windows of an image, resized to one size: what classification trains and judges on.

Images are uint8 or float32 `[H, W, 3]`, RGB, 0..255; results are float32 of a static
size. A window is cut out at whole pixels before it is resized, so that the work depends
on the window alone.

The resize is bilinear as on phones: each new pixel is made of four old ones, and of a
window more than twice as large as the result the others are left out (aliasing).
`antialias` weighs all of them, as PIL does, at about four times the work.
"""

import math

import tensorflow as tf

from official.data import base, encoded, transforms

_TRIES = 10
_MUCH = 8

# Folded into the seed; `transforms` folds in other numbers.
_SHAPE, _PLACE = 100, 101


def inception_crop(
    example: base.Example,
    *,
    size: transforms.Size,
    area_range: tuple[float, float] = (0.08, 1.0),
    aspect_range: tuple[float, float] = (3 / 4, 4 / 3),
    antialias: bool = False,
    seed: tf.Tensor,
) -> tf.Tensor:
    """A window of random area, shape and place, resized; its aspect is not kept.

    Szegedy et al., 2014, https://arxiv.org/abs/1409.4842, section 6. Of 10 windows the
    first that fits into the image is taken, else the largest central one whose shape is
    within the range.

    Args:
        example: With "image", or undecoded: then no more than the window is decoded.
        size: Of the result.
        area_range: Smallest and largest area of the window, as a share of the image's;
            drawn uniformly.
        aspect_range: Smallest and largest width to height of the window; the logarithm
            is drawn uniformly, so that a shape is as likely as its transpose.
        antialias: Weigh all pixels of the window.
    """
    image_size = encoded.image_size(example)
    window = _window(
        image_size,
        area_range,
        aspect_range,
        tf.random.experimental.stateless_fold_in(seed, _SHAPE),
    )
    draws = tf.random.stateless_uniform(
        [2], tf.random.experimental.stateless_fold_in(seed, _PLACE)
    )
    room = tf.cast(image_size - window[0] + 1, tf.float32)
    central = (image_size - window[0]) // 2
    start = tf.where(window[1] > 0, tf.cast(draws * room, tf.int32), central)
    cut = encoded.window(example, start, window[0])
    return _resized(cut, size, antialias)


def _window(
    image_size: tf.Tensor,
    area_range: tuple[float, float],
    aspect_range: tuple[float, float],
    seed: tf.Tensor,
) -> tf.Tensor:
    """Height and width of the window; then ones if it may be anywhere, else zeros."""
    draws = tf.random.stateless_uniform([2, _TRIES], seed)
    area = area_range[0] + (area_range[1] - area_range[0]) * draws[0]
    area *= tf.cast(tf.reduce_prod(image_size), tf.float32)
    low, high = map(math.log, aspect_range)
    half = tf.exp(0.5 * (low + (high - low) * draws[1]))
    sides = tf.stack([tf.sqrt(area) / half, tf.sqrt(area) * half], axis=1)
    sides = tf.cast(tf.round(sides), tf.int32)
    fits = tf.reduce_all((sides > 0) & (sides <= image_size), axis=1)
    found = tf.reduce_any(fits)
    return tf.where(
        found,
        tf.stack([sides[tf.argmax(fits)], [1, 1]]),
        tf.stack([_largest(image_size, aspect_range), [0, 0]]),
    )


def _largest(image_size: tf.Tensor, aspect_range: tuple[float, float]) -> tf.Tensor:
    """Height and width of the largest window with an aspect within the range."""
    height, width = tf.unstack(tf.cast(image_size, tf.float32))
    low, high = aspect_range
    sides = tf.stack(
        [tf.minimum(height, width / low), tf.minimum(width, height * high)]
    )
    return tf.maximum(tf.cast(tf.round(sides), tf.int32), 1)


def center_crop(
    image: tf.Tensor,
    *,
    size: transforms.Size,
    share: float = 0.875,
    antialias: bool = False,
) -> tf.Tensor:
    """The middle of the image, resized; its aspect is kept.

    The window has the shape of `size` and is `share` times as large as fits into the
    image. For a square it is the usual evaluation: the shorter side to
    `size / share`, then the central square.

    Args:
        size: Of the result.
        share: Of the sides, 1 for all that fits. 0.875 is that of TensorFlow Model
            Garden (224 of 256).
        antialias: Weigh all pixels of the window.
    """
    image_size = tf.shape(image)[:2]
    sides = tf.cast(image_size, tf.float32)
    scale = share * tf.reduce_min(sides / tf.constant(size, tf.float32))
    window = tf.cast(tf.round(scale * tf.constant(size, tf.float32)), tf.int32)
    window = tf.clip_by_value(window, 1, image_size)
    start = (image_size - window) // 2
    end = start + window
    return _resized(image[start[0] : end[0], start[1] : end[1]], size, antialias)


def random_flip(image: tf.Tensor, *, seed: tf.Tensor) -> tf.Tensor:
    """Mirrors left and right with probability one half."""
    flips = transforms.flips(seed)
    return tf.cond(flips, lambda: tf.reverse(image, [1]), lambda: image)


def _resized(cut: tf.Tensor, size: transforms.Size, antialias: bool) -> tf.Tensor:
    # TensorFlow resizes floats at half the time, and to the same values; of a window
    # much larger than the result most pixels are not looked at.
    small = tf.size(cut) <= _MUCH * 3 * size[0] * size[1]
    if cut.dtype == tf.uint8 and not antialias:
        return tf.ensure_shape(
            tf.cond(
                small,
                lambda: tf.image.resize(tf.cast(cut, tf.float32), size),
                lambda: tf.image.resize(cut, size),
            ),
            (*size, 3),
        )
    resized = tf.image.resize(cut, size, method="bilinear", antialias=antialias)
    return tf.ensure_shape(tf.cast(resized, tf.float32), (*size, 3))
