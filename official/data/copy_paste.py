"""Images with things, and some of the stuff, of another."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

Targets = dict[str, Any]

_NONE = -1
"""The segment of a pixel that has none, and the class of a row without a segment."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CopyPaste:
    """Panoptic copy-paste: segments of the next image of the batch cover the image's.

    All things of the other image are pasted where they are, and of its stuff a random
    part: for each image a chance is drawn uniformly, with which each segment of stuff
    is. What is no segment (void, crowds) is not. Stuff goes into the segment of the
    same class where there is one.

    After kMaX-DeepLab's training, https://github.com/google-research/deeplab2, which
    pastes an image that was first scaled to half the size; here both have the scale
    that they were drawn with.

    Attributes:
        probability: Of an image to be pasted onto.
    """

    probability: float = 1.0

    def __post_init__(self):
        if not 0.0 <= self.probability <= 1.0:
            raise ValueError(f"probability {self.probability}: want 0..1")

    def __call__(
        self,
        images: tf.Tensor,
        targets: Targets,
        *,
        thing_ids: Sequence[int],
        seed: tf.Tensor,
    ) -> tuple[tf.Tensor, Targets]:
        """The mixed batch; runs in `tf.data`.

        Args:
            images: `[B, H, W, 3]`.
            targets: With "segments" int32 `[B, h, w]`, an index below K, or -1 where
                there is no segment; "segment_classes" int32 `[B, K]`, -1 for rows
                without one; and "semantic" int32 `[B, h, w]`. Others are left as they
                are. H is h times a whole number, or that number times (h - 1), and 1;
                W likewise.
            thing_ids: Classes that are things.
            seed: int32 `[2]`, what all that is random depends on.

        Returns:
            Of the same shapes. Segments that are seen come first, the image's own
            before others, and rows without one last. Where more than K are seen, the
            largest stay; the pixels of the others keep their class alone.

        Raises:
            ValueError: If the sizes do not fit.
        """
        own = targets["segments"], targets["segment_classes"]
        other = tuple(tf.roll(values, -1, axis=0) for values in own)
        chosen = self._chosen(other[1], thing_ids, seed)
        pasted = _look_up(chosen, other[0], nothing=False)
        stuff = ~_is_any(other[1], thing_ids)
        segments = tf.where(
            pasted, _look_up(_numbers(own[1], other[1], stuff), other[0]), own[0]
        )
        segments, classes = _seen(segments, tf.concat([own[1], other[1]], axis=1))
        semantic = targets["semantic"]
        mixed = {
            "segments": segments,
            "segment_classes": classes,
            "semantic": tf.where(pasted, tf.roll(semantic, -1, axis=0), semantic),
        }
        covered = _enlarged(pasted, images.shape[1:3])[..., None]
        images = tf.where(covered, tf.roll(images, -1, axis=0), images)
        kept = {k: tf.ensure_shape(v, targets[k].shape) for k, v in mixed.items()}
        return images, {**targets, **kept}

    def _chosen(
        self, classes: tf.Tensor, thing_ids: Sequence[int], seed: tf.Tensor
    ) -> tf.Tensor:
        """Which of the segments with classes `[B, K]` are pasted, bool `[B, K]`."""
        first, second, third = tf.unstack(tf.random.split(seed, 3))
        count = tf.shape(classes)[0]
        mixes = tf.random.stateless_uniform([count, 1], first) < self.probability
        chance = tf.random.stateless_uniform([count, 1], second)
        drawn = tf.random.stateless_uniform(tf.shape(classes), third) < chance
        return mixes & (classes != _NONE) & (drawn | _is_any(classes, thing_ids))


def _is_any(classes: tf.Tensor, wanted: Sequence[int]) -> tf.Tensor:
    known = tf.convert_to_tensor(wanted, tf.int32)
    return tf.reduce_any(classes[..., None] == known, axis=-1)


def _look_up(table: tf.Tensor, segments: tf.Tensor, nothing: Any = _NONE) -> tf.Tensor:
    """The rows of a table `[B, N]` for `[B, h, w]` segments, `nothing` for none."""
    found = tf.gather(table, tf.maximum(segments, 0), batch_dims=1)
    return tf.where(segments == _NONE, tf.cast(nothing, table.dtype), found)


def _numbers(own: tf.Tensor, other: tf.Tensor, stuff: tf.Tensor) -> tf.Tensor:
    """What the other's segments are called among both, `[B, K]`.

    Own segments keep their numbers, below K, and others get theirs plus K; stuff that
    is there already gets the number that it has.

    Args:
        own: Classes `[B, K]`.
        other: Likewise.
        stuff: Which of `other` are no things, bool `[B, K]`.
    """
    same = (other[:, :, None] == own[:, None, :]) & stuff[:, :, None]
    count = tf.shape(own)[1]
    return tf.where(
        tf.reduce_any(same, axis=2),
        tf.argmax(tf.cast(same, tf.int32), axis=2, output_type=tf.int32),
        count + tf.range(count)[None],
    )


def _seen(segments: tf.Tensor, classes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The larger half of the segments, and their classes, numbered anew in their order.

    Args:
        segments: `[B, h, w]`, below N.
        classes: `[B, N]`.

    Returns:
        `[B, h, w]`, below N / 2, and `[B, N / 2]`.
    """
    areas = _areas(segments, tf.shape(classes))
    most = tf.shape(classes)[1] // 2
    order = tf.argsort(areas, axis=1, direction="DESCENDING", stable=True)
    kept = (tf.argsort(order, axis=1) < most) & (areas > 0)
    numbers = tf.where(kept, tf.cumsum(tf.cast(kept, tf.int32), axis=1) - 1, _NONE)
    first = tf.argsort(tf.cast(~kept, tf.int32), axis=1, stable=True)[:, :most]
    found = tf.gather(tf.where(kept, classes, _NONE), first, batch_dims=1)
    return _look_up(numbers, segments), found


def _areas(segments: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """Pixels of each segment, int32 of a shape B, N."""
    count, most = shape[0], shape[1]
    starts = most * tf.range(count)[:, None, None]
    # Negative numbers are not counted.
    flat = tf.reshape(tf.where(segments == _NONE, _NONE, starts + segments), [-1])
    areas = tf.math.unsorted_segment_sum(tf.ones_like(flat), flat, count * most)
    return tf.reshape(areas, shape)


def _enlarged(masks: tf.Tensor, size: tf.TensorShape) -> tf.Tensor:
    """Masks `[B, h, w]` at the size of the images."""
    height, width = size.as_list()
    rows = _sources(height, masks.shape[1])
    columns = _sources(width, masks.shape[2])
    return tf.gather(tf.gather(masks, rows, axis=1), columns, axis=2)


def _sources(side: int, coarse: int) -> list[int]:
    """The place among `coarse` of each of `side` pixels."""
    if side % coarse == 0:
        return [place // (side // coarse) for place in range(side)]
    if coarse > 1 and (side - 1) % (coarse - 1) == 0:
        factor = (side - 1) // (coarse - 1)
        return [(place + factor // 2) // factor for place in range(side)]
    raise ValueError(
        f"targets of {coarse} pixels for an image of {side}: want a whole factor"
    )
