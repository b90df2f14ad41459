"""Panoptic quality of images, by the rules of COCO's panopticapi, NumPy.

Kirillov et al., 2018, https://arxiv.org/abs/1801.00868, section 4, and
https://github.com/cocodataset/panopticapi, `evaluation.py`.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from official.ops import panoptic

_MATCH = 0.5  # a segment has at most one partner above it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counts:
    """What is right and wrong, of each class `[C]`.

    Attributes:
        tp: Pairs of a true and a predicted segment.
        fp: Predicted segments without a partner.
        fn: True segments without a partner.
        iou: Sum of the intersections over union of the pairs.
    """

    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray
    iou: np.ndarray

    @classmethod
    def nothing(cls, classes: int) -> "Counts":
        zeros = np.zeros(classes, np.int64)
        return cls(tp=zeros, fp=zeros, fn=zeros, iou=np.zeros(classes))

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            tp=self.tp + other.tp,
            fp=self.fp + other.fp,
            fn=self.fn + other.fn,
            iou=self.iou + other.iou,
        )

    @property
    def occurring(self) -> np.ndarray:
        """Whether a class is in the truth or predicted, bool `[C]`."""
        return self.tp + self.fp + self.fn > 0

    def quality(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """PQ, SQ and RQ of each class; 0 for one that does not occur."""
        segmentation = self.iou / np.maximum(self.tp, 1)
        recognition = self.tp / np.maximum(self.tp + (self.fp + self.fn) / 2, 0.5)
        return segmentation * recognition, segmentation, recognition


@dataclasses.dataclass(frozen=True, kw_only=True)
class Overlaps:
    """The segments of one image and what they share; void is none of them.

    G true segments, P predicted ones; areas are pixels.

    Attributes:
        true_classes: `[G]`.
        predicted_classes: `[P]`.
        crowds: Whether a true segment is a crowd, `[G]`.
        shared: `[G, P]`.
        true_areas: `[G]`.
        predicted_areas: `[P]`.
        void: Of each predicted segment, what lies on void of the truth, `[P]`.
    """

    true_classes: np.ndarray
    predicted_classes: np.ndarray
    crowds: np.ndarray
    shared: np.ndarray
    true_areas: np.ndarray
    predicted_areas: np.ndarray
    void: np.ndarray


def overlaps(
    truth: np.ndarray, prediction: np.ndarray, *, thing_ids: Sequence[int]
) -> Overlaps:
    """From two panoptic maps `[H, W]`.

    A segment of a thing class with the instance 0 in the truth is a crowd.
    """
    rows, columns, table = panoptic.shared_areas(truth, prediction)
    true, predicted = rows != panoptic.VOID, columns != panoptic.VOID
    ids = rows[true]
    classes = ids // panoptic.LABEL_DIVISOR
    crowds = np.isin(classes, thing_ids) & (ids % panoptic.LABEL_DIVISOR == 0)
    return Overlaps(
        true_classes=classes,
        predicted_classes=columns[predicted] // panoptic.LABEL_DIVISOR,
        crowds=crowds,
        shared=table[true][:, predicted],
        true_areas=table[true].sum(axis=1),
        predicted_areas=table[:, predicted].sum(axis=0),
        void=table[~true][:, predicted].sum(axis=0),
    )


def count(found: Overlaps, *, classes: int) -> Counts:
    """The counts of one image.

    - A true and a predicted segment of a class are a pair if their intersection over
      union is more than a half; the union is without what of the prediction lies on
      void.
    - A crowd is never a pair and never missed.
    - A predicted segment of no pair is no mistake if more than half of it lies on void
      and crowds of its class. panopticapi knows one crowd of a class in an image, here
      all are one segment.

    Raises:
        ValueError: If a class is outside `0..classes - 1`.
    """
    for ids, what in (
        (found.true_classes, "truth"),
        (found.predicted_classes, "prediction"),
    ):
        if ids.size and ids.max() >= classes:
            raise ValueError(
                f"the {what} has a segment of class {ids.max()}, outside "
                f"0..{classes - 1}"
            )
    same = found.true_classes[:, None] == found.predicted_classes[None]
    union = (
        found.true_areas[:, None] + found.predicted_areas - found.shared - found.void
    )
    iou = found.shared / np.maximum(union, 1)
    pairs = same & ~found.crowds[:, None] & (iou > _MATCH)
    excused = found.void + (found.shared * (same & found.crowds[:, None])).sum(axis=0)
    wrong = ~pairs.any(axis=0) & (2 * excused <= found.predicted_areas)
    missed = ~pairs.any(axis=1) & ~found.crowds
    true, _ = np.nonzero(pairs)
    of_pairs = found.true_classes[true]
    return Counts(
        tp=np.bincount(of_pairs, minlength=classes),
        fp=np.bincount(found.predicted_classes[wrong], minlength=classes),
        fn=np.bincount(found.true_classes[missed], minlength=classes),
        iou=np.bincount(of_pairs, weights=iou[pairs], minlength=classes),
    )


def constant_counts(found: Overlaps, *, pixels: int, classes: int) -> Counts:
    """Row c: the counts of class c if all of the image were one segment of it.

    Of the other classes all is missed then. Only the truth of `found` matters.

    Args:
        pixels: Of the image.
    """
    things = ~found.crowds
    counted = int(found.true_areas.sum())
    share = found.true_areas / max(counted, 1)
    pairs = things & (share > _MATCH)
    tp = np.bincount(found.true_classes[pairs], minlength=classes)
    crowds = np.bincount(
        found.true_classes[found.crowds],
        weights=found.true_areas[found.crowds],
        minlength=classes,
    )
    excused = 2 * (pixels - counted + crowds) > pixels
    total = np.bincount(found.true_classes[things], minlength=classes)
    return Counts(
        tp=tp,
        fp=((tp == 0) & ~excused).astype(np.int64),
        fn=total - tp,
        iou=np.bincount(
            found.true_classes[pairs], weights=share[pairs], minlength=classes
        ),
    )
