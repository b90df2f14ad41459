"""Average precision as PASCAL VOC counts it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from official.metrics import detections
from official.ops import box_kinds

OVERLAP = 0.5
"""Least intersection over union of a detection that is right."""


class Curve(NamedTuple):
    """Precision and recall of a class after each detection that counts, by score."""

    precision: np.ndarray
    recall: np.ndarray

    def area(self) -> float:
        """Under the curve, its precision made monotonous: VOC since 2010."""
        envelope = np.maximum.accumulate(self.precision[::-1])[::-1]
        steps = np.diff(np.concatenate([[0.0], self.recall]))
        return float((steps * envelope).sum())

    def eleven_points(self) -> float:
        """Mean of the best precision at recalls 0, 0.1, ..., 1: VOC until 2009."""
        # Recalls are ratios of integers: their rounding must not miss a level.
        levels = np.linspace(0, 1, 11) - 1e-9
        reached = [self.precision[self.recall >= level] for level in levels]
        return float(np.mean([values.max(initial=0) for values in reached]))


def curves(images: Sequence[detections.Image], *, classes: int) -> list[Curve | None]:
    """The curve of each class; None for one without objects.

    Everingham et al., 2010, "The PASCAL Visual Object Classes (VOC) Challenge",
    section 4.2, and the development kit of 2012: detections are gone through by score;
    each is held against the true box of its class that it overlaps most, is right if
    that is by more than half or just half and the box has not been found before, and
    does not count if that box is difficult (or a crowd). Boxes are continuous here; the
    kit's are whole pixels, ends included.
    """
    return [_curve(images, class_id) for class_id in range(classes)]


def _curve(images: Sequence[detections.Image], class_id: int) -> Curve | None:
    objects = 0
    scores: list[float] = []
    right: list[bool] = []
    counted: list[bool] = []
    for image in images:
        truths = image.classes == class_id
        needed = image.kinds[truths] == box_kinds.OBJECT
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
        return None
    order = np.argsort(-np.asarray(scores), kind="stable")
    order = order[np.asarray(counted, bool)[order]]
    hits = np.cumsum(np.asarray(right, bool)[order])
    return Curve(precision=hits / np.arange(1, len(hits) + 1), recall=hits / objects)
