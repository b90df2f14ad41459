"""Which slot wins at each pixel of an image, from mask logits at a lower resolution.

Logits are enlarged bilinearly, pixel centers at half integers, as TFLite resizes, and
softmax and argmax are taken of the enlarged ones. Most cells between four neighbours of
the small map need not be enlarged for that. Within a cell the logits are averages of
those at its corners, with weights that are the same for all slots, so that

- a difference of two slots' logits stays between those at the corners,
- the logarithm of a slot's probability, a concave function of such differences, is at
  least the smallest at the corners,
- it is at most the slot's logit less the mean of all, less log N, as the logarithm of a
  sum of N powers is at least the mean of the exponents and log N.

What holds at all four corners on these grounds holds in between. Only the cells that
this leaves open are enlarged.
"""

# N slots, K cells, R rows and S columns of pixels in a cell

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

Size = tuple[int, int]

NONE = -1

_CHUNK = 1 << 17  # floats that stay in the cache
_TINY = 1e-30


class Doubles(NamedTuple):
    """Pixels that a second slot claims, too.

    Attributes:
        pixels: Places in the flattened map `[D]`.
        slots: The second slot of each `[D]`.
    """

    pixels: np.ndarray
    slots: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claims:
    """What each slot claims of an image.

    Attributes:
        first: The slot with the largest logit where its probability is above the
            threshold, else `NONE`; int16 `[H, W]`.
        doubles: Where another one is above the threshold, too.
        areas: Pixels above the threshold of each slot, int64 `[N]`.
        means: Their mean probability, float64 `[N]`; 0 for none.
    """

    first: np.ndarray
    doubles: Doubles
    areas: np.ndarray
    means: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Axis:
    """How the pixels of one axis lie between the rows (or columns) of the small map.

    Cell i has the neighbours `low[i]` and `high[i]`, and the pixels `start[i]` and the
    `count[i] - 1` after it, at the shares `share[i]` of the way to the upper one.
    """

    low: np.ndarray
    high: np.ndarray
    start: np.ndarray
    count: np.ndarray
    share: np.ndarray

    @classmethod
    def of(cls, small: int, large: int) -> "_Axis":
        place = (np.arange(large) + 0.5) * (small / large) - 0.5
        below = np.floor(place)
        cell = (below + 1).astype(np.int64)
        count = np.bincount(cell, minlength=small + 1)
        start = np.cumsum(count) - count
        share = np.zeros((small + 1, count.max()), np.float32)
        share[cell, np.arange(large) - start[cell]] = place - below
        cells = np.arange(small + 1)
        return cls(
            low=np.maximum(cells - 1, 0),
            high=np.minimum(cells, small - 1),
            start=start,
            count=count,
            share=share,
        )

    def weights(self) -> np.ndarray:
        """Of both neighbours, for each pixel of a cell: `[cells, pixels, 2]`."""
        return np.stack([1 - self.share, self.share], axis=-1)

    @property
    def cell(self) -> np.ndarray:
        """The cell of each pixel."""
        return np.repeat(np.arange(len(self.count)), self.count)

    def sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each cell the sums of its pixels' weights of both neighbours."""
        upper = self.share.sum(axis=1)  # of pixels that are not there it is 0
        return self.count - upper, upper


def claims(
    logits: np.ndarray,
    size: Size,
    *,
    threshold: float,
    counted: np.ndarray | None = None,
) -> Claims:
    """The slots of each pixel.

    Exact, but for rounding and for `means`: in cells that are not enlarged the
    probability of the slot is taken as interpolated between the corners. It and the
    true one are at least the smallest at the corners, which is above `threshold`.

    Args:
        logits: float32 `[h, w, N]`.
        size: Height and width of the image.
        threshold: Least probability, not reached itself.
        counted: bool `[N]`, the slots over which softmax is taken. Where another one
            has the largest logit, nothing is claimed, and there are no doubles. None:
            all.
    """
    grid = _Grid(
        rows=_Axis.of(logits.shape[0], size[0]),
        columns=_Axis.of(logits.shape[1], size[1]),
    )
    places = _places(logits, threshold, counted)
    settled, is_open = grid.settled(places)
    tally = _Tally(logits.shape[2])
    known = settled != NONE
    sums = grid.interpolated_sums(places.chance)
    tally.add(settled[known], sums[known], grid.pixels[known])
    # Rows of their own in memory: the flattened map below must be the same pixels.
    first = settled.take(grid.columns.cell, axis=1).take(grid.rows.cell, axis=0)
    flat, doubles = first.reshape(-1), []
    for part in grid.parts(logits, is_open):
        found = _decided(part.logits, threshold, counted)
        flat[part.pixels] = found.slots
        sure = found.slots != NONE
        tally.add(found.slots[sure], found.chances[sure])
        tally.add(found.others, found.other_chances)
        doubles.append(Doubles(part.pixels[found.doubled], found.others))
    return Claims(
        first=first,
        doubles=_joined(doubles),
        areas=tally.areas,
        means=tally.sums / np.maximum(tally.areas, 1),
    )


