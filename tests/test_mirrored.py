"""Trainings on two replicas, in a process that has two logical CPUs."""

import json
import os
import subprocess
import sys

import one_of_each_task

TWO = """
import pathlib, sys
from tflite_export import quiet
quiet.import_tensorflow()
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2)
from official.training import strategy
two = strategy.Mirrored(devices=("CPU:0", "CPU:1"))
"""

ALL_TASKS = """
import one_of_each_task
folder = pathlib.Path(sys.argv[1])
one_of_each_task.train(folder, one_of_each_task.WITH_SLOTS, strategy=two)
"""

WHOLE_RUN = """
import small
from official import runner
flags = dict(name="small", overwrite=False, evaluate_only=False, dry_run=False)
folder = pathlib.Path(sys.argv[1])
loops = small.experiment(epochs=2, strategy=two, steps_per_loop=2)
runner.run(loops, run_dir=folder, **flags)
# More epochs and another strategy are the same run, continued.
runner.run(small.experiment(epochs=3), run_dir=folder, **flags)
"""


def run(script, folder, root) -> str:
    """Runs a script after `TWO`; gives what it printed."""
    paths = os.pathsep.join([str(root), str(root / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", TWO + script, str(folder)],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_two_replicas_train_each_task_as_one_device_does(root, tmp_path):
    run(ALL_TASKS, tmp_path / "two", root)
    one_of_each_task.assert_as_on_one_device(
        tmp_path / "two", tmp_path / "one", one_of_each_task.WITH_SLOTS
    )


def test_two_replicas_train_evaluate_save_and_go_on_as_one(root, tmp_path):
    printed = run(WHOLE_RUN, tmp_path / "run", root)
    assert "resuming after step 6 (epoch 2)" in printed
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["epochs"] == 3
    assert result["rows"][0]["metrics"]["mean_iou"] > 2 * result["constant"]
