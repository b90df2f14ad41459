"""`python -m tflite_export doctor`: what works on this machine."""

import importlib.util
import json
import pathlib
import sys
from importlib import metadata

import pytest

from tflite_export import __main__ as command
from tflite_export import child
from tflite_export.doctor import base, machine, packages, report, road, tools


def last_line(text: str) -> list[dict]:
    return json.loads(text.strip().splitlines()[-1])


def test_the_real_thing_finds_what_the_tests_run_on(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert command.main(["doctor"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    rows = {row["name"]: row for row in last_line(out)}
    assert len(rows) == len(report.CHECKS)
    for name in ("Python", "tensorflow", "keras", "numpy", "official", "runs/"):
        assert rows[name]["status"] == "ok", rows[name]
    assert rows["int8 conversion"]["status"] == "ok", rows["int8 conversion"]
    assert "microseconds" in rows["int8 conversion"]["found"]
    assert rows["GPUs"]["status"] != "failed", rows["GPUs"]
    # Where something is to be done, it is said; nothing is left behind.
    assert all(row["advice"] for row in rows.values() if row["status"] != "ok")
    assert list(tmp_path.iterdir()) == []


def test_a_check_that_crashes_is_reported_and_the_others_go_on(capsys):
    def broken_thing() -> base.Finding:
        raise LookupError("no\nsuch key")

    report.run([base.Check(look=broken_thing), base.Check(look=machine.python)])
    first, second = last_line(capsys.readouterr().out)
    assert (first["name"], first["status"]) == ("broken thing", "failed")
    assert first["found"] == "the check itself: LookupError: no such key"
    assert second["status"] == "ok"


@pytest.mark.parametrize(("required", "status"), [(True, 1), (False, 0)])
@pytest.mark.parametrize("found", ["missing", "failed"])
def test_only_what_is_required_is_a_failure(
    required, status, found, monkeypatch, capsys
):
    def look() -> base.Finding:
        return base.Finding("keras", found, "not installed", "pip install keras")

    checks = [base.Check(look=look, required=required)]
    monkeypatch.setattr(report.run, "__defaults__", (checks,))
    assert command.main(["doctor"]) == status
    shown = capsys.readouterr()
    line = "error: keras: not installed; pip install keras\n"
    assert shown.err == (line if required else "")
    assert last_line(shown.out)[0]["required"] == required


def test_an_old_python_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    found = machine.python()
    assert found.status == "failed"
    assert found.advice == "install Python 3.11 to 3.13"


def test_a_package_that_is_not_there_is_missing():
    look = packages.installed("no-such-package-at-all", advice="pip install it")
    assert look() == base.Finding(
        "no-such-package-at-all", "missing", "not installed", "pip install it"
    )


def test_a_backend_that_nothing_trains_on_is_a_warning(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    found = packages.keras_backend()
    assert (found.status, found.found) == ("warning", "torch (KERAS_BACKEND)")
    assert found.advice == (
        "experiments train on tensorflow or jax, and KERAS_BACKEND names 'torch': set "
        "KERAS_BACKEND=tensorflow"
    )
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert packages.keras_backend().status == "ok"
    file = tmp_path / "keras.json"
    file.write_text('{"backend": "torch"}')
    found = packages.keras_backend()
    assert (found.status, found.found) == ("warning", f"torch ({file})")


@pytest.mark.parametrize(("there", "status"), [(True, "ok"), (False, "warning")])
def test_jax_is_a_backend_where_it_is_installed(monkeypatch, there, status):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: there or None)
    found = packages.keras_backend()
    assert found.status == status
    assert ("pip install jax" in found.advice) != there


@pytest.mark.parametrize("value", ["1", "True"])
def test_the_old_keras_is_a_warning(monkeypatch, value):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", value)
    found = packages.legacy_keras()
    assert found.status == "warning"
    assert "tf.keras is Keras 2" in found.advice
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "0")
    assert packages.legacy_keras().status == "ok"


def test_the_other_package_called_official_is_found(monkeypatch, tmp_path):
    monkeypatch.setattr(metadata, "version", lambda name: "2.19.0")
    found = packages.official_package()
    assert found.status == "warning"
    assert "tf-models-official 2.19.0 is installed as well" in found.found
    theirs = tmp_path / "official" / "failures.py"
    monkeypatch.setattr("official.failures.__file__", str(theirs))
    found = packages.official_package()
    assert found.status == "failed"
    assert "pip uninstall tf-models-official" in found.advice


def test_a_folder_that_cannot_be_written_is_a_failure(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert machine.run_folder().status == "ok"
    assert list(tmp_path.iterdir()) == []

    def full(**settings):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(machine.tempfile, "NamedTemporaryFile", full)
    found = machine.run_folder()
    assert found.status == "failed"
    assert found.found == f"{tmp_path}: No space left on device"


@pytest.mark.parametrize(
    ("module", "look"), [("devices", machine.gpus), ("road", road.convert_and_run)]
)
def test_a_child_that_dies_is_a_failure_with_its_last_line(monkeypatch, module, look):
    def dies(name, argument, **settings):
        assert name == f"doctor.{module}"
        return child.subprocess.CompletedProcess([], -6, "", "Traceback\nno library\n")

    monkeypatch.setattr(child, "run", dies)
    found = look()
    assert (found.status, found.found) == ("failed", "SIGABRT: no library")
    assert found.advice


def test_a_gpu_is_named_with_the_time_it_takes(monkeypatch):
    seen = {"logical": ["/device:GPU:0"], "name": "H100", "milliseconds": 0.25}
    ended = child.subprocess.CompletedProcess([], 0, f"noise\n{json.dumps(seen)}\n", "")
    monkeypatch.setattr(child, "run", lambda *a, **k: ended)
    assert machine.gpus() == base.Finding(
        "GPUs", "ok", "1 (H100), a product took 0.2 ms"
    )


def program(folder: pathlib.Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_programs_on_the_path_tell_their_versions(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tools.edgetpu_compiler().status == "missing"
    assert "coral.ai" in tools.edgetpu_compiler().advice
    program(tmp_path, "edgetpu_compiler", "echo Edge TPU Compiler version 16.0")
    program(tmp_path, "adb", "echo broken >&2; exit 3")
    found = tools.edgetpu_compiler()
    place = tmp_path / "edgetpu_compiler"
    assert found.found == f"Edge TPU Compiler version 16.0 at {place}"
    assert found.status == "ok"
    found = tools.adb()
    assert (found.status, found.found) == (
        "failed",
        f"{tmp_path / 'adb'}: status 3: broken",
    )


def test_a_plugin_without_its_sdk_is_missing(monkeypatch):
    find = importlib.util.find_spec
    hidden = "ai_edge_litert_sdk_qualcomm"
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == hidden else find(name)
    )
    found = tools.plugin("qualcomm")()
    assert found.status == "missing"
    assert tools.plugin("no_such_vendor")().found == "no compiler plugin"
