"""From the values that a tensor took to the range that its 8 bits shall hold.

An observer is shown the values of one tensor, an image at a time, keeps little of them,
and gives a range in the end. `BY_NAME` has one class for each word of
`official.export_spec.CALIBRATIONS`.
"""

import abc

import numpy as np

Range = tuple[float, float]

OUTERMOST = 2e-4
"""Share of the values of a tensor, on either side, that may be clipped.

The same segmenter, 40 photographs, float 61.96: int8 61.27 with none clipped, 61.42
with 2e-5, 61.78 with 2e-4.
"""

_BINS = 2048
_MOST = 1 << 17
"""Values of a tensor and image that are counted in a histogram."""

_LEVELS = 255
_SHARES = np.linspace(1.0, 0.2, 41)
"""Ends of a range that are tried, as shares of the outermost values."""


class Observer(abc.ABC):
    """What is kept of one tensor while images go by."""

    @abc.abstractmethod
    def see(self, values: np.ndarray) -> None:
        """Takes in the values of one image, of any shape, not empty."""

    @abc.abstractmethod
    def range(self) -> Range:
        """Lowest and highest value to hold; `see` was called at least once."""


class MinMax(Observer):
    """The smallest and the largest value there ever was."""

    def __init__(self):
        self._low, self._high = np.inf, -np.inf

    def see(self, values: np.ndarray) -> None:
        self._low = min(self._low, float(values.min()))
        self._high = max(self._high, float(values.max()))

    def range(self) -> Range:
        return self._low, self._high


class Average(Observer):
    """The mean, over images, of each image's range but for its `OUTERMOST` values.

    One odd image coarsens every scale that holds the extremes of all: in a
    MobileNetV3-Small segmenter the first layer reached 24 on one of 100 photographs and
    8 on the median one, which cost 2.2 points of mean IoU. The mean is what Jacob et
    al., 2018, https://arxiv.org/abs/1712.05877, section 3.1, keep while training, taken
    once with equal weights.
    """

    def __init__(self):
        self._low = self._high = 0.0
        self._count = 0

    def see(self, values: np.ndarray) -> None:
        low, high = inner(values)
        self._low += low
        self._high += high
        self._count += 1

    def range(self) -> Range:
        return self._low / self._count, self._high / self._count


def inner(values: np.ndarray) -> Range:
    """The range of values but for the `OUTERMOST` of a tensor large enough."""
    cut = int(values.size * OUTERMOST)
    if cut == 0:
        return float(values.min()), float(values.max())
    places = (cut, values.size - 1 - cut)
    ordered = np.partition(values, places, axis=None)
    return float(ordered[places[0]]), float(ordered[places[1]])


class Histogram:
    """Counts of values between limits that grow with what is seen.

    The limits lie at equal distances on both sides of zero, which so is always the edge
    of two bins. Where a value lies outside, the limits are doubled until it does not,
    and bins are joined in pairs. Zeros are counted apart: a quantised tensor holds a
    zero exactly, whatever its range.

    Attributes:
        counts: `[_BINS]`, from -limit to limit; values that are not zero.
        limit: Above zero once a value was.
        zeros: Number of zeros.
        low: Smallest value.
        high: Largest value.
    """

    def __init__(self):
        self.counts = np.zeros(_BINS)
        self.limit = 0.0
        self.zeros = 0
        self.low, self.high = np.inf, -np.inf

    def add(self, values: np.ndarray) -> None:
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        # An odd step meets all channels: their number is even.
        counted = values.ravel()[:: (values.size // _MOST) | 1]
        filled = counted[counted != 0]
        self.zeros += counted.size - filled.size
        if not filled.size:
            return
        self._reach(float(np.abs(filled).max()))
        limits = (-self.limit, self.limit)
        self.counts += np.histogram(filled, bins=_BINS, range=limits)[0]

    @property
    def centers(self) -> np.ndarray:
        width = 2 * self.limit / _BINS
        return (np.arange(_BINS) + 0.5) * width - self.limit

    def _reach(self, largest: float) -> None:
        self.limit = self.limit or largest
        while self.limit < largest:
            self.limit *= 2
            pairs = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.zeros(_BINS)
            self.counts[_BINS // 4 : -_BINS // 4] = pairs


class Percentile(Observer):
    """The range of all values of all images but for the `OUTERMOST` on either side.

    Unlike `Average` it does not care which image a value comes from.
    """

    def __init__(self):
        self._seen = Histogram()

    def see(self, values: np.ndarray) -> None:
        self._seen.add(values)

    def range(self) -> Range:
        seen = self._seen
        if not seen.limit:
            return 0.0, 0.0
        cut = OUTERMOST * (seen.counts.sum() + seen.zeros)
        half, width = _BINS // 2, 2 * seen.limit / _BINS
        below, above = seen.counts[:half], seen.counts[half:][::-1]
        low = (half - np.searchsorted(below.cumsum(), cut, "right")) * -width
        high = (half - np.searchsorted(above.cumsum(), cut, "right")) * width
        # A bin reaches beyond the values in it.
        return max(float(low), min(seen.low, 0.0)), min(
            float(high), max(seen.high, 0.0)
        )


class MeanSquaredError(Observer):
    """The range in which rounding and clipping together err least, in the mean square.

    As Choukroun et al., 2019, https://arxiv.org/abs/1902.06822, choose it, but with the
    two ends found in turns.
    """

    def __init__(self):
        self._seen = Histogram()

    def see(self, values: np.ndarray) -> None:
        self._seen.add(values)

    def range(self) -> Range:
        seen = self._seen
        if not seen.limit:
            return 0.0, 0.0
        filled = seen.counts > 0
        values, counts = seen.centers[filled], seen.counts[filled]
        lowest, highest = min(seen.low, 0.0), max(seen.high, 0.0)
        low, high = lowest, highest
        for _ in range(2):
            ends = highest * _SHARES
            high = ends[np.argmin([_error(values, counts, low, end) for end in ends])]
            ends = lowest * _SHARES
            low = ends[np.argmin([_error(values, counts, end, high) for end in ends])]
        return float(low), float(high)


def _error(values: np.ndarray, counts: np.ndarray, low: float, high: float) -> float:
    if high <= low:
        return np.inf
    scale = (high - low) / _LEVELS
    # The zero point is an integer, so the levels are multiples of the scale.
    first = np.rint(low / scale)
    stored = np.clip(np.rint(values / scale), first, first + _LEVELS)
    return float((counts * (values - stored * scale) ** 2).sum())


BY_NAME: dict[str, type[Observer]] = {
    "average": Average,
    "min_max": MinMax,
    "percentile": Percentile,
    "mse": MeanSquaredError,
}
