"""Maps of segments: which pixel belongs to which of the segments of an image."""

# B batch, P pixels, K segments

from keras import ops


def subsample(labels, size: tuple[int, int]):
    """The labels `[B, H, W]` of a coarser grid, `[B, h, w]`; none is made up.

    Sides are a whole factor f apart. Where H is odd and f (h - 1) + 1, the corners of
    both grids lie on each other and every f-th label is taken from the first on; where
    H is f h, the label in the middle of each cell (of an even number the second of the
    two) is taken.

    Raises:
        ValueError: If a side is neither.
    """
    rows, columns = labels.shape[1:3]
    if (rows, columns) == tuple(size):
        return labels
    first_row, row_step = _grid(rows, size[0])
    first_column, column_step = _grid(columns, size[1])
    return labels[:, first_row::row_step, first_column::column_step]


def _grid(fine: int, coarse: int) -> tuple[int, int]:
    """First place and step of a coarse side within a fine one."""
    if fine % 2 and coarse > 1 and (fine - 1) % (coarse - 1) == 0:
        return 0, (fine - 1) // (coarse - 1)
    if fine % coarse == 0:
        factor = fine // coarse
        return factor // 2, factor
    raise ValueError(
        f"labels of {fine} pixels a side for outputs of {coarse}: want a multiple of "
        f"{coarse}, or an odd number that is a multiple of {coarse - 1} and one more"
    )


def members(segments, count: int):
    """1 where a pixel belongs to a segment, float32 `[B, P, K]`; -1 belongs to none.

    Args:
        segments: int32 `[B, P]`, from 0.
        count: K.
    """
    return ops.one_hot(segments, count, dtype="float32")


def flat(values):
    """`[B, h, w, ...]` as `[B, P, ...]`."""
    shape = values.shape
    return ops.reshape(values, (-1, shape[1] * shape[2], *shape[3:]))
