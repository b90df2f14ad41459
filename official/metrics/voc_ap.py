"""Average precision as PASCAL VOC counts it."""

from collections.abc import Sequence

import numpy as np

from official.metrics import detections

OVERLAP = 0.5
"""Least intersection over union of a detection that is right."""


def by_class(
    images: Sequence[detections.Image], *, classes: int, eleven_points: bool = False
) -> np.ndarray:
    """Average precision of each class `[K]`; NaN for one without objects.

    Everingham et al., 2010, "The PASCAL Visual Object Classes (VOC) Challenge",
    section 4.2, and the development kit of 2012: detections are gone through by score;
    each is held against the true box of its class that it overlaps most, is right if
    that is by more than half or just half and the box has not been found before, and
    does not count if that box is difficult (or a crowd). Boxes are continuous here; the
    kit's are whole pixels, ends included.

    Args:
        eleven_points: The mean of the best precision at recalls 0, 0.1, ..., 1, as VOC
            did until 2009, instead of the area under the curve.
    """
    return np.array(
        [_average_precision(images, k, eleven_points) for k in range(classes)]
    )


def _average_precision(
    images: Sequence[detections.Image], class_id: int, eleven_points: bool
) -> float:
    objects = 0
    scores: list[float] = []
    right: list[bool] = []
    counted: list[bool] = []
    for image in images:
        truths = image.classes == class_id
        needed = image.kinds[truths] == detections.OBJECT
        objects += int(needed.sum())
        chosen = image.found_classes == class_id
        table = detections.overlaps(image.found[chosen], image.boxes[truths])
        taken = np.zeros(len(needed), bool)
        for score, row in zip(image.scores[chosen], table, strict=True):
            best = int(row.argmax()) if len(row) else -1
            hit = best >= 0 and bool(row[best] >= OVERLAP)
            scores.append(float(score))
            counted.append(not hit or bool(needed[best]))
            right.append(hit and bool(needed[best]) and not taken[best])
            if hit:
                taken[best] = True
    if not objects:
        return float("nan")
    order = np.argsort(-np.asarray(scores), kind="stable")
    order = order[np.asarray(counted, bool)[order]]
    hits = np.cumsum(np.asarray(right, bool)[order])
    recall = hits / objects
    precision = hits / np.arange(1, len(hits) + 1)
    if eleven_points:
        levels = np.linspace(0, 1, 11)
        # Recalls are ratios of integers: their rounding must not miss a level.
        reached = [precision[recall >= level - 1e-9] for level in levels]
        return float(np.mean([values.max(initial=0) for values in reached]))
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(np.concatenate([[0.0], recall]))
    return float((steps * envelope).sum())
