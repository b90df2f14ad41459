"""A whole run on two replicas, in a process that has two logical CPUs."""

import json
import os
import subprocess
import sys

SCRIPT = """
import pathlib, sys
from tflite_export import quiet
quiet.import_tensorflow()
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2)
import small
from official import runner
from official.training import strategy
two = strategy.Mirrored(devices=("CPU:0", "CPU:1"))
flags = dict(name="small", overwrite=False, evaluate_only=False, dry_run=False)
folder = pathlib.Path(sys.argv[1])
runner.run(small.experiment(epochs=2, strategy=two), run_dir=folder, **flags)
# More epochs and another strategy are the same run, continued.
runner.run(small.experiment(epochs=3), run_dir=folder, **flags)
"""


def test_two_replicas_train_evaluate_save_and_go_on_as_one(root, tmp_path):
    paths = os.pathsep.join([str(root), str(root / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "run")],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "resuming after step 6 (epoch 2)" in done.stdout
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["epochs"] == 3
    assert result["rows"][0]["metrics"]["mean_iou"] > 2 * result["constant"]
