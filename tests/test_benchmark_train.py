"""The benchmark of training steps: its children, its tables, its parts."""

import argparse
import importlib
import json
import pathlib
import sys

import pytest

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent / "scripts"

CHILD = """
import sys
sys.path.insert(0, {scripts!r})
import steps_on_request
out = steps_on_request.answers()
print("a library says something")
imported = steps_on_request.memory_mib("VmRSS")
held = bytearray(32 * 2**20)
steps_on_request.serve(
    lambda count: [0.25] * count, out, version="child 1", imported=imported)
"""


@pytest.fixture
def script(monkeypatch):
    """Imports a script by name."""
    monkeypatch.setattr(sys, "path", [str(SCRIPTS), *sys.path])
    return importlib.import_module


def test_a_child_answers_with_the_times_of_its_steps_and_its_memory(script, tmp_path):
    steps_on_request = script("steps_on_request")
    command = [sys.executable, "-c", CHILD.format(scripts=str(SCRIPTS))]
    child = steps_on_request.Contender("child", command, tmp_path / "log", threads=1)
    child.begin()
    assert child.facts["version"] == "child 1"
    child.step(3)
    child.forget()
    child.step(2)
    child.end()
    assert child.seconds == [0.25, 0.25]
    assert len(child.core_seconds) == 1
    assert child.facts["peak_mib"] > child.facts["imports_mib"] + 30
    assert "a library says something" in (tmp_path / "log").read_text()


def test_a_child_that_dies_is_named_with_its_last_line(script, tmp_path):
    steps_on_request = script("steps_on_request")
    command = [sys.executable, "-c", "raise SystemExit('no such network')"]
    child = steps_on_request.Contender("timm", command, tmp_path / "log")
    with pytest.raises(
        ChildProcessError, match=r"timm: no such network \(all of it: .*log"
    ):
        child.begin()


def test_a_peer_refuses_a_network_that_it_does_not_have(script, monkeypatch):
    peer_steps = script("peer_steps")
    flags = ["--batch_size=1", "--size=32", "--classes=2"]
    monkeypatch.setattr(
        sys, "argv", ["peer_steps.py", "keras", "mobilenet_v4_conv_small", *flags]
    )
    with pytest.raises(SystemExit, match="keras has no mobilenet_v4_conv_small"):
        peer_steps.main()


def test_the_table_compares_with_this_project(script, capsys):
    benchmark = script("benchmark_train")
    facts = {"version": "1", "peak_mib": 300, "imports_mib": 100}
    ours = {"milliseconds": [80.0] * 4, "core_milliseconds": [150.0] * 4}
    theirs = {"milliseconds": [100.0] * 4, "core_milliseconds": [200.0] * 4}
    benchmark.show_contest({benchmark.OURS: facts | ours, "peer": facts | theirs})
    row = capsys.readouterr().out.splitlines()[-1]
    assert row == "| peer (1) | 100 | 100 | 200 | 0.80 | 0.80 | 0.75 | 300 | 200 |"


def test_networks_that_no_peer_has_are_refused(script):
    benchmark = script("benchmark_train")
    from official.backbones import mobilenet_v3, mobilenet_v4, multi_hardware

    assert benchmark.network_name(mobilenet_v3.MobileNetV3()) == "mobilenet_v3_large"
    small = mobilenet_v4.MobileNetV4(variant="conv_small")
    assert benchmark.network_name(small) == "mobilenet_v4_conv_small"
    for other in (
        mobilenet_v3.MobileNetV3(width_multiplier=0.5),
        multi_hardware.MultiHardware(),
    ):
        with pytest.raises(SystemExit, match="no peer has a"):
            benchmark.network_name(other)


def test_parts_add_up_to_the_step(script, tmp_path, monkeypatch, capsys):
    benchmark, step_parts = script("benchmark_train"), script("step_parts")
    monkeypatch.setattr(step_parts, "PEAK_SIDE", 64)
    out = tmp_path / "train.json"
    flags = [
        "--experiment=mnv1_cls_imagenet",
        "--noise",
        "--rounds=1",
        "--steps=2",
    ]
    for setting in (
        "task.image_size = (32, 32)",
        "task.backbone.width_multiplier = 0.25",
        "train.batch_size = 2",
        "task.augmentations = ()",
    ):
        flags += ["--set", setting]
    monkeypatch.setattr(sys, "argv", ["benchmark_train.py", *flags, f"--out={out}"])
    benchmark.main()
    found = json.loads(out.read_text())
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == found
    parts = found["parts"]
    whole = sum(parts[name] for name in ("forward", "backward", "update", "host"))
    assert whole == pytest.approx(parts["step"])
    assert parts["images_per_second"] == pytest.approx(2e3 / parts["fed"])
    # Each multiply-add once forward and twice backward, of a batch of two.
    per_second = 3 * 2 * parts["multiply_adds"] / (parts["step"] / 1e3)
    assert parts["share_of_peak"] == pytest.approx(per_second / parts["peak"])
    assert "--experiment=mnv1_cls_imagenet" in found["command"]


def test_peers_want_a_square_image(script):
    benchmark = script("benchmark_train")
    given = argparse.Namespace(
        experiment="mnv3_cls_imagenet",
        overlay=[],
        noise=True,
        set=["task.image_size = (32, 64)"],
    )
    with pytest.raises(SystemExit, match="square images"):
        benchmark.compete(given)
