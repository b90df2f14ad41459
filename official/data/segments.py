"""Maps of segments, as COCO's panoptic form has them, to classes and instances."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from official import failures
from official.data import base
from official.ops import panoptic

VOID = 0
"""The number of no segment."""


class Segments(NamedTuple):
    """The segments of an image.

    Attributes:
        numbers: int32 `[N]`, by which the map calls them.
        classes: int32 `[N]`.
        crowds: bool `[N]`, whether it is many things that nobody told apart.
    """

    numbers: np.ndarray
    classes: np.ndarray
    crowds: np.ndarray


def numbers(colors: np.ndarray) -> np.ndarray:
    """Numbers int32 `[H, W]` written as colors uint8 `[H, W, 3]`: R + 256 G + 65536 B.

    https://cocodataset.org/#format-data, section 4.
    """
    red, green, blue = np.moveaxis(colors.astype(np.int32), -1, 0)
    return red + (green << 8) + (blue << 16)


def labels(
    stored: np.ndarray,
    found: Segments,
    thing_ids: Collection[int],
    *,
    path: object,
    source: object,
) -> tuple[np.ndarray, np.ndarray]:
    """Classes and instances, int32 `[H, W]`, of a map of segments.

    Things that are no crowd are numbered from 1, in the order of `found`. A segment
    without a pixel is nowhere in the results.

    Args:
        stored: Numbers of the segments, int32 `[H, W]`; `VOID` is unlabelled.
        found: All segments of the map.
        path: Of the map, for the message.
        source: Of `found`, likewise.

    Raises:
        failures.DataError: At the first pixel of a segment that is not in `found`, or
            as `consecutive`.
    """
    things = np.isin(found.classes, list(thing_ids)) & ~found.crowds
    instances = np.where(things, np.cumsum(things), 0)
    order = np.argsort(found.numbers)
    known = np.append(VOID, found.numbers[order])
    classes = np.append(base.IGNORE_LABEL, found.classes[order]).astype(np.int32)
    instances = np.append(0, instances[order]).astype(np.int32)
    places = np.minimum(np.searchsorted(known, stored), len(known) - 1)
    wrong = known[places] != stored
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise failures.DataError(
            f"{path}: segment {stored[row, column]} at row {row}, column {column} is "
            f"not among the {len(found.numbers)} that {source} has for this image; "
            "export both again (0 is for pixels without a segment)"
        )
    instance = instances[places]
    if instance.max(initial=0) >= panoptic.LABEL_DIVISOR:
        instance = consecutive(instance, path=path)  # some may have no pixel
    return classes[places], instance


def consecutive(instances: np.ndarray, *, path: object) -> np.ndarray:
    """Numbers int32 `[H, W]`, in their order from 1 without gaps; 0 stays.

    Args:
        instances: Integers `[H, W]`.
        path: Of the map, for the message.

    Raises:
        failures.DataError: If there are more than a panoptic map can hold.
    """
    found = np.zeros(instances.shape, np.int32)
    inside = instances > 0
    numbers, places = np.unique(instances[inside], return_inverse=True)
    if len(numbers) >= panoptic.LABEL_DIVISOR:
        raise failures.DataError(
            f"{path}: {len(numbers)} things, and an image may have "
            f"{panoptic.LABEL_DIVISOR - 1}; cut the image into parts, or make a crowd "
            "of some (iscrowd 1; in a map of instances 0)"
        )
    found[inside] = 1 + places
    return found
