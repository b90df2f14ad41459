"""Experiments that Keras trains on JAX, and what they share with those on TensorFlow."""

import dataclasses
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys

import jax_process
import keras
import numpy as np
import one_of_each_task
import pytest
import small
import small_classifier

from official import experiment as experiment_lib
from official import failures
from official.optim import optimizers, schedules
from official.quantization import scheme
from official.training import callbacks, checkpoints, fine_tuning, preparation, session
from official.training import strategy as strategies
from tflite_export import child, keras_backend

ON_JAX = """
import pathlib, sys
from tflite_export import quiet
quiet.import_tensorflow()
import test_jax_training
test_jax_training.train_on_jax(pathlib.Path(sys.argv[1]))
"""

# On one device and on two; the other two tasks take their time to compile.
QUICK = ("classification", "segmentation", "detection")


def on_jax(root, command, *, devices=1) -> subprocess.CompletedProcess[str]:
    """Runs a Python command line on JAX with so many CPU devices."""
    flags = [
        f"--xla_force_host_platform_device_count={devices}",
        # To compile takes most of the time.
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
    ]
    return subprocess.run(
        [sys.executable, *command],
        cwd=root,
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "XLA_FLAGS": " ".join(flags),
            "PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")]),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def tuned() -> experiment_lib.Experiment:
    """All that is done to gradients and rates, and a level released on the way."""
    chosen = small_classifier.experiment()
    return dataclasses.replace(
        chosen,
        task=one_of_each_task.experiments()["classification"].task,
        fine_tuning=fine_tuning.FineTuning(
            freeze="embedding", unfreeze_every=1, backbone_rate=0.5
        ),
        optimizer=optimizers.RMSProp(
            schedule=schedules.Cosine(learning_rate=0.02, warmup_epochs=1),
            weight_decay=0.01,
            l2=1e-3,
            clip_norm=0.5,
            ema_decay=0.7,
        ),
        trainer=dataclasses.replace(chosen.trainer, epochs=3, evaluate_every=3),
    )


def train(experiment, folder: pathlib.Path, *, keep: int | None = None) -> None:
    """Trains on, or from the start; may keep a copy of the checkpoint of a step."""
    save = callbacks.Guard.save

    def save_and_keep(self, which):
        save(self, which)
        if self.state.step == keep:
            shutil.copy(checkpoints.path(folder, which), folder / "kept.npz")

    fresh = checkpoints.newest(folder) is None
    model = preparation.model(experiment, fresh=fresh)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks.Guard, "save", save_and_keep)
        session.train(experiment, folder, model)


def interrupted() -> experiment_lib.Experiment:
    """Has a checkpoint after each step, 3 of an epoch."""
    return one_of_each_task.experiments(epochs=2, checkpoint_steps=1)["segmentation"]


def aware() -> experiment_lib.Experiment:
    """Observes two steps, and freezes its ranges for the last three."""
    floats = one_of_each_task.experiments()["segmentation"]
    return dataclasses.replace(
        experiment_lib.quantization_aware(floats, epochs=3),
        quantization=scheme.QuantScheme(observe_steps=2, freeze_step=6),
        optimizer=floats.optimizer,
    )


def train_on_jax(folder: pathlib.Path) -> None:
    assert keras.backend.backend() == "jax"
    for name, experiment in one_of_each_task.experiments().items():
        train(experiment, folder / "jax" / name)
    two = strategies.DataParallel()
    for name in QUICK:
        experiment = one_of_each_task.experiments(strategy=two)[name]
        train(experiment, folder / "two" / name)
    distribution = keras.distribution.distribution()
    assert distribution is not None
    assert distribution.num_model_replicas == 2
    train(tuned(), folder / "tuned")
    train(aware(), folder / "aware")
    train(interrupted(), folder / "begun on jax", keep=4)
    train(interrupted(), folder / "begun on tensorflow")
    with_dropout = small.experiment(epochs=2, checkpoint_steps=1)
    train(with_dropout, folder / "whole", keep=4)
    begin_at(folder / "whole" / "kept.npz", folder / "in parts")
    train(with_dropout, folder / "in parts")


