"""From the rows of a paper's table to the blocks of a network."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Protocol, Self, TypeVar


class Repeated(Protocol):
    """A row that stands for several blocks; a `NamedTuple`.

    Attributes:
        repeats: Number of blocks.
        stride: Of the first of them; the others have 1.
    """

    @property
    def repeats(self) -> int: ...

    @property
    def stride(self) -> int: ...

    def _replace(self, *, stride: int) -> Self: ...


Row = TypeVar("Row", bound=Repeated)


def one_a_block(rows: Iterable[Row]) -> Iterator[Row]:
    """Each row as often as it has blocks, with the stride of the block."""
    for row in rows:
        yield row
        yield from itertools.repeat(row._replace(stride=1), row.repeats - 1)


def make_divisible(value: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `value`, at least 0.9 times it.

    The rounding of widths in all MobileNet code.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded
