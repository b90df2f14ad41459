"""The benchmark of the gradient of a wide depthwise kernel."""

import importlib
import pathlib

import pytest

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent / "scripts"


@pytest.mark.parametrize("side", [7, 8])
def test_three_ways_are_timed_and_ours_is_held_against_the_others(side, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    benchmark = importlib.import_module("benchmark_depthwise")
    taken, off = benchmark.timed(benchmark.ways(side, 4, 2), repeats=2)
    assert list(taken) == ["TensorFlow", "oneDNN", "ours"]
    assert min(taken.values()) > 0
    assert off < 1e-5
