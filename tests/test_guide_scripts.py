"""The guides' commands of scripts, on a few pictures and with stand-ins for peers.

What stands for something of the reader's, such as FOLDER, lies there. Flags behind a
command's own make it short. `scripts/scaling.py` has `test_scaling`, and the other
commands of the benchmarks, of which the guides show but the form, their own tests.
"""

import importlib
import json
import os
import pathlib
import re
import runpy
import shlex
import subprocess
import sys

import export_networks as networks
import guide_data
import guide_training
import guides
import numpy as np
import pytest
from test_compare_micro import SAID

from official.data import record_shards
from tflite_export import __main__ as tflite_export

INPUT_PEERS = "python scripts/benchmark.py input --images=FOLDER --rounds=3 "
TRAIN_PEERS = "python scripts/benchmark.py train --experiment=mnv3_cls_imagenet "
ON_GPUS = guides.beginning("python scripts/benchmark.py gpu ")
(START,) = guides.beginning("python scripts/benchmark.py start ")
(SHARDS, MORE_SHARDS) = guides.beginning("python scripts/shard_dataset.py ")
(ANCHORS,) = guides.beginning("python scripts/fit_anchors.py ")
(SWEEP,) = guides.beginning("python scripts/sweep.py ")
(TABLE,) = guides.beginning("python scripts/model_table.py")
(MICRO,) = guides.beginning("python scripts/compare_micro.py ")
(MICRO_CHECK,) = [c for c in guides.every() if c.endswith("--target=micro")]
(AGAINST_INPUTS,) = guides.beginning(INPUT_PEERS)
(AGAINST_STEPS,) = guides.beginning(TRAIN_PEERS)
COMMANDS = [
    *(SHARDS, MORE_SHARDS, ANCHORS, SWEEP, TABLE, MICRO, MICRO_CHECK),
    *(AGAINST_INPUTS, AGAINST_STEPS, *ON_GPUS, START),
]


@pytest.fixture
def script(monkeypatch, tmp_path):
    """Imports a script by name; carries out a command in an empty folder."""
    monkeypatch.setattr(sys, "path", [str(guides.ROOT / "scripts"), *sys.path])
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.chdir(tmp_path)
    known = set(sys.modules)
    yield importlib.import_module
    here = {path.stem for path in guides.ROOT.glob("scripts/*.py")}
    for name in (set(sys.modules) - known) & here:
        del sys.modules[name]


def carry_out(command: str, script, monkeypatch, *more: str):
    """The main function of the script, given the words behind its name."""
    path, *words = shlex.split(command.removeprefix("python "))
    monkeypatch.setattr(sys, "argv", [path, *words, *more])
    return script(pathlib.Path(path).stem).main()


def test_the_shards_of_the_guide_are_written(script, monkeypatch, capsys):
    for split, count in {"train": 8, "val": 2}.items():
        for name in ("daisy", "rose"):
            folder = pathlib.Path("my_photos", split, name)
            guide_data.photographs(folder, count, (12, 16))
    carry_out(SHARDS, script, monkeypatch)
    # Its first "..." is what the command before has, but for what is said anew.
    more = MORE_SHARDS.replace("...", SHARDS.partition(".py ")[2], 1)
    carry_out(more.replace("...", ""), script, monkeypatch)
    capsys.readouterr()
    shards = record_shards.RecordShards(data_dir="shards")
    assert (shards.size("train"), shards.size("val")) == (16, 4)
    assert len(list(pathlib.Path("shards").glob("train-*.tfrecord"))) == 16


def test_anchors_are_fitted_to_the_boxes_of_the_guide(script, monkeypatch, capsys):
    guide_data.photographs(pathlib.Path("my_photos/images"), 4, (64, 64))
    rows = ["image,class,xmin,ymin,xmax,ymax"]
    rows += [f"{n % 4}.jpg,cup,1,1,{10 + 2 * n},{60 - n}" for n in range(20)]
    pathlib.Path("my_photos/boxes.csv").write_text("\n".join(rows))
    assert carry_out(ANCHORS, script, monkeypatch) == 0
    assert "task.head.anchors = @FittedAnchors(" in capsys.readouterr().out


def test_the_sweep_of_the_guide_trains_each_of_its_networks(
    script, monkeypatch, capsys
):
    sweep = script("sweep")
    trained, compared = [], []

    def train(job) -> int:
        """As the script's own, in this process and small."""
        folder = pathlib.Path(str(len(trained)))
        folder.mkdir()
        with monkeypatch.context() as patch:
            patch.chdir(folder)
            settings = [word for s in job.settings for word in ("--set", s)]
            words = [f"--experiment={job.experiment}", f"--run_dir={job.run_dir}"]
            guide_training.rehearse([*words, *settings], capsys)
        trained.append(job.run_dir)
        return 0

    def compare(command, **settings):
        compared.append(command[1:])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(sweep, "train", train)
    monkeypatch.setattr(sweep.subprocess, "run", compare)
    assert carry_out(SWEEP, script, monkeypatch) == 0
    names = ("mnv2_cls_folder_MobileNetV2", "mnv2_cls_folder_MobileNetV3_small")
    assert len(trained) == SWEEP.count("--vary ") == len(names)
    assert {path.parent for path in trained} == {pathlib.Path("runs/flowers")}
    script_and_folder = [str(guides.ROOT / "scripts/compare_runs.py"), "runs/flowers"]
    assert compared == [script_and_folder]


