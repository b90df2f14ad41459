"""Non-maximum suppression."""

# B batch, A anchors, K classes, T detections of an image

from keras import ops

from official.ops import boxes as box_ops

_GONE = -1.0


def class_wise(
    boxes,
    scores,
    *,
    score_threshold: float,
    iou_threshold: float,
    per_class: int,
    total: int,
):
    """Keeps the best boxes of each class that no better box of the class overlaps.

    Greedy and exact: every anchor is a candidate of every class. The results are those
    of `TFLite_Detection_PostProcess` with regular suppression: a score must be at least
    `score_threshold`, an intersection over union above `iou_threshold` suppresses, and
    of equal scores the lower index counts more (of classes, then of anchors).

    Each step takes the best candidate of all classes. That gives what the best `total`
    of all classes' own results are, and stops as soon as they are found.

    Args:
        boxes: `[B, A, 4]`, in any unit.
        scores: `[B, A, K]`, not negative.
        score_threshold: Least score; at least 0.
        iou_threshold: Largest overlap within a class.
        per_class: Largest number of boxes of one class in an image.
        total: T, largest number of boxes in an image.

    Returns:
        "boxes_yxyx" `[B, T, 4]`, "class_ids" int32 `[B, T]`, "scores" `[B, T]` by
        descending score, and "count" int32 `[B]`; what is beyond the count is zero.
    """
    boxes = ops.cast(boxes, "float32")
    scores_BKA = ops.transpose(ops.cast(scores, "float32"), (0, 2, 1))
    scores_BKA = ops.where(scores_BKA >= score_threshold, scores_BKA, _GONE)
    batch, classes, _ = ops.shape(scores_BKA)
    images = ops.arange(batch, dtype="int32")
    class_numbers = ops.arange(classes, dtype="int32")
    places = ops.arange(total, dtype="int32")

    def unfinished(step, remaining, leaders, *found):
        del step, remaining, found
        return ops.any(leaders >= 0.0)

    def take_best(step, remaining, leaders, leader_ids, counts, *found):
        score, class_id = ops.top_k(leaders, 1)
        class_id = ops.cast(class_id[:, 0], "int32")
        anchor = ops.take_along_axis(leader_ids, class_id[:, None], axis=1)
        place = ops.stack([images, class_id], axis=1)
        row = _rows(remaining, class_id)
        index = ops.broadcast_to(anchor[..., None], (batch, 1, 4))
        best = ops.take_along_axis(boxes, index, axis=1)
        suppressed = box_ops.iou(best, boxes)[:, 0] > iou_threshold
        itself = ops.arange(ops.shape(row)[1], dtype="int32") == anchor
        row = ops.where(ops.logical_or(suppressed, itself), _GONE, row)
        chosen = class_numbers == class_id[:, None]
        counts = counts + ops.cast(chosen, "int32")
        leader, leader_id = ops.top_k(row, 1)
        leader = ops.where(
            ops.take_along_axis(counts, class_id[:, None], axis=1) < per_class,
            leader,
            _GONE,
        )
        here = places == step
        new = (score, class_id[:, None], anchor)
        return (
            step + 1,
            ops.scatter_update(remaining, place, row),
            ops.where(chosen, leader, leaders),
            ops.where(chosen, ops.cast(leader_id, "int32"), leader_ids),
            counts,
            *(ops.where(here, a, b) for a, b in zip(new, found, strict=True)),
        )

    leaders, leader_ids = ops.top_k(scores_BKA, 1)
    nothing = ops.zeros((batch, total), dtype="int32")
    *_, kept_scores, class_ids, anchors = ops.while_loop(
        unfinished,
        take_best,
        (
            0,
            scores_BKA,
            leaders[..., 0],
            ops.cast(leader_ids[..., 0], "int32"),
            ops.zeros((batch, classes), dtype="int32"),
            ops.full((batch, total), _GONE, dtype="float32"),
            nothing,
            nothing,
        ),
        maximum_iterations=total,
    )
    kept = kept_scores >= 0.0
    index = ops.broadcast_to(anchors[..., None], (batch, total, 4))
    found_boxes = ops.take_along_axis(boxes, index, axis=1)
    return {
        "boxes_yxyx": ops.where(kept[..., None], found_boxes, 0.0),
        "class_ids": ops.where(kept, class_ids, 0),
        "scores": ops.where(kept, kept_scores, 0.0),
        "count": ops.sum(ops.cast(kept, "int32"), axis=1),
    }


def _rows(scores_BKA, class_ids):
    """The candidates of one class of each image, `[B, A]`."""
    batch, _, anchors = ops.shape(scores_BKA)
    index = ops.broadcast_to(class_ids[:, None, None], (batch, 1, anchors))
    return ops.take_along_axis(scores_BKA, index, axis=1)[:, 0]
