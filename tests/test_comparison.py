"""Runs beside each other, and sweeps over experiments."""

import json
import pathlib
import runpy
import subprocess
import sys

import pytest
from PIL import Image

from official import experiment, failures
from official.report import comparison

CLASSES = ("cat", "dog")


def _run(folder, name, *rows, metric="top1", images=20):
    path = folder / name
    path.mkdir(parents=True)
    content = {
        "metric": metric,
        "split": "val",
        "examples": images,
        "classes": ["cat", "dog"],
        "rows": [
            {"name": "Keras", "metrics": {metric: 0.9}},
            *(
                {
                    "name": file,
                    "file": f"model_{file}.tflite",
                    "metrics": {metric: value},
                    "size_bytes": size,
                    "latency_ms": latency,
                    "gate": gate,
                }
                for file, value, latency, size, gate in rows
            ),
        ],
    }
    (path / "result.json").write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path):
    _run(tmp_path, "large", ("int8", 0.9, 4.0, 4_000_000, "passed"))
    _run(
        tmp_path,
        "deep/small",
        ("int8", 0.8, 1.0, 1_000_000, "passed"),
        ("float32", 0.8, 2.0, 4_000_000, "failed"),
    )
    _run(tmp_path, "other", ("int8", 0.5, 9.0, 100, "passed"), metric="ap")
    _run(tmp_path, "unexported")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged/result.json").write_text("{")
    return tmp_path


def test_files_are_grouped_sorted_and_the_front_is_found(folder):
    found = comparison.find(folder)
    groups = comparison.grouped(found.entries)
    assert list(groups) == [("top1", "val", 20, CLASSES), ("ap", "val", 20, CLASSES)]
    entries = groups[comparison.Group("top1", "val", 20, CLASSES)]
    assert [(e.run, e.file) for e in entries] == [
        ("large", "int8"),
        ("deep/small", "int8"),
        ("deep/small", "float32"),
    ]
    for cost in ("latency", "size"):
        assert comparison.front(entries, cost) == set(entries[:2])
    assert found.without_files == ["unexported"]
    assert [line.split(":")[0] for line in found.unreadable] == [
        str(folder / "damaged/result.json")
    ]


def test_equal_files_are_both_on_the_front_and_unknown_values_on_none():
    entry = comparison.Entry(
        "a", "int8", "ap", 0.5, 1, 1.0, "passed", ("val", 1, CLASSES)
    )
    same = entry._replace(run="b")
    unknown = entry._replace(run="c", value=None, latency=0.1)
    assert comparison.front([entry, same, unknown], "latency") == {entry, same}


def test_the_command_prints_tables_and_draws(folder, root: pathlib.Path):
    command = [sys.executable, str(root / "scripts/compare_runs.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert "3 files by top1 on 20 images of 'val'" in lines
    assert any(
        line.split()
        == [
            "large",
            "int8",
            "90.00",
            "4.00",
            "ms",
            "4.00",
            "MB",
            "passed",
            "fast,",
            "small",
        ]
        for line in lines
    )
    assert "without files: unexported" in lines
    for name in ("comparison_1_top1.png", "comparison_2_ap.png"):
        assert Image.open(folder / name).width > 1000


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(
        failures.RequestError, match=r"no run below it \(no result.json"
    ):
        comparison.find(tmp_path)


@pytest.fixture
def sweep(root):
    return runpy.run_path(str(root / "scripts/sweep.py"))


def test_a_sweep_has_a_folder_for_each_variant(sweep):
    given = sweep["parser"]().parse_args(
        [
            "--out=runs/x",
            "--experiment=mnv2_cls_folder",
            "--set=dataset.data_dir = 'flowers'",
            "--vary=task.backbone = @MobileNetV2()",
            "--vary=task.backbone = @MobileNetV2(width_multiplier = 0.5); seed = 1",
            "--vary=task.backbone = @MobileNetV2()",
        ]
    )
    one, two = sweep["jobs"](given)
    assert one.run_dir == pathlib.Path("runs/x/mnv2_cls_folder_MobileNetV2")
    assert two.run_dir.name == (
        "mnv2_cls_folder_MobileNetV2(width_multiplier=0.5)_seed=1"
    )
    assert two.settings == (
        "dataset.data_dir = 'flowers'",
        "task.backbone = @MobileNetV2(width_multiplier = 0.5)",
        "seed = 1",
    )


def test_a_sweep_looks_at_all_settings_first(sweep, tmp_path):
    def problem(setting):
        job = sweep["Job"]("mnv2_cls_folder", (setting,), tmp_path)
        return sweep["_problem"]([job])

    assert problem("seed = 1") == ""
    assert "sede" in problem("sede = 1")


def test_what_is_finished_is_not_trained_again(sweep, tmp_path):
    job = sweep["Job"]("mnv2_cls_folder", ("seed = 1",), tmp_path)
    _write_config(tmp_path)
    assert not sweep["is_finished"](job)
    (tmp_path / "export").mkdir()
    (tmp_path / "result.json").write_text('{"weights": "b"}')
    (tmp_path / "export/report.json").write_text('{"weights": "a"}')
    assert not sweep["is_finished"](job)
    (tmp_path / "export/report.json").write_text('{"weights": "b"}')
    assert sweep["is_finished"](job)
    assert not sweep["is_finished"](job._replace(settings=("seed = 2",)))
    (tmp_path / "result.json").write_text("{")
    assert not sweep["is_finished"](job)


def _write_config(run_dir):
    given = experiment.load("mnv2_cls_folder", settings=["seed = 1"])
    text = experiment.dump(given, "mnv2_cls_folder")
    (run_dir / experiment.CONFIG).write_text(text)


def test_two_variants_of_one_name_are_refused(sweep):
    vary = [f"--vary=a.b.{field} = 8" for field in ("c.d", "c.d")]
    same = sweep["parser"]().parse_args(["--out=x", "--experiment=e", *vary])
    assert len(sweep["jobs"](same)) == 1
    vary = [f"--vary={field}.c.d = 8" for field in ("a", "b")]
    other = sweep["parser"]().parse_args(["--out=x", "--experiment=e", *vary])
    with pytest.raises(SystemExit, match=r"would both be in x/e_c\.d=8"):
        sweep["jobs"](other)