def test_the_table_of_networks_is_printed(script, monkeypatch, capsys):
    """Of the smallest; `test_model_table` knows that none is left out."""
    table = script("model_table")
    name = "mobilenet_v1.MobileNetV1"
    monkeypatch.setattr(table, "FAMILIES", {name: table.FAMILIES[name][-1:]})
    carry_out(TABLE, script, monkeypatch)
    assert "MobileNetV1" in capsys.readouterr().out


def test_a_file_for_microcontrollers_is_checked_and_compared(
    script, monkeypatch, capsys
):
    """The other interpreter's stand-in gives what LiteRT's reference kernels give."""
    compare = script("compare_micro")
    path = pathlib.Path(shlex.split(MICRO)[2])
    assert path.name in MICRO_CHECK
    ends = {"input_type": "int8", "output_type": "int8"}
    path.write_bytes(
        networks.convert(networks.network(), "int8", target="micro", **ends)
    )
    assert tflite_export.main(shlex.split(MICRO_CHECK)[3:]) == 0
    guide_data.photographs(pathlib.Path("photos"), 2, networks.SIZE)

    def run(command, **settings):
        python, child, model, inputs, outputs = command
        assert (python, pathlib.Path(child).name) == (
            "micro/bin/python",
            "micro_outputs.py",
        )
        found = compare.of_litert(model, np.load(inputs), reference=True)
        np.save(outputs, found)
        return subprocess.CompletedProcess(command, 0, "", SAID)

    monkeypatch.setattr(compare.subprocess, "run", run)
    capsys.readouterr()
    assert carry_out(MICRO, script, monkeypatch) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["images"] == 2


def test_input_pipelines_are_timed_against_the_peers_of_the_guide(
    script, monkeypatch, capsys
):
    guide_data.photographs(pathlib.Path("FOLDER"), 4, (60, 90))
    monkeypatch.setattr(script("peer_inputs"), "WARM_UP", 0.0)
    asked = []

    def run(command, **settings):
        python, _, peer, *_ = command
        asked.append((python, peer))
        speed = json.dumps({"images_per_second": 1.0, "core_ms": 1.0})
        return subprocess.CompletedProcess(command, 0, speed, "")

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", run)
        patch.setattr(script("circumstances"), "now", dict)
        small = ("train.batch_size = 4", "task.image_size = (32, 32)")
        settings = [f"--set={one}" for one in (*small, "task.augmentations = ()")]
        words = ["--rounds=1", "--seconds=0.02", *settings]
        carry_out(AGAINST_INPUTS, script, monkeypatch, *words)
    names = ("torchvision", "torchvision_v2", "garden")
    assert asked == [("PYTHON", f"--peer={name}") for name in names]
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(found["ratios"]) == ["this project", *names]


class Contender:
    """Stands for `steps_on_request.Contender`: a child whose steps take a second."""

    def __init__(self, name, command, log, *, threads=None):
        self.name, self.command, self.threads = name, command, threads
        self.seconds, self.core_seconds = [], []
        self.facts = {"version": "1", "peak_mib": 3.0, "imports_mib": 1.0}

    def begin(self):
        pass

    def step(self, count):
        self.seconds += [1.0] * count
        self.core_seconds.append(1.0)

    def forget(self):
        self.seconds.clear()
        self.core_seconds.clear()

    def end(self):
        pass


@pytest.fixture
def contenders(script, monkeypatch) -> list[Contender]:
    """Those that are started."""
    found = []

    def start(*arguments, **settings):
        found.append(Contender(*arguments, **settings))
        return found[-1]

    monkeypatch.setattr(script("steps_on_request"), "Contender", start)
    return found


def test_a_step_is_timed_against_the_peers_of_the_guide(
    script, contenders, monkeypatch, capsys
):
    """Its parts are in `test_benchmark_train`."""
    parts = script("step_parts")
    fields = dict.fromkeys(parts.Parts.__dataclass_fields__, 1)
    monkeypatch.setattr(parts, "measure", lambda *_, **__: parts.Parts(**fields))
    preparation = importlib.import_module("official.training.preparation")
    monkeypatch.setattr(preparation, "model", lambda *_, **__: None)
    carry_out(AGAINST_STEPS, script, monkeypatch)
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(found["contest"]) == ["this project", "garden", "timm"]
    assert {len(row["milliseconds"]) for row in found["contest"].values()} == {10 * 3}
    assert {contender.threads for contender in contenders} == {None}
    assert contenders[1].command[0] == "PEERS/bin/python"


@pytest.mark.parametrize("command", ON_GPUS)
def test_a_step_on_a_gpu_is_timed_against_the_peers_of_the_guide(
    command, script, contenders, monkeypatch, capsys
):
    """All but the children, which need a GPU."""
    carry_out(command, script, monkeypatch)
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(found["contest"]) == ["this project", "timm_compiled", "timm_graphs"]
    rounds = int(re.search(r"--rounds=(\d+)", command).group(1))
    assert all(len(r["milliseconds"]) == rounds for r in found["contest"].values())


def test_the_time_to_the_first_step_is_taken_of_the_training_of_the_guide(
    script, monkeypatch, capsys
):
    """Its own process is in `test_benchmark_start`."""
    pathlib.Path("configs").symlink_to(guides.ROOT / "configs")
    started = []

    def start(arguments):
        started.append(arguments)
        return 2.0, 3.0

    monkeypatch.setattr(script("benchmark_start"), "start", start)
    monkeypatch.setattr(
        runpy, "run_path", lambda *_, **__: script("benchmark_start").main()
    )
    carry_out(START, script, monkeypatch)
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["core_seconds"] == [3.0] * 3
    assert started[0] == started[2]
    guide_training.rehearse(started[0], capsys)