def begin_at(file: pathlib.Path, folder: pathlib.Path) -> None:
    (folder / "checkpoints").mkdir(parents=True)
    shutil.copy(file, checkpoints.path(folder, "last"))


def test_what_a_step_leaves_on_jax_is_not_looked_over():
    model = preparation.model(small_classifier.experiment(), fresh=True)
    state = {"trainable_variables": [np.zeros(1)]}
    model._jax_state = state
    assert model._jax_state is state
    assert model._jax_state["trainable_variables"] is state["trainable_variables"]


@pytest.fixture(scope="module")
def trained(root, tmp_path_factory):
    """What JAX has made of the weights that the experiments begin with here."""
    folder = tmp_path_factory.mktemp("trained")
    for name, experiment in one_of_each_task.experiments().items():
        one_of_each_task.start(experiment, folder / "jax" / name)
        if name in QUICK:
            shutil.copytree(folder / "jax" / name, folder / "two" / name)
    one_of_each_task.start(tuned(), folder / "tuned")
    one_of_each_task.start(aware(), folder / "aware")
    one_of_each_task.start(interrupted(), folder / "begun on jax")
    train(interrupted(), folder / "straight", keep=4)
    begin_at(folder / "straight" / "kept.npz", folder / "begun on tensorflow")
    done = on_jax(root, ["-c", ON_JAX, str(folder)], devices=2)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def arrays(folder: pathlib.Path) -> dict[str, np.ndarray]:
    with np.load(checkpoints.path(folder, "last")) as found:
        return {name: found[name] for name in found.files}


def assert_equal_runs(ours: pathlib.Path, theirs: pathlib.Path) -> None:
    """Weights, their averages, the optimizer and the state, to float tolerance."""
    mine, other = arrays(ours), arrays(theirs)
    assert set(mine) == set(other)
    states = (json.loads(str(found.pop("state"))) for found in (mine, other))
    counted = [{k: s[k] for k in ("step", "epoch", "class_names")} for s in states]
    assert counted[0] == counted[1]
    for name, value in mine.items():
        np.testing.assert_allclose(
            value, other[name], rtol=2e-4, atol=2e-5, err_msg=name
        )


@jax_process.needs_jax
def test_jax_trains_each_task_as_tensorflow_does(trained, tmp_path):
    one_of_each_task.assert_as_on_one_device(
        trained / "jax", tmp_path, one_of_each_task.ALL
    )


@jax_process.needs_jax
@pytest.mark.parametrize("task", QUICK)
def test_two_devices_train_as_one_does(trained, task):
    assert_equal_runs(trained / "two" / task, trained / "jax" / task)


@jax_process.needs_jax
def test_rates_clipping_averages_and_released_levels_are_those_on_tensorflow(
    trained, tmp_path
):
    train(tuned(), tmp_path)
    assert_equal_runs(trained / "tuned", tmp_path)


@jax_process.needs_jax
def test_quantization_aware_training_is_that_on_tensorflow(trained, tmp_path):
    train(aware(), tmp_path)
    here, there = (
        checkpoints.inference_weights(checkpoints.path(folder, "last"))
        for folder in (tmp_path, trained / "aware")
    )
    assert set(here) == set(there)
    for name, value in here.items():
        far = np.abs(there[name] - value) > 1e-4 + 1e-2 * np.abs(value)
        # Where a value lies between two levels, each backend rounds its own way.
        assert far.mean() < 0.05, name
    counts = [value for name, value in there.items() if name.endswith("range_count")]
    assert counts
    assert {float(count) for count in counts} == {6.0}


@jax_process.needs_jax
def test_a_run_begun_on_tensorflow_goes_on_on_jax(trained):
    assert_equal_runs(trained / "begun on tensorflow", trained / "straight")


@jax_process.needs_jax
def test_a_run_begun_on_jax_goes_on_on_tensorflow(trained, tmp_path):
    begin_at(trained / "begun on jax" / "kept.npz", tmp_path)
    assert checkpoints.state(checkpoints.path(tmp_path, "last")).step == 4
    train(interrupted(), tmp_path)
    assert_equal_runs(tmp_path, trained / "straight")


