"""Images that are made of four, with the boxes of all."""

import dataclasses
from typing import Any

import tensorflow as tf

from official.ops import box_kinds

Targets = dict[str, Any]

_SMALLEST = 0.001  # share of a side, as in `box_transforms`


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mosaic:
    """A part of four images that lie in a square, around where they meet.

    Bochkovskiy et al., 2020, https://arxiv.org/abs/2004.10934, section 3.3. The four
    are an image of the batch and the three before it, side by side and one above the
    other. The part that is seen has sides of `smallest` to 1 of the square's and holds
    its middle; it is resized to the size of an image, so things look up to half as
    large. Every image draws for itself.

    Attributes:
        probability: Of an image to become a mosaic.
        smallest: Of the square's side; with 0.5 things may keep their size.
        visible: An object of which less than this share is seen is dropped.
    """

    probability: float = 0.5
    smallest: float = 0.5
    visible: float = 0.3

    def __post_init__(self):
        for name in ("probability", "visible"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} {getattr(self, name)}: want 0..1")
        if not 0.5 <= self.smallest <= 1.0:
            raise ValueError(f"smallest {self.smallest}: want 0.5..1")

    def __call__(
        self, images: tf.Tensor, targets: Targets, *, seed: tf.Tensor
    ) -> tuple[tf.Tensor, Targets]:
        """The mixed batch; runs in `tf.data`.

        Args:
            images: float32 `[B, H, W, 3]`.
            targets: With "boxes" float32 `[B, M, 4]` as shares of the image, and
                "box_classes" int32 `[B, M]`, -1 for padding and -2 for regions where
                nothing counts; others are left as they are.
            seed: int32 `[2]`, what all that is random depends on.

        Returns:
            Of the same shapes. Where more than M boxes are seen, the largest stay;
            boxes come first and padding last.
        """
        windows = self._windows(tf.shape(images)[0], seed)
        boxes, classes = _together(targets["boxes"], targets["box_classes"])
        boxes, classes = _seen(boxes, classes, windows, visible=self.visible)
        boxes, classes = _largest(boxes, classes, tf.shape(targets["boxes"])[1])
        kept = {
            "boxes": tf.ensure_shape(boxes, targets["boxes"].shape),
            "box_classes": tf.ensure_shape(classes, targets["box_classes"].shape),
        }
        pixels = tf.ensure_shape(_cut(_square(images), windows), images.shape)
        return pixels, {**targets, **kept}

    def _windows(self, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """What is seen of each square, `[B, 4]` shares; a quarter where it is one."""
        first, second, third = tf.unstack(tf.random.split(seed, 3))
        chances = tf.random.stateless_uniform([count, 1], first)
        sides = tf.random.stateless_uniform([count, 1], second, self.smallest, 1.0)
        # Where it begins: not past the middle, and not so early that it ends before.
        places = tf.random.stateless_uniform([count, 2], third)
        least = tf.maximum(0.5 - sides, 0.0)
        most = tf.minimum(0.5, 1.0 - sides)
        start = least + (most - least) * places
        windows = tf.concat([start, start + sides], axis=1)
        own = tf.constant([[0.0, 0.0, 0.5, 0.5]])
        return tf.where(chances < self.probability, windows, own)


def _square(images: tf.Tensor) -> tf.Tensor:
    """`[B, 2 H, 2 W, 3]`: each image at the upper left, those before it around."""
    second, third, fourth = (tf.roll(images, shift, axis=0) for shift in (1, 2, 3))
    upper = tf.concat([images, second], axis=2)
    lower = tf.concat([third, fourth], axis=2)
    return tf.concat([upper, lower], axis=1)


def _together(boxes: tf.Tensor, classes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Boxes `[B, 4 M, 4]` of the square as its shares, and classes `[B, 4 M]`."""
    corners = ((0.0, 0.0), (0.0, 0.5), (0.5, 0.0), (0.5, 0.5))
    placed = [
        tf.roll(boxes, shift, axis=0) / 2.0 + tf.constant(corner * 2)
        for shift, corner in enumerate(corners)
    ]
    rolled = [tf.roll(classes, shift, axis=0) for shift in range(len(corners))]
    return tf.concat(placed, axis=1), tf.concat(rolled, axis=1)


def _seen(
    boxes: tf.Tensor, classes: tf.Tensor, windows: tf.Tensor, *, visible: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Boxes as shares of the windows; those that are not seen become padding."""
    start, end = windows[:, None, :2], windows[:, None, 2:]
    moved = (boxes - tf.tile(start, [1, 1, 2])) / tf.tile(end - start, [1, 1, 2])
    clipped = tf.clip_by_value(moved, 0.0, 1.0)
    sides = clipped[..., 2:] - clipped[..., :2]
    share = tf.math.divide_no_nan(_areas(clipped), _areas(moved))
    # A region is to be left alone however little of it is seen.
    enough = (share >= visible) | (classes == box_kinds.NOT_COUNTED)
    there = classes != box_kinds.PADDING
    kept = enough & tf.reduce_all(sides >= _SMALLEST, axis=-1) & there
    classes = tf.where(kept, classes, box_kinds.PADDING)
    return tf.where(kept[..., None], clipped, 0.0), classes


def _largest(
    boxes: tf.Tensor, classes: tf.Tensor, count: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The `count` largest boxes of each image; padding has no area."""
    order = tf.argsort(_areas(boxes), axis=1, direction="DESCENDING", stable=True)
    order = order[:, :count]
    return (
        tf.gather(boxes, order, batch_dims=1),
        tf.gather(classes, order, batch_dims=1),
    )


def _areas(boxes: tf.Tensor) -> tf.Tensor:
    return tf.reduce_prod(boxes[..., 2:] - boxes[..., :2], axis=-1)


def _cut(squares: tf.Tensor, windows: tf.Tensor) -> tf.Tensor:
    """The windows of the squares, `[B, H, W, 3]`, bilinear, with half-pixel centers."""
    shape = tf.shape(squares)
    size = shape[1:3] // 2
    whole, half = tf.cast(shape[1:3], tf.float32), tf.cast(size, tf.float32)
    start, end = windows[:, :2] * whole, windows[:, 2:] * whole
    step = (end - start) / half
    # The op wants the centers of the first and last pixel, as shares of the distance
    # between the outermost centers.
    first = (start + step / 2.0 - 0.5) / (whole - 1.0)
    last = (end - step / 2.0 - 0.5) / (whole - 1.0)
    return tf.image.crop_and_resize(
        squares, tf.concat([first, last], axis=1), tf.range(shape[0]), size
    )
