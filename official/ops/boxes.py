"""Boxes: areas, overlaps, and offsets from anchors.

A box is `ymin, xmin, ymax, xmax` in the last axis, in any unit. Encodings are those of
Faster R-CNN (Ren et al., 2015, https://arxiv.org/abs/1506.01497, section 3.1.2) times
the factors of SSD's code: `ty, tx, th, tw`, in the order of TensorFlow's Object
Detection API and of `TFLite_Detection_PostProcess`.
"""

import math

from keras import ops

SCALES = (10.0, 10.0, 5.0, 5.0)
"""Factors of `ty, tx, th, tw`: they bring all four to about unit variance."""

_LARGEST_GROWTH = 1000.0
_SMALLEST_SIDE = 1e-8


def area(boxes):
    """Areas `[...]` of boxes `[..., 4]`; 0 for those whose ends are interchanged."""
    sides = ops.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return sides[..., 0] * sides[..., 1]


def intersection(a, b):
    """Common areas `[..., N, M]` of boxes `[..., N, 4]` and `[..., M, 4]`."""
    ymin_a, xmin_a, ymax_a, xmax_a = _coordinates(a[..., :, None, :])
    ymin_b, xmin_b, ymax_b, xmax_b = _coordinates(b[..., None, :, :])
    height = ops.minimum(ymax_a, ymax_b) - ops.maximum(ymin_a, ymin_b)
    width = ops.minimum(xmax_a, xmax_b) - ops.maximum(xmin_a, xmin_b)
    return ops.maximum(height, 0.0) * ops.maximum(width, 0.0)


def iou(a, b):
    """Intersection over union `[..., N, M]`; 0 where both boxes are empty."""
    common = intersection(a, b)
    union = area(a)[..., :, None] + area(b)[..., None, :] - common
    positive = union > 0.0
    return ops.where(positive, common / ops.where(positive, union, 1.0), 0.0)


def encode(boxes, anchors, *, scales=SCALES):
    """Offsets `[..., A, 4]` of boxes `[..., A, 4]` from anchors `[A, 4]`.

    A side of zero counts as 1e-8, so that every box has finite offsets.
    """
    centres, sizes = _centres_and_sizes(boxes)
    anchor_centres, anchor_sizes = _centres_and_sizes(anchors)
    moved = (centres - anchor_centres) / anchor_sizes
    grown = ops.log(sizes / anchor_sizes)
    factors = ops.convert_to_tensor(scales, dtype="float32")
    return ops.concatenate([moved, grown], axis=-1) * factors


def decode(encodings, anchors, *, scales=SCALES):
    """Boxes `[..., A, 4]` of offsets `[..., A, 4]`; not clipped.

    A side is at most 1000 anchors long: untrained networks give no infinite ones.
    """
    encodings = ops.cast(encodings, "float32")
    encodings = encodings / ops.convert_to_tensor(scales, dtype="float32")
    anchor_centres, anchor_sizes = _centres_and_sizes(anchors)
    centres = encodings[..., :2] * anchor_sizes + anchor_centres
    largest = math.log(_LARGEST_GROWTH)
    halves = 0.5 * ops.exp(ops.minimum(encodings[..., 2:], largest)) * anchor_sizes
    return ops.concatenate([centres - halves, centres + halves], axis=-1)


def _coordinates(boxes):
    return boxes[..., 0], boxes[..., 1], boxes[..., 2], boxes[..., 3]


def _centres_and_sizes(boxes):
    """`[..., 2]` each: y, x and height, width."""
    boxes = ops.cast(boxes, "float32")
    lower, upper = boxes[..., :2], boxes[..., 2:]
    return 0.5 * (lower + upper), ops.maximum(upper - lower, _SMALLEST_SIDE)
