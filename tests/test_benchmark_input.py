"""The benchmark of input pipelines, on a few drawn photographs."""

import json
import pathlib
import sys

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def benchmark(root, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(root / "scripts"), *sys.path])
    import benchmark_input
    import peer_inputs

    monkeypatch.setattr(peer_inputs, "WARM_UP", 0.0)
    monkeypatch.setattr(benchmark_input, "LOT", 2)
    return benchmark_input


def _photographs(folder: pathlib.Path):
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (60, 90, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg")


def _run(benchmark, monkeypatch, *flags):
    arguments = ["benchmark_input.py", "--rounds=1", "--seconds=0.05", *flags]
    monkeypatch.setattr(sys, "argv", arguments)
    benchmark.main()


def test_every_stage_is_timed_and_the_slowest_named(
    benchmark, tmp_path, monkeypatch, capsys
):
    _photographs(tmp_path)
    out = tmp_path / "found.json"
    settings = ("train.batch_size = 4", "task.image_size = (32, 32)")
    _run(
        benchmark,
        monkeypatch,
        *(f"--images={tmp_path}", f"--out={out}"),
        *(text for one in settings for text in ("--set", one)),
    )
    told = capsys.readouterr().out
    found = json.loads(told.splitlines()[-1])
    assert found == json.loads(out.read_text())
    stages = found["stages"]
    assert list(stages) == ["read", "decode", "crop, resize", "augment", "batch"]
    assert all(speed["images_per_second"] > 0 for speed in stages.values())
    assert f"bottleneck: {found['bottleneck']}, " in told
    assert found["bottleneck"] in stages
    assert "--images=FOLDER" in found["command"]


def test_any_experiment_can_be_looked_at(benchmark, monkeypatch, capsys):
    data = "dataset = @SyntheticStreets(height=32, width=64, train_size=4)"
    settings = ("train.batch_size = 2", "task.image_size = (32, 64)", data)
    _run(
        benchmark,
        monkeypatch,
        "--experiment=mnv3_seg_synthetic",
        *(text for one in settings for text in ("--set", one)),
    )
    stages = json.loads(capsys.readouterr().out.splitlines()[-1])["stages"]
    assert list(stages) == ["read", "decode", "augment", "batch"]


def test_a_folder_without_photographs_is_refused(benchmark, tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match=r"has no \.jpg files"):
        _run(benchmark, monkeypatch, f"--images={tmp_path}")
