"""Which anchor learns which box."""

# B batch, M boxes of an image, A anchors

from typing import Any, NamedTuple

from keras import ops

from official.ops import box_kinds
from official.ops import boxes as box_ops


class Matches(NamedTuple):
    """What each anchor learns.

    Attributes:
        classes: int32 `[B, A]`: 0 background, else the class + 1; -1 does not count.
        boxes: float32 `[B, A, 4]`: the box of the anchor; the anchor itself, whose
            encoding is zero, where it has none.
    """

    classes: Any
    boxes: Any


def match(anchors, boxes, classes, *, threshold: float, force: bool = True) -> Matches:
    """Gives each anchor the box that it overlaps most, if that is enough.

    With `force`, each box also gets the anchor that overlaps it most, however little,
    as in SSD (Liu et al., 2015, https://arxiv.org/abs/1512.02325, section 2.2). Where
    two boxes want one anchor, the one with the larger overlap gets it (of equal ones
    the first) and the other its best among the rest, and so on: the order of the boxes
    does not matter. TensorFlow's Object Detection API gives it to the first box and
    torchvision to the last; the other then may have no anchor. A box that overlaps no
    free anchor at all stays without.

    Args:
        anchors: `[A, 4]`, in the unit of the boxes.
        boxes: `[B, M, 4]`, M at least 1.
        classes: `[B, M]`, from 0; -1 is padding, -2 a region where nothing counts: an
            unmatched anchor of whose area at least `threshold` is inside one is
            neither an object nor background.
        threshold: Least intersection over union.
    """
    anchors = ops.cast(anchors, "float32")
    boxes = ops.cast(boxes, "float32")
    classes = ops.cast(classes, "int32")
    real = classes >= 0
    overlaps = ops.where(real[..., None], box_ops.iou(boxes, anchors), 0.0)
    owners = ops.argmax(overlaps, axis=1)
    matched = ops.max(overlaps, axis=1) >= threshold
    if force:
        forced = _forced(overlaps)
        owners = ops.where(forced >= 0, forced, owners)
        matched = ops.logical_or(matched, forced >= 0)
    found = ops.take_along_axis(classes, owners, axis=1) + 1
    outside = ops.where(_ignored(anchors, boxes, classes, threshold), -1, 0)
    index = ops.broadcast_to(owners[..., None], (*ops.shape(owners), 4))
    return Matches(
        classes=ops.where(matched, found, outside),
        boxes=ops.where(
            matched[..., None], ops.take_along_axis(boxes, index, axis=1), anchors
        ),
    )


def _ignored(anchors, boxes, classes, threshold: float):
    """Whether enough of an anchor is in a region that does not count, `[B, A]`."""
    common = box_ops.intersection(boxes, anchors)
    common = ops.where((classes == box_kinds.NOT_COUNTED)[..., None], common, 0.0)
    largest = ops.max(common, axis=1)
    return ops.logical_and(largest > 0.0, largest >= threshold * box_ops.area(anchors))


def _forced(overlaps):
    """The box that takes each anchor, `[B, A]`; -1 where none does.

    In every round, the boxes and anchors that are each other's largest overlap among
    those still free are paired. The largest of all overlaps always is such a pair.
    """
    batch, count, anchors = ops.shape(overlaps)
    numbers = ops.arange(count, dtype="int32")[:, None]
    anchor_numbers = ops.arange(anchors, dtype="int32")

    def unfinished(owners, waiting):
        del owners
        return ops.any(waiting)

    def pair(owners, waiting):
        free = ops.where((owners < 0)[:, None, :], overlaps, 0.0)
        free = ops.where(waiting[..., None], free, 0.0)
        waiting = ops.logical_and(waiting, ops.max(free, axis=2) > 0.0)
        wanted = ops.where(waiting, ops.argmax(free, axis=2), -1)
        wanting = ops.where(owners < 0, ops.argmax(free, axis=1), -1)
        pairs = ops.logical_and(
            wanted[..., None] == anchor_numbers, wanting[:, None, :] == numbers
        )
        owners = ops.where(ops.any(pairs, axis=1), wanting, owners)
        return owners, ops.logical_and(waiting, ops.logical_not(ops.any(pairs, axis=2)))

    owners, _ = ops.while_loop(
        unfinished,
        pair,
        (
            ops.full((batch, anchors), -1, dtype="int32"),
            ops.max(overlaps, axis=2) > 0.0,
        ),
        maximum_iterations=count,
    )
    return owners
