"""Stored labels, numbers or colors, to class ids."""

from collections.abc import Mapping, Sequence

import numpy as np

from official import failures
from official.data import base, decoding, encoded


def from_numbers(
    stored: np.ndarray, allowed: Mapping[int, int], *, path: object
) -> np.ndarray:
    """Class ids int32 `[H, W]` of the stored numbers.

    Args:
        stored: Integers `[H, W]`.
        allowed: Class id, or `IGNORE_LABEL`, of each number that may occur.
        path: Of the file, for the message.

    Raises:
        failures.DataError: At the first pixel with another number.
    """
    table = np.full(max(allowed) + 2, -1, np.int32)  # the last entry: anything else
    table[list(allowed)] = list(allowed.values())
    class_ids = table[np.clip(stored, -1, len(table) - 1)]
    if class_ids.min(initial=0) < 0:
        row, column = np.argwhere(class_ids < 0)[0]
        raise failures.DataError(
            f"{path}: label {stored[row, column]} at row {row}, column {column}; "
            f"want {_ranges(allowed)} (if it is no class: dataset.ignore_label, or a "
            "class named 'ignore' in the list)"
        )
    return class_ids


def from_colors(
    stored: np.ndarray, allowed: Mapping[base.Color, int], *, path: object
) -> np.ndarray:
    """Class ids int32 `[H, W]` of the colors.

    Args:
        stored: uint8 `[H, W, 3]`, RGB.
        allowed: Class id, or `IGNORE_LABEL`, of each color that may occur.
        path: Of the file, for the message.

    Raises:
        failures.DataError: At the first pixel with another color.
    """
    known = np.array(sorted(allowed), np.int32)
    ids = np.array([allowed[color] for color in sorted(allowed)], np.int32)
    place = np.array([1 << 16, 1 << 8, 1], np.int32)
    codes, pixels = known @ place, stored.astype(np.int32) @ place
    nearest = np.minimum(np.searchsorted(codes, pixels), len(codes) - 1)
    wrong = codes[nearest] != pixels
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        color = tuple(int(value) for value in stored[row, column])
        raise failures.DataError(
            f"{path}: color {color} at row {row}, column {column} is not in the list "
            "of classes; add it there, under the name 'ignore' if it is no class"
        )
    return ids[nearest]


def require_same_size(
    image: np.ndarray | encoded.Encoded, labels: np.ndarray, *, path: object
) -> None:
    """Refuses labels `[H, W]` of another size than their image `[H, W, 3]`.

    Raises:
        failures.DataError: Naming both sizes.
    """
    (height, width), (rows, columns) = image.shape[:2], labels.shape
    if (height, width) != (rows, columns):
        raise failures.DataError(
            f"{path} is {columns}x{rows}, its image {width}x{height} (width x height); "
            "labels need the size of their image"
        )


def turned(labels: np.ndarray, header: decoding.Header) -> np.ndarray:
    """A map `[H, W]` that lies as its image's stored pixels, upright as the image is.

    Args:
        labels: Of another size than the stored pixels, they are left as they are: they
            may be upright.
        header: Of the image.
    """
    if labels.shape != header.stored:
        return labels
    if header.orientation >= 5:
        labels = labels.T
    if header.orientation in (3, 4, 7, 8):
        labels = labels[::-1]
    if header.orientation in (2, 3, 6, 7):
        labels = labels[:, ::-1]
    return np.ascontiguousarray(labels)


def _ranges(numbers: Sequence[int] | Mapping[int, int]) -> str:
    """ "0..10, 255" for 0 to 10 and 255."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(
        f"{run[0]}..{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs
    )
