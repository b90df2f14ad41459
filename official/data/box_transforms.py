"""Geometry and color of images with boxes, in TensorFlow.

What part of an image is seen is a window: int32 `[4]`, top, left, bottom and right in
pixels of the image; it may reach out of it. Windows are chosen one from another, and
`cut` at last resizes the pixels inside, once:

    view = box_transforms.boxed(example)
    window = box_transforms.whole(view.image)
    window = box_transforms.zoom_out(window, seed=seed)
    window = box_transforms.ssd_crop(view, window, seed=seed)
    view = box_transforms.cut(view, window, size=(320, 320))
    view = box_transforms.random_flip(view, seed=seed)

So no image grows to the canvas of a zoom, and boxes follow the whole pixels that were
cut out to within rounding of floats. What is random depends on `seed` (int32 `[2]`)
alone, and each function draws other numbers from the same seed.
"""

from typing import NamedTuple

import tensorflow as tf

from official.data import base, transforms
from official.ops import box_kinds

# Folded into the seed; other numbers than in `transforms`, which are used here, too.
_FLIP, _ZOOM, _ZOOM_PLACE, _JITTER, _JITTER_PLACE, _COVER, _CROP, _KEEP = range(
    100, 108
)

_COVERED = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
_ASPECT = (0.5, 2.0)
_AREA = (0.1, 1.0)
_UNCROPPED = 0.15
"""`ssd_random_crop` of TensorFlow's Object Detection API, core/preprocessor.py."""

_SMALLEST = 0.001  # share of a side: a third of a pixel at 320


class Boxed(NamedTuple):
    """An image and the boxes in it.

    Attributes:
        image: `[H, W, 3]`, uint8 or float32, 0..255.
        boxes: float32 `[N, 4]`, ymin, xmin, ymax, xmax as shares of height and width.
        classes: int32 `[N]`.
        kinds: int32 `[N]`, `box_kinds.OBJECT` and so on.
    """

    image: tf.Tensor
    boxes: tf.Tensor
    classes: tf.Tensor
    kinds: tf.Tensor


def boxed(example: base.Example) -> Boxed:
    """Of an example of a dataset, whose boxes are in pixels."""
    image = example["image"]
    return Boxed(
        image,
        example["boxes"] / _sides(tf.shape(image)),
        example["box_classes"],
        example["box_kinds"],
    )


def whole(image: tf.Tensor) -> tf.Tensor:
    """The window that shows all of an image and no more."""
    size = tf.shape(image)
    return tf.stack([0, 0, size[0], size[1]])


def zoom_out(
    window: tf.Tensor,
    *,
    seed: tf.Tensor,
    largest: float = 4.0,
    probability: float = 0.5,
) -> tf.Tensor:
    """A window up to `largest` times as high and wide that contains the given one.

    Liu et al., 2016, https://arxiv.org/abs/1512.02325, section 3.6 ("zoom out"), with
    the numbers of torchvision's `RandomZoomOut`.
    """
    chance, factor = _draws(seed, _ZOOM, 2)
    factor = 1.0 + (largest - 1.0) * factor
    zoomed = _placed(window, factor, _draws(seed, _ZOOM_PLACE, 2))
    return tf.where(chance < probability, zoomed, window)


def scale_jitter(
    window: tf.Tensor, *, scale_range: tuple[float, float], seed: tf.Tensor
) -> tf.Tensor:
    """A window in which things look larger by a factor, at random.

    Below a factor of 1 it contains the given window, above it lies inside.

    Args:
        scale_range: Smallest and largest factor; it is drawn uniformly.
    """
    low, high = scale_range
    (drawn,) = _draws(seed, _JITTER, 1)
    scale = low + (high - low) * drawn
    return _placed(window, 1.0 / scale, _draws(seed, _JITTER_PLACE, 2))


def ssd_crop(view: Boxed, window: tf.Tensor, *, seed: tf.Tensor) -> tf.Tensor:
    """A part of the window that covers some share of an object, drawn from seven.

    It has a tenth of the area or more and sides of 1:2 to 2:1, and holds the center of
    an object: where none such is found, and with a probability of 0.15, the window
    stays as it is. Object Detection API's `ssd_random_crop` differs in what becomes of
    objects that are cut: there the drawn share decides, here (see `cut`) the center, as
    in section 2.2 of the paper.
    """
    start, size = window[:2], window[2:] - window[:2]
    pixels = view.boxes * _sides(tf.shape(view.image))
    origin = tf.cast(tf.tile(start, [2]), tf.float32)
    boxes = tf.clip_by_value((pixels - origin) / _sides(size), 0.0, 1.0)
    usable = (view.kinds == box_kinds.OBJECT) & _large(boxes)
    choice = tf.random.stateless_uniform(
        [], _fold(seed, _COVER), 0, len(_COVERED), tf.int32
    )
    begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.concat([size, [3]], 0),
        tf.boolean_mask(boxes, usable)[None],
        _fold(seed, _CROP),
        min_object_covered=tf.constant(_COVERED)[choice],
        aspect_ratio_range=_ASPECT,
        area_range=_AREA,
        max_attempts=100,
        use_image_if_no_bounding_boxes=True,
    )
    corner = start + begin[:2]
    cropped = tf.concat([corner, corner + extent[:2]], 0)
    lost = tf.reduce_any(usable) & ~tf.reduce_any(usable & _centered(pixels, cropped))
    (chance,) = _draws(seed, _KEEP, 1)
    return tf.where(lost | (chance < _UNCROPPED), window, cropped)


