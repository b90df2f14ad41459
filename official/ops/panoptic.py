"""Panoptic maps: one integer a pixel that says class and instance, NumPy.

A pixel is `class * LABEL_DIVISOR + instance`, as deeplab2 writes it. Stuff has the
instance 0; in a truth, a pixel of a thing class with the instance 0 belongs to a crowd.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

LABEL_DIVISOR = 1000
"""One more than the instances that an image can have."""

VOID = 255 * LABEL_DIVISOR
"""Of pixels without a class."""

_IDS = VOID + LABEL_DIVISOR


def encode(
    semantic: np.ndarray, instance: np.ndarray, *, ignore_label: int
) -> np.ndarray:
    """The panoptic map, int32.

    Args:
        semantic: Integers `[...]`, classes, or `ignore_label` where there is none.
        instance: Integers `[...]`, from 1: things; 0: none.

    Raises:
        ValueError: If an instance is no number below `LABEL_DIVISOR`, or a class none
            below 255.
    """
    semantic, instance = np.asarray(semantic), np.asarray(instance)
    known = semantic != ignore_label
    for values, limit, what in (
        (instance, LABEL_DIVISOR, "instances"),
        (semantic[known], VOID // LABEL_DIVISOR, "classes"),
    ):
        if values.size and not 0 <= values.min() <= values.max() < limit:
            raise ValueError(
                f"{what} run from {values.min()} to {values.max()}, outside "
                f"0..{limit - 1}: a panoptic map cannot hold them"
            )
    ids = semantic.astype(np.int32) * LABEL_DIVISOR + instance.astype(np.int32)
    return np.where(known, ids, np.int32(VOID))


def of_batch(
    targets: Mapping[str, Any], *, ignore_label: int
) -> Iterator[tuple[tuple[int | slice, ...], np.ndarray]]:
    """Of each image of a batch, where it is in the batch, and its panoptic map.

    Args:
        targets: "semantic" and "instance", `[B, H, W]`, padded; "size", the height and
            width of each image, `[B, 2]`.

    Raises:
        ValueError: As `encode`.
    """
    semantic, instance = (np.asarray(targets[n]) for n in ("semantic", "instance"))
    for row, (height, width) in enumerate(np.asarray(targets["size"]).tolist()):
        window = (row, slice(height), slice(width))
        ids = encode(semantic[window], instance[window], ignore_label=ignore_label)
        yield window, ids


def decode(panoptic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Classes, 255 where there is none, and instances of a panoptic map, int32."""
    semantic, instance = np.divmod(np.asarray(panoptic, np.int32), LABEL_DIVISOR)
    return semantic, instance


def segments(panoptic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ids that occur, sorted, int32 `[S]`, and the place among them of each pixel.

    As `np.unique` with the inverse, without sorting the pixels. Void is among the ids
    if it occurs.

    Raises:
        ValueError: If a pixel is no panoptic id.
    """
    panoptic = np.asarray(panoptic, np.int32)
    if panoptic.size and not 0 <= panoptic.min() <= panoptic.max() < _IDS:
        raise ValueError(
            f"panoptic ids run from {panoptic.min()} to {panoptic.max()}, outside "
            f"0..{_IDS - 1}"
        )
    ids = np.flatnonzero(np.bincount(panoptic.ravel(), minlength=_IDS))
    places = np.zeros(_IDS, np.int32)
    places[ids] = np.arange(len(ids))
    return ids.astype(np.int32), places[panoptic]


def shared_areas(
    ours: np.ndarray, theirs: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many pixels each segment of one map shares with each of another.

    Returns:
        The ids of ours `[S]`, those of theirs `[T]`, pixels int64 `[S, T]`.
    """
    rows, row = segments(ours)
    columns, column = segments(theirs)
    pairs = row.ravel().astype(np.int64) * len(columns) + column.ravel()
    counts = np.bincount(pairs, minlength=len(rows) * len(columns))
    return rows, columns, counts.reshape(len(rows), len(columns))


def without_small(
    panoptic: np.ndarray,
    *,
    thing_ids: tuple[int, ...],
    min_thing_area: float,
    min_stuff_area: float,
) -> np.ndarray:
    """The map with `VOID` in the place of segments of fewer pixels than wanted."""
    ids, place = segments(panoptic)
    areas = np.bincount(place.ravel(), minlength=len(ids))
    thing = np.isin(ids // LABEL_DIVISOR, thing_ids)
    small = areas < np.where(thing, min_thing_area, min_stuff_area)
    return np.where(small, np.int32(VOID), ids)[place]
