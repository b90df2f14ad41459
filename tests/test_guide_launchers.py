"""The guides' shell scripts and launchers run, with a stand-in for the Python they start.

In a copy of the scripts `python`, `ruff` and `mypy` write down how they were called;
`ssh` and `srun` run here what other hosts would. The trainings that come of it are then
carried out, with the strategy that they name.
"""

import os
import pathlib
import shlex
import shutil
import subprocess

import guide_training
import guides
import pytest
import tensorflow as tf

from official import failures
from official.training import strategy as strategies

QUICKSTART = "scripts/quickstart.sh"
TEST = "scripts/test.sh"
(HOSTS,) = guides.beginning("scripts/launch_hosts.sh ")
(SLURM,) = guides.beginning("srun ")
COMMANDS = [QUICKSTART, TEST, HOSTS, SLURM]

NOTE = """#!/bin/bash
[ "$1" = -c ] && exit  # is this Python new enough?
line=$(printf '%q ' "TF_CONFIG=${TF_CONFIG:-}" "$(basename "$0")" "$@")
echo "$line" >> "$CALLS"
"""
SSH = """#!/bin/bash
[ "$1" = -tt ] && exec bash -c "$3"
"""
SRUN = """#!/bin/bash
exec "$@"
"""


@pytest.fixture
def project(tmp_path, monkeypatch) -> pathlib.Path:
    """The scripts, and the stand-ins where they look for programs."""
    project = tmp_path / "project"
    shutil.copytree(guides.ROOT / "scripts", project / "scripts")
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(guides.ROOT / name, project)
    for folder, programs in (
        (project / ".venv" / "bin", dict.fromkeys(("python", "ruff", "mypy"), NOTE)),
        (tmp_path / "bin", {"ssh": SSH, "srun": SRUN, "python": NOTE}),
    ):
        folder.mkdir(parents=True)
        for name, text in programs.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
    path = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    return project


def calls(command: str, project: pathlib.Path) -> list[list[str]]:
    """What the stand-ins were called with; first TF_CONFIG, then the program."""
    noted = project / "calls"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=project,
        env={**os.environ, "CALLS": str(noted)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [shlex.split(line) for line in noted.read_text().splitlines()]


def test_the_quickstart_installs_and_starts_a_training_of_the_guides(project):
    installed, (_, *started) = calls(QUICKSTART, project)
    assert installed[1:5] == ["python", "-m", "pip", "install"]
    assert installed[-1] == "."
    assert " ".join(started) in guides.every()
    assert calls(QUICKSTART, project)[2:] == [["TF_CONFIG=", *started]]


def test_the_test_script_checks_everything_and_starts_the_tests(project):
    programs = [called[1:] for called in calls(TEST, project)]
    assert programs[0][-1] == ".[test]"
    checks = [["ruff", "format", "--check", "."], ["ruff", "check", "."], ["mypy"]]
    assert programs[2:-1] == checks
    assert programs[-1][:3] == ["python", "-m", "pytest"]


@pytest.fixture
def trained(tmp_path, monkeypatch, capsys):
    """Trains as one host of several; gives the strategy's cluster and its own number."""
    found = []

    class OfOneHost:
        """Knows the others and does without them."""

        def __new__(cls, cluster_resolver):
            cluster = cluster_resolver.cluster_spec().as_dict()
            found.append((cluster, cluster_resolver.task_id))
            return tf.distribute.get_strategy()

    def train(words: list[str]) -> tuple[dict[str, list[str]], int]:
        folder = tmp_path / f"host{len(found)}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        strategies.connect.cache_clear()
        guide_training.rehearse(words, capsys)
        return found[-1]

    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", OfOneHost)
    monkeypatch.setattr(failures, "bid_farewell", lambda: None)
    yield train
    strategies.connect.cache_clear()


def test_each_host_of_the_guide_s_launcher_trains_as_one_of_them(
    project, trained, monkeypatch
):
    started = sorted(c for c in calls(HOSTS, project) if "train.py" in c)
    assert len(started) == 2
    hosts = ["host0:8888", "host1:8888"]
    assert started[0][1:] == started[1][1:]
    for number, (settings, *command) in enumerate(started):
        monkeypatch.setenv(*settings.split("=", 1))
        words = guide_training.words_of(shlex.join(command))
        assert trained(words) == ({"worker": hosts}, number)


def test_the_guide_s_job_step_of_slurm_trains_as_one_of_its_tasks(
    project, trained, monkeypatch
):
    ((_, *command),) = calls(SLURM, project)
    for name, value in {
        "PROCID": "1",
        "STEP_NUM_TASKS": "2",
        "STEP_NODELIST": "gpu[3-4]",
        "STEP_TASKS_PER_NODE": "1(x2)",
    }.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    # Set by TensorFlow to what it gives the task.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    words = guide_training.words_of(shlex.join(command))
    assert trained(words) == ({"worker": ["gpu3:8888", "gpu4:8888"]}, 1)
