"""How many detections of two predictors the other has, too."""

import numpy as np

from official.metrics import detections
from official.tasks import base

_SURE = 0.5
_OVERLAP = 0.5


def counts(ours: base.Predictions, theirs: base.Predictions) -> tuple[int, int]:
    """Detections that the other has, too, and all detections, of both sides.

    Those with a score of 0.5 or more are asked for; the other has one if it is of the
    same class, overlaps by a half and has half that score. An image in which neither
    side sees anything is one decision that is equal.
    """
    equal = total = 0
    for row in range(len(ours["count"])):
        mine, other = _of_image(ours, row), _of_image(theirs, row)
        pairs = [_confirmed(mine, other), _confirmed(other, mine)]
        asked = sum(len(pair) for pair in pairs)
        equal += sum(int(pair.sum()) for pair in pairs) if asked else 1
        total += asked or 1
    return equal, total


def _of_image(predictions: base.Predictions, row: int) -> tuple[np.ndarray, ...]:
    count = int(predictions["count"][row])
    return tuple(
        np.asarray(predictions[name][row][:count])
        for name in ("boxes_yxyx", "class_ids", "scores")
    )


def _confirmed(
    asked: tuple[np.ndarray, ...], other: tuple[np.ndarray, ...]
) -> np.ndarray:
    """Whether each sure detection of one side is found by the other."""
    boxes, classes, scores = asked
    sure = scores >= _SURE
    known = other[2] >= _SURE / 2
    table = detections.overlaps(boxes[sure], other[0][known])
    same = classes[sure][:, None] == other[1][known][None]
    return ((table >= _OVERLAP) & same).any(axis=1)
