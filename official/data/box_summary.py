"""What a dataset with boxes holds, counted once before it is learned from."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from official.data import boxes
from official.ops import box_kinds

_SIDES = (32.0, 96.0)
"""Side in pixels from which COCO calls an object medium, and large:
https://cocodataset.org/#detection-eval."""


class Image(NamedTuple):
    """What is known of one image: its size, clean objects, and what was wrong."""

    image_id: str
    size: boxes.Size
    objects: boxes.Objects
    problems: boxes.Problems


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """Counts of a split.

    Attributes:
        images: Those that are counted.
        total: All of the split; more than `images` where only the first are counted.
        empty: Images without an object that is learned.
        most: Boxes in the fullest image, of all kinds.
        classes: Objects that are learned, by the name of their class; all classes, in
            the order of their ids.
        crowds: Boxes around many objects.
        difficult: Boxes that are marked so.
        sizes: Objects that are learned by COCO's sizes: small, medium, large.
        sides: Root of a box's share of its image: a tenth quantile, the median and a
            ninth quantile, 0..1; NaN where there is no object.
        problems: Boxes by what was wrong with them, see `boxes`.
        first: By the same, the `image_id` of the first image with such a box.
    """

    images: int
    total: int
    empty: int
    most: int
    classes: Mapping[str, int]
    crowds: int
    difficult: int
    sizes: Mapping[str, int]
    sides: tuple[float, float, float]
    problems: Mapping[str, int]
    first: Mapping[str, str]


def summarize(
    images: Iterable[Image], class_names: Sequence[str], *, total: int
) -> Summary:
    """Counts images of a split, which has `total`."""
    count = empty = most = crowds = difficult = 0
    problems: collections.Counter[str] = collections.Counter()
    first: dict[str, str] = {}
    classes, areas, shares = [], [], []
    for image in images:
        found = image.objects
        learned = found.kinds == box_kinds.OBJECT
        count += 1
        empty += not learned.any()
        most = max(most, len(found))
        crowds += int((found.kinds == box_kinds.CROWD).sum())
        difficult += int((found.kinds == box_kinds.DIFFICULT).sum())
        problems += image.problems
        first = dict.fromkeys(image.problems, image.image_id) | first
        classes.append(found.classes[learned])
        areas.append(found.areas[learned])
        sides = (found.boxes[:, 2:] - found.boxes[:, :2])[learned]
        shares.append(sides.prod(axis=1) / np.prod(image.size))
    number = np.bincount(np.concatenate(classes), minlength=len(class_names))
    return Summary(
        images=count,
        total=total,
        empty=empty,
        most=most,
        classes=dict(zip(class_names, number.tolist(), strict=True)),
        crowds=crowds,
        difficult=difficult,
        sizes=_sizes(np.concatenate(areas)),
        sides=_quantiles(np.sqrt(np.concatenate(shares))),
        problems=dict(problems),
        first=first,
    )


def _sizes(areas: np.ndarray) -> dict[str, int]:
    bounds = np.square([0.0, *_SIDES, np.inf])
    number, _ = np.histogram(areas, bounds)
    return dict(zip(("small", "medium", "large"), number.tolist(), strict=True))


def _quantiles(sides: np.ndarray) -> tuple[float, float, float]:
    if not sides.size:
        return (float("nan"),) * 3
    low, middle, high = np.quantile(sides, [0.1, 0.5, 0.9]).tolist()
    return low, middle, high