@jax_process.needs_jax
def test_an_interrupted_run_goes_on_on_jax_to_the_same_bits(trained):
    whole, parts = (arrays(trained / name) for name in ("whole", "in parts"))
    assert any(name.startswith("random/") for name in whole)
    assert set(whole) == set(parts)
    for name, value in whole.items():
        np.testing.assert_array_equal(value, parts[name], err_msg=name)


@jax_process.needs_jax
def test_one_command_trains_on_jax_and_ends_in_a_file(root, tmp_path):
    settings = (
        "dataset = @SyntheticStreets(height=32, width=64, train_size=4, val_size=2)",
        "task.image_size = (32, 64)",
        "task.backbone = @MobileNetV1(width_multiplier=0.25)",
        "train.batch_size = 2",
        "trainer.epochs = 1",
        "trainer.strategy = @DataParallel()",
        "export.precisions = ('float32',)",
    )
    command = ["train.py", "--experiment=mnv3_seg_synthetic", f"--run_dir={tmp_path}"]
    command += [word for setting in settings for word in ("--set", setting)]
    done = on_jax(root, command, devices=2)
    # The gate of an experiment that has learned nothing yet.
    assert done.returncode == 3, done.stderr[-2000:]
    assert done.stderr.startswith("error: outside the parity gate: the Keras model is")
    assert len(done.stderr.splitlines()) == 1
    assert (tmp_path / "export" / "model_float32.tflite").is_file()
    report = json.loads((tmp_path / "export" / "report.json").read_text())
    row = next(row for row in report["rows"] if row["name"] == "float32")
    assert row["agreement"] > 0.999
    assert "converting to float32 ..." in done.stdout


@pytest.mark.parametrize(
    ("backend", "strategy", "message"),
    [
        (
            "jax",
            strategies.MultiWorker(),
            "trainer.strategy = @MultiWorker() is for Keras on tensorflow, and "
            "KERAS_BACKEND is jax: set KERAS_BACKEND=tensorflow, or trainer.strategy = "
            "@DataParallel()",
        ),
        (
            "tensorflow",
            strategies.DataParallel(),
            "trainer.strategy = @DataParallel() is for Keras on jax, and KERAS_BACKEND "
            "is tensorflow: set KERAS_BACKEND=jax, or trainer.strategy = @Mirrored()",
        ),
    ],
)
def test_a_strategy_of_the_other_backend_is_refused(
    monkeypatch, backend, strategy, message
):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    with pytest.raises(failures.RequestError) as caught:
        strategies.connect(strategy)
    assert str(caught.value) == message


def test_jax_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(failures.RequestError) as caught:
        keras_backend.require()
    assert str(caught.value) == (
        "KERAS_BACKEND names jax, and JAX is not installed: pip install jax (for GPUs "
        "jax[cuda12]), or set KERAS_BACKEND=tensorflow"
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (1, failures.RunError),
        (2, failures.RequestError),
        (3, failures.GateError),
        (4, failures.Interrupted),
    ],
)
def test_an_export_in_a_child_ends_as_the_child_does(
    monkeypatch, capfd, tmp_path, status, kind
):
    lines = "a warning\nerror: int8: is not good enough\n"
    ended = subprocess.CompletedProcess([], status, stdout=None, stderr=lines)
    asked = {}

    def run(command, **settings):
        asked.update(settings, command=command)
        return ended

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(kind) as caught:
        child.export(tmp_path, debug=False)
    assert str(caught.value) == "int8: is not good enough"
    assert capfd.readouterr().err == "a warning\n"
    assert asked["command"][1:] == [
        "-m",
        "tflite_export",
        "export",
        f"--run_dir={tmp_path}",
    ]
    assert asked["env"]["KERAS_BACKEND"] == "tensorflow"


def test_an_export_that_is_killed_says_how_to_try_again(monkeypatch, tmp_path):
    ended = subprocess.CompletedProcess([], -9, stdout=None, stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    with pytest.raises(failures.RunError) as caught:
        child.export(tmp_path, debug=False)
    assert str(caught.value) == (
        "the export ended (SIGKILL: too little memory?): without a word; the run is "
        f"kept in {tmp_path}, and `python -m tflite_export export --run_dir={tmp_path}` "
        "tries again"
    )
