"""Boxes as people annotate them: cleaned, counted, turned with their image.

Boxes are `[N, 4]`, ymin, xmin, ymax, xmax in pixels; a size is height and width.
"""

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from official.ops import box_kinds

Size = tuple[int, int]

NOT_A_NUMBER = "a coordinate is not a number"
NO_AREA = "without area"
OUTSIDE = "outside of the image"
CLIPPED = "clipped at the edge of the image"
LEFT_OUT = "of classes that are left out"
"""What `clean` counts. Boxes of all but `CLIPPED` are dropped."""

Problems = collections.Counter[str]

_ROUNDING = 0.1
"""Pixels that a box may reach out of the image before it counts as clipped: files store
coordinates with two decimals, or shares with six."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Objects:
    """What is annotated in one image, as it is written.

    Attributes:
        boxes: float64 `[N, 4]`; anything may stand in it.
        classes: int32 `[N]`, -1 for a class that is left out.
        kinds: int32 `[N]`, `box_kinds.OBJECT` and so on.
        areas: float64 `[N]`, pixels of each object; NaN where nothing is written.
    """

    boxes: np.ndarray
    classes: np.ndarray
    kinds: np.ndarray
    areas: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)


def objects(
    boxes: npt.ArrayLike,
    classes: Sequence[int],
    *,
    kinds: npt.ArrayLike | None = None,
    areas: npt.ArrayLike | None = None,
) -> Objects:
    """`Objects` of plain numbers; without kinds single objects, of unknown area."""
    count = len(classes)
    return Objects(
        boxes=np.asarray(boxes, np.float64).reshape(count, 4),
        classes=np.asarray(classes, np.int32).reshape(count),
        kinds=np.asarray(
            [box_kinds.OBJECT] * count if kinds is None else kinds, np.int32
        ),
        areas=np.asarray([np.nan] * count if areas is None else areas, np.float64),
    )


def clean(found: Objects, size: Size) -> tuple[Objects, Problems]:
    """What of some objects can be used, as the table of `base` wants it.

    Boxes that are no numbers, have no area or lie outside are dropped, those that reach
    out are clipped; an unknown area becomes that of the box. All arrays are float32 and
    int32.

    Args:
        size: Of the image.

    Returns:
        The objects that remain, and how many had which problem.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        written = found.boxes.astype(np.float32)
        bounds = np.array([*size, *size], np.float32)
        clipped = np.clip(written, 0.0, bounds)
        state = np.select(
            [
                found.classes < 0,
                ~np.isfinite(written).all(axis=1),
                ~_has_area(written),
                ~_has_area(clipped),
                np.abs(clipped - written).max(axis=1, initial=0.0) > _ROUNDING,
            ],
            [LEFT_OUT, NOT_A_NUMBER, NO_AREA, OUTSIDE, CLIPPED],
            default="",
        )
    kept = np.isin(state, ("", CLIPPED))
    remaining = clipped[kept]
    sides = remaining[:, 2:] - remaining[:, :2]
    areas = found.areas[kept].astype(np.float32)
    cleaned = Objects(
        boxes=remaining,
        classes=found.classes[kept],
        kinds=found.kinds[kept],
        areas=np.where(np.isfinite(areas), areas, sides[:, 0] * sides[:, 1]),
    )
    return cleaned, Problems(str(name) for name in state if name)


def _has_area(boxes: np.ndarray) -> np.ndarray:
    return np.all(boxes[:, 2:] > boxes[:, :2], axis=1)


def upright(boxes: np.ndarray, orientation: int, size: Size) -> np.ndarray:
    """Boxes of pixels as they are stored, in the image once it stands upright.

    Args:
        boxes: `[N, 4]`.
        orientation: As EXIF numbers them, 1 to 8.
        size: Of the stored image.
    """
    height, width = size
    top, left, bottom, right = np.moveaxis(boxes, -1, 0)
    below, beyond = (height - bottom, height - top), (width - right, width - left)
    rows, columns = (top, bottom), (left, right)
    first, second = {
        1: (rows, columns),
        2: (rows, beyond),
        3: (below, beyond),
        4: (below, columns),
        5: (columns, rows),
        6: (columns, below),
        7: (beyond, below),
        8: (beyond, rows),
    }[orientation]
    return np.stack([first[0], second[0], first[1], second[1]], axis=-1)