def cut(
    view: Boxed, window: tf.Tensor, *, size: transforms.Size, fill: float = 127.5
) -> Boxed:
    """What a window shows, resized to a size; `fill` where it shows no image.

    Objects whose center is outside are dropped, as are those of which less than a
    thousandth of a side remains; others are clipped. Crowds and difficult objects stay
    as long as anything of them is seen: they tell what not to learn.

    Returns:
        The image float32 `[*size, 3]`, boxes as shares of it.
    """
    image = view.image
    height, width = tf.unstack(tf.shape(image)[:2])
    rows = _axis(window[0], window[2], height, size[0])
    columns = _axis(window[1], window[3], width, size[1])
    seen = transforms.resize(
        image[rows.start : rows.end, columns.start : columns.end],
        (rows.length, columns.length),
    )
    margins = [
        [rows.before, size[0] - rows.length - rows.before],
        [columns.before, size[1] - columns.length - columns.before],
        [0, 0],
    ]
    seen = tf.pad(seen, margins, constant_values=fill)
    pixels = view.boxes * _sides(tf.shape(image))
    scale = tf.tile(tf.stack([rows.scale, columns.scale]), [2])
    shift = tf.tile(tf.stack([rows.shift, columns.shift]), [2])
    boxes = tf.clip_by_value(
        (pixels * scale + shift) / _sides(tf.constant(size)), 0.0, 1.0
    )
    kept = _large(boxes) & (
        _centered(pixels, window) | (view.kinds != box_kinds.OBJECT)
    )
    return Boxed(
        tf.ensure_shape(seen, (*size, 3)),
        tf.boolean_mask(boxes, kept),
        tf.boolean_mask(view.classes, kept),
        tf.boolean_mask(view.kinds, kept),
    )


def random_flip(view: Boxed, *, seed: tf.Tensor) -> Boxed:
    """Mirrors left and right with probability one half."""
    (chance,) = _draws(seed, _FLIP, 1)
    top, left, bottom, right = tf.unstack(view.boxes, axis=-1)
    mirrored = tf.stack([top, 1.0 - right, bottom, 1.0 - left], axis=-1)
    flips = chance < 0.5
    image = tf.cond(flips, lambda: tf.reverse(view.image, [1]), lambda: view.image)
    return view._replace(
        image=tf.ensure_shape(image, view.image.shape),
        boxes=tf.where(flips, mirrored, view.boxes),
    )


def photometric(image: tf.Tensor, *, seed: tf.Tensor) -> tf.Tensor:
    """SSD's changes of brightness, contrast, saturation and hue, each at even odds.

    The ranges are those of SSD's code (brightness by 32 of 255, contrast and saturation
    by a half, hue by 18 degrees); contrast is about the mean gray, as in torchvision,
    which makes their order all but irrelevant.
    """
    return transforms.color_jitter(
        image,
        brightness=32 / 255,
        contrast=0.5,
        saturation=0.5,
        hue=18 / 360,
        seed=seed,
        probability=0.5,
    )


class _Axis(NamedTuple):
    """One dimension of `cut`: pixels from start to end become `length` pixels.

    They lie behind `before` pixels of padding; a place p in the image comes to
    p * scale + shift.
    """

    start: tf.Tensor
    end: tf.Tensor
    length: tf.Tensor
    before: tf.Tensor
    scale: tf.Tensor
    shift: tf.Tensor


def _axis(first: tf.Tensor, last: tf.Tensor, side: tf.Tensor, size: int) -> _Axis:
    start = tf.clip_by_value(first, 0, side - 1)
    end = tf.clip_by_value(last, start + 1, side)
    factor = tf.cast(size, tf.float32) / tf.cast(last - first, tf.float32)
    before = tf.cast(tf.round(tf.cast(start - first, tf.float32) * factor), tf.int32)
    after = tf.cast(tf.round(tf.cast(end - first, tf.float32) * factor), tf.int32)
    before = tf.clip_by_value(before, 0, size - 1)
    length = tf.clip_by_value(after, before + 1, size) - before
    scale = tf.cast(length, tf.float32) / tf.cast(end - start, tf.float32)
    shift = tf.cast(before, tf.float32) - tf.cast(start, tf.float32) * scale
    return _Axis(start, end, length, before, scale, shift)


def _placed(window: tf.Tensor, factor: tf.Tensor, places: list[tf.Tensor]) -> tf.Tensor:
    """A window with sides longer by a factor, at random around or within another."""
    sides = tf.cast(window[2:] - window[:2], tf.float32)
    longer = tf.maximum(tf.round(sides * factor), 1.0)
    start = window[:2] + tf.cast(tf.round((sides - longer) * places), tf.int32)
    return tf.concat([start, start + tf.cast(longer, tf.int32)], 0)


def _centered(pixels: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    """Whether the centers of boxes in pixels are in a window; bool `[N]`."""
    centers = (pixels[:, :2] + pixels[:, 2:]) / 2.0
    bounds = tf.cast(window, tf.float32)
    return tf.reduce_all((centers >= bounds[:2]) & (centers < bounds[2:]), axis=1)


def _large(boxes: tf.Tensor) -> tf.Tensor:
    return tf.reduce_all(boxes[:, 2:] - boxes[:, :2] >= _SMALLEST, axis=1)


def _sides(size: tf.Tensor) -> tf.Tensor:
    """Height, width, height, width as float32."""
    return tf.cast(tf.tile(size[:2], [2]), tf.float32)


def _fold(seed: tf.Tensor, salt: int) -> tf.Tensor:
    return tf.random.experimental.stateless_fold_in(seed, salt)


def _draws(seed: tf.Tensor, salt: int, count: int) -> list[tf.Tensor]:
    """Numbers 0..1."""
    return tf.unstack(tf.random.stateless_uniform([count], _fold(seed, salt)))
