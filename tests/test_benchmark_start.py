"""The benchmark of the time to the first step."""

import importlib
import pathlib
import subprocess
import sys
import time

import pytest

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent / "scripts"

CHILD = """
import sys
sys.path.insert(0, {scripts!r})
import benchmark_start
sys.meta_path.insert(0, benchmark_start._Watch())
import small
from official import runner
runner.run(small.experiment(), name="small", run_dir=__import__("pathlib").Path({run!r}),
           overwrite=False, evaluate_only=False, dry_run=False)
print("went on")
"""


def test_a_training_ends_after_its_first_step(tmp_path, root, monkeypatch):
    mark, begun = tmp_path / "time", time.time()
    code = CHILD.format(scripts=str(SCRIPTS), run=str(tmp_path / "run"))
    monkeypatch.setenv("FIRST_STEP_FILE", str(mark))
    monkeypatch.setenv("PYTHONPATH", f"{root}:{root / 'tests'}")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "went on" not in done.stdout
    assert begun < float(mark.read_text()) < time.time()


def test_a_command_that_takes_no_step_is_shown(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(SCRIPTS), *sys.path])
    benchmark = importlib.import_module("benchmark_start")
    with pytest.raises(SystemExit, match="did you mean mnv3_seg_synthetic"):
        benchmark.start(["--experiment=mnv3_seg_syntetic"])
