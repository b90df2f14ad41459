"""The benchmark on GPUs, as far as it goes without one."""

import argparse
import importlib
import json
import pathlib
import subprocess
import sys

import jax_process
import pytest

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent / "scripts"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(SCRIPTS), *sys.path])
    return importlib.import_module("benchmark_gpu")


def test_every_contender_has_the_same_network_batch_and_size(benchmark):
    given = argparse.Namespace(
        network="mobilenet_v3_large",
        batch_size=8,
        size=64,
        fed=True,
        peers=["timm_graphs"],
        peer_python="python-of-peers",
    )
    found = benchmark.commands(given)
    assert list(found) == ["this project", "this project, fed", "timm_graphs"]
    for command in found.values():
        assert {"mobilenet_v3_large", "--batch_size=8", "--size=64"} <= set(command)
    assert found["timm_graphs"][0] == "python-of-peers"
    assert "--device=cuda" in found["timm_graphs"]


def test_the_table_has_images_a_second_and_ratios(benchmark, capsys):
    facts = {"version": "1", "peak_mib": 300.0}
    ours = {"milliseconds": [10.0, 10.0, 30.0]}
    theirs = {"milliseconds": [20.0, 20.0, 16.0]}
    benchmark.show({benchmark.OURS: facts | ours, "timm": facts | theirs}, 32)
    row = capsys.readouterr().out.splitlines()[-1]
    assert row == "| timm (1) | 20.00 | 16.00 | 1600 | 0.50 | 300 |"


@jax_process.needs_jax
def test_this_projects_child_trains_in_fit():
    command = [sys.executable, str(SCRIPTS / "jax_steps.py"), "mobilenet_v3_small"]
    flags = ["--batch_size=2", "--size=32", "--classes=3", "--precision=float32"]
    done = subprocess.run(
        [*command, *flags],
        input="2\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    begun, turn, ended = map(json.loads, done.stdout.splitlines())
    assert "jax" in begun["version"]
    assert len(turn["seconds"]) == 2
    assert turn["seconds"][0] > 0
    assert ended["peak_mib"] > 0