class _Part(NamedTuple):
    """Pixels of open cells: places in the flattened map `[P]`, logits `[P, N]`."""

    pixels: np.ndarray
    logits: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Grid:
    """The cells `[h + 1, w + 1]` between the places of the small map."""

    rows: _Axis
    columns: _Axis

    @property
    def pixels(self) -> np.ndarray:
        """How many pixels each cell has."""
        return self.rows.count[:, None] * self.columns.count

    def corners(self, values: np.ndarray) -> tuple[np.ndarray, ...]:
        """The values `[h, w]` at the four neighbours of each cell."""
        rows, columns = self.rows, self.columns
        return tuple(
            values[row][:, column]
            for row in (rows.low, rows.high)
            for column in (columns.low, columns.high)
        )

    def settled(self, places: "_Places") -> tuple[np.ndarray, np.ndarray]:
        """The slot that has all of a cell, or `NONE`; and which cells are open."""
        slots = self.corners(places.winner)
        same = np.all([slots[0] == other for other in slots[1:]], axis=0)
        ours = same & np.all(self.corners(places.firm), axis=0)
        dropped = same & np.all(self.corners(places.chance == 0), axis=0)
        nobody = dropped | np.all(self.corners(places.hopeless), axis=0)
        is_open = ~ours & ~nobody & (self.pixels > 0)
        return np.where(ours, slots[0], NONE).astype(np.int16), is_open

    def interpolated_sums(self, values: np.ndarray) -> np.ndarray:
        """The sum over a cell's pixels of values `[h, w]` interpolated to them."""
        weights = [
            row[:, None] * column
            for row in self.rows.sums()
            for column in self.columns.sums()
        ]
        pairs = zip(weights, self.corners(values), strict=True)
        return np.sum([weight * corner for weight, corner in pairs], axis=0)

    def parts(self, logits: np.ndarray, is_open: np.ndarray) -> Iterator[_Part]:
        """The pixels of the cells that are open, some cells at a time."""
        rows, columns = self.rows, self.columns
        slots = logits.shape[2]
        width = int(columns.count.sum())
        in_row, in_column = rows.share.shape[1], columns.share.shape[1]
        row_weights, column_weights = rows.weights(), columns.weights()
        step = max(1, _CHUNK // (in_row * in_column * slots))
        y, x = np.nonzero(is_open)
        for start in range(0, len(y), step):
            i, j = y[start : start + step], x[start : start + step]
            corners = np.stack(
                [
                    logits[row[i], column[j]]
                    for row in (rows.low, rows.high)
                    for column in (columns.low, columns.high)
                ],
                axis=1,
            )
            weights = np.einsum("krp,ksq->krspq", row_weights[i], column_weights[j])
            values = weights.reshape(len(i), -1, 4) @ corners
            down, across = np.arange(in_row), np.arange(in_column)
            places = (rows.start[i, None] + down)[:, :, None] * width + (
                columns.start[j, None] + across
            )[:, None]
            there = (down < rows.count[i, None])[:, :, None] & (
                across < columns.count[j, None]
            )[:, None]
            values, places = values.reshape(-1, slots), places.reshape(-1)
            if there.all():
                yield _Part(places, values)
            else:
                kept = there.reshape(-1)
                yield _Part(places[kept], values[kept])


class _Tally:
    """Pixels and sums of probabilities of each slot."""

    def __init__(self, slots: int):
        self.areas = np.zeros(slots, np.int64)
        self.sums = np.zeros(slots)

    def add(
        self, slots: np.ndarray, sums: np.ndarray, pixels: np.ndarray | None = None
    ) -> None:
        """Some pixels of each slot (without `pixels` one) with their probabilities."""
        count = len(self.areas)
        areas = np.bincount(slots, weights=pixels, minlength=count)
        self.areas += areas.astype(np.int64)
        self.sums += np.bincount(slots, weights=sums, minlength=count)


class _Places(NamedTuple):
    """What is known at each place of the small map; all `[h, w]`.

    Attributes:
        winner: The slot with the largest logit, int16.
        chance: Its probability; 0 if it is not counted.
        firm: It is above the threshold, and nobody else could be between places like
            this one.
        hopeless: Nobody could be above the threshold between places like this one.
    """

    winner: np.ndarray
    chance: np.ndarray
    firm: np.ndarray
    hopeless: np.ndarray


class _Decided(NamedTuple):
    """Pixels `[P]`: the first slot and its probability; `[D]` of them are doubled."""

    slots: np.ndarray
    chances: np.ndarray
    doubled: np.ndarray
    others: np.ndarray
    other_chances: np.ndarray


def _places(
    logits: np.ndarray, threshold: float, counted: np.ndarray | None
) -> _Places:
    height, width, slots = logits.shape
    places = _Places(
        *(
            np.empty((height, width), kind)
            for kind in (np.int16, np.float32, np.bool_, np.bool_)
        )
    )
    step = max(1, _CHUNK // (width * slots))
    for top in range(0, height, step):
        part = logits[top : top + step].reshape(-1, slots)
        for whole, values in zip(
            places, _looked_at(part, threshold, counted), strict=True
        ):
            whole[top : top + step] = values.reshape(-1, width)
    return places


def _looked_at(
    logits: np.ndarray, threshold: float, counted: np.ndarray | None
) -> _Places:
    """Of logits `[P, N]`; all `[P]`."""
    best, powers, chance = _softmax(logits, counted)
    firm = chance > threshold
    if counted is None and threshold < 0.5:
        # With less than 1 - threshold the first leaves enough for a second, whose
        # logit then is less than this below the first's.
        leaving = np.flatnonzero(firm & (chance < 1 - threshold))
        left = powers[leaving]
        left[np.arange(len(leaving)), best[leaving]] = 0
        firm[leaving] = left.max(axis=1) <= threshold / (1 - threshold)
    weights = np.ones(logits.shape[1]) if counted is None else counted
    count = max(int(weights.sum()), 1)
    mean = logits @ (weights / count).astype(np.float32)
    largest = np.take_along_axis(logits, best[:, None], axis=-1)[:, 0]
    hopeless = largest - mean < np.log(count * threshold)
    return _Places(best, chance, firm, hopeless)


def _softmax(
    logits: np.ndarray, counted: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of `[P, N]`: the slot with the largest logit, the powers, its probability.

    The powers are of the differences to the largest logit. The probability of a slot
    that is not counted is 0.
    """
    best = logits.argmax(axis=-1)
    powers = logits - np.take_along_axis(logits, best[:, None], axis=-1)
    np.exp(powers, out=powers)
    if counted is None:
        return best, powers, 1 / (powers @ np.ones(logits.shape[1], np.float32))
    total = powers @ counted.astype(np.float32)
    return best, powers, np.where(counted[best], 1 / np.maximum(total, _TINY), 0)


def _decided(
    logits: np.ndarray, threshold: float, counted: np.ndarray | None
) -> _Decided:
    best, powers, chances = _softmax(logits, counted)
    slots = np.where(chances > threshold, best, NONE)
    if counted is None and threshold < 0.5:
        # Of what the first leaves, another one may have enough.
        doubled = np.flatnonzero((slots != NONE) & (1 - chances > threshold))
        left = powers[doubled]
        left[np.arange(len(doubled)), best[doubled]] = 0
        others = left.argmax(axis=1)
        of_others = left[np.arange(len(doubled)), others] * chances[doubled]
        enough = of_others > threshold
    else:
        doubled = others = np.zeros(0, np.int64)
        of_others, enough = np.zeros(0, np.float32), np.zeros(0, bool)
    return _Decided(slots, chances, doubled[enough], others[enough], of_others[enough])


def _joined(doubles: list[Doubles]) -> Doubles:
    nothing = Doubles(np.zeros(0, np.int64), np.zeros(0, np.int64))
    columns = zip(nothing, *doubles, strict=True)
    return Doubles(*(np.concatenate(column) for column in columns))
