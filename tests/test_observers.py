"""From the values that a tensor took to the range that 8 bits hold."""

import numpy as np
import pytest

from official import export_spec
from tflite_export import observers


def observed(name: str, *images: np.ndarray) -> tuple[float, float]:
    observer = observers.BY_NAME[name]()
    for values in images:
        observer.see(np.asarray(values, np.float32))
    return observer.range()


def bell(count: int = 100_000, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(0).normal(0, scale, count).astype(np.float32)


def test_every_word_of_the_setting_has_an_observer():
    assert tuple(observers.BY_NAME) == export_spec.CALIBRATIONS


@pytest.mark.parametrize("name", export_spec.CALIBRATIONS)
def test_zeros_alone_are_a_range(name):
    assert observed(name, np.zeros((1, 2, 2, 3)), np.zeros(4)) == (0.0, 0.0)


@pytest.mark.parametrize("name", ["percentile", "mse"])
def test_what_is_never_below_zero_starts_there(name):
    assert observed(name, np.abs(bell()))[0] == 0
    low, high = observed(name, -np.abs(bell()))
    assert low < -2
    assert high == 0


def test_the_extremes_are_those_of_all_images():
    assert observed("min_max", [0, 1.5], [-2, 1]) == (-2, 1.5)


def test_the_average_is_of_the_ranges_of_the_images():
    assert observed("average", [0, 1], [-2, 3], [-1, 2]) == (-1, 2)


def test_a_few_values_are_left_out_of_a_large_tensor_and_none_of_a_small():
    values = np.linspace(0, 1, 200_000, dtype=np.float32)
    values[1000:1030] = 1000  # thirty; 2e-4 of 200,000 are forty
    low, high = observers.inner(values)
    assert low == pytest.approx(0, abs=1e-3)
    assert high == pytest.approx(1, abs=1e-3)
    assert observers.inner(np.array([0.0, 1.0, 1000.0])) == (0.0, 1000.0)


def test_the_percentile_leaves_out_a_share_of_all_values_on_either_side():
    values = bell()
    wanted = np.quantile(values, [observers.OUTERMOST, 1 - observers.OUTERMOST])
    # A bin is 1/1024 of the largest value, about 0.005.
    assert observed("percentile", values) == pytest.approx(tuple(wanted), abs=0.01)


def test_the_percentile_never_leaves_what_was_seen():
    assert observed("percentile", [0.5, 1.0, 2.0]) == (0.0, 2.0)


def test_the_mean_square_error_clips_a_tail_and_no_more():
    """Values of a bell and one far outlier, tried against all ends."""
    values = np.append(bell(20_000), np.float32(60))
    low, high = observed("mse", values)
    assert -5 < low < -2.5

    def error(end: float) -> float:
        scale = (end - low) / 255
        first = np.rint(low / scale)
        stored = np.clip(np.rint(values / scale), first, first + 255)
        return float(np.square(values - stored * scale).sum())

    assert error(high) <= 1.05 * min(error(end) for end in np.linspace(3, 60, 115))


def test_evenly_spread_values_are_not_clipped_by_the_mean_square_error():
    assert observed("mse", np.linspace(-1, 2, 3001)) == pytest.approx((-1, 2), rel=0.03)


def test_a_histogram_that_grows_is_the_one_of_all_values():
    small, large = bell(1000, 0.01), bell(1000, 3)
    grown, whole = observers.Histogram(), observers.Histogram()
    grown.add(small)
    grown.add(large)
    whole.add(np.array([grown.limit], np.float32))
    whole.add(np.concatenate([small, large]))
    whole.counts[-1] -= 1
    assert grown.counts.sum() == 2000
    # Values on the edge of two bins may fall into either.
    assert np.abs(np.cumsum(grown.counts) - np.cumsum(whole.counts)).max() <= 2


def test_zeros_do_not_count_as_rounded_values():
    histogram = observers.Histogram()
    histogram.add(np.array([0.0, 0.0, 1.0, -1.0], np.float32))
    assert (histogram.zeros, histogram.counts.sum()) == (2, 2)
