"""Detections and truths of a data set, gathered for the evaluators."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from official.ops import box_kinds


@dataclasses.dataclass(frozen=True, kw_only=True)
class Image:
    """One image; boxes are `[N, 4]`: ymin, xmin, ymax, xmax in pixels, float64.

    Attributes:
        name: Of the image.
        size: Height and width.
        boxes: True ones.
        classes: Of these, int `[N]`.
        kinds: Of these, of `official.ops.box_kinds`.
        areas: Of these, in pixels: what small and large is told by.
        found: Boxes of the detections, the highest score first.
        found_classes: Of these.
        scores: Of these.
    """

    name: str
    size: tuple[int, int]
    boxes: np.ndarray
    classes: np.ndarray
    kinds: np.ndarray
    areas: np.ndarray
    found: np.ndarray
    found_classes: np.ndarray
    scores: np.ndarray


class Match(NamedTuple):
    """A true object and a detection, either of them or both: their classes, or None."""

    truth: int | None
    prediction: int | None


def of_batch(
    targets: Mapping[str, Any], predictions: Mapping[str, Any]
) -> Iterator[Image]:
    """The images of a batch.

    Args:
        targets: "boxes" `[B, M, 4]` in pixels, "box_classes", "box_kinds" and
            "box_areas" `[B, M]`, of which the first "box_count" `[B]` count; "size"
            `[B, 2]`, "image_id" `[B]`.
        predictions: "boxes_yxyx" `[B, N, 4]` in shares of the sides, "class_ids" and
            "scores" `[B, N]`, of which the first "count" `[B]` count.
    """
    for row in range(len(targets["box_count"])):
        known, count = int(targets["box_count"][row]), int(predictions["count"][row])
        height, width = (int(side) for side in targets["size"][row])
        found = np.asarray(predictions["boxes_yxyx"][row][:count], np.float64)
        scores = np.asarray(predictions["scores"][row][:count], np.float64)
        order = np.argsort(-scores, kind="stable")
        name = targets["image_id"][row]
        yield Image(
            name=name.decode() if isinstance(name, bytes) else str(name),
            size=(height, width),
            boxes=np.asarray(targets["boxes"][row][:known], np.float64),
            classes=np.asarray(targets["box_classes"][row][:known], np.int64),
            kinds=np.asarray(targets["box_kinds"][row][:known], np.int64),
            areas=np.asarray(targets["box_areas"][row][:known], np.float64),
            found=(found * [height, width, height, width])[order],
            found_classes=np.asarray(predictions["class_ids"][row][:count], np.int64)[
                order
            ],
            scores=scores[order],
        )


def overlaps(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Intersection over union `[N, M]` of boxes `[N, 4]` and `[M, 4]`, NumPy."""
    low = np.maximum(ours[:, None, :2], theirs[None, :, :2])
    high = np.minimum(ours[:, None, 2:], theirs[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    areas = [
        np.prod(np.maximum(b[:, 2:] - b[:, :2], 0), axis=-1) for b in (ours, theirs)
    ]
    union = areas[0][:, None] + areas[1][None] - shared
    return shared / np.maximum(union, 1e-12)


def matches(image: Image, *, min_score: float, min_iou: float) -> Iterator[Match]:
    """Pairs each object with the detection that overlaps it most, whatever its class.

    The pairs with the largest overlap are made first. A detection on something that
    does not count (a crowd, a difficult object) is left out.

    Args:
        min_score: Detections below it are left out.
        min_iou: Least overlap of a pair.
    """
    kept = image.scores >= min_score
    found, classes = image.found[kept], image.found_classes[kept]
    objects = image.kinds == box_kinds.OBJECT
    table = overlaps(image.boxes[objects], found)
    truths = image.classes[objects]
    open_truths, open_found = set(range(len(truths))), set(range(len(found)))
    for place in np.argsort(-table, axis=None, kind="stable"):
        truth, detection = (int(i) for i in np.unravel_index(place, table.shape))
        if table[truth, detection] < min_iou:
            break
        if truth in open_truths and detection in open_found:
            open_truths.remove(truth)
            open_found.remove(detection)
            yield Match(int(truths[truth]), int(classes[detection]))
    for truth in sorted(open_truths):
        yield Match(int(truths[truth]), None)
    excused = _covered(found, image.boxes[~objects]) >= min_iou
    for detection in sorted(open_found):
        if not excused[detection]:
            yield Match(None, int(classes[detection]))


def f1(image: Image, *, min_score: float, min_iou: float) -> float:
    """Of one image: twice what is found rightly, by all that is there and is found.

    An image in which nothing is and nothing is found has 1.

    Args:
        min_score: As for `matches`.
        min_iou: Likewise.
    """
    pairs = list(matches(image, min_score=min_score, min_iou=min_iou))
    right = sum(each.truth == each.prediction for each in pairs)
    there = sum(each.truth is not None for each in pairs)
    said = sum(each.prediction is not None for each in pairs)
    return 2 * right / (there + said) if pairs else 1.0


def _covered(boxes: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """The largest share of each box that lies on one region."""
    if not len(regions):
        return np.zeros(len(boxes))
    low = np.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    area = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-12), axis=-1)
    return (shared / area[:, None]).max(axis=1)
