"""One step on one device equals one step on two."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys
import tensorflow as tf
cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(
    cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
import numpy as np
import squares
from official.losses import cross_entropy
from official.optim import optimizers, schedules
from official.training import strategy, trainable

def weights_after_a_step(spec, l2, clip_norm=None):
    keras.utils.set_random_seed(0)
    with spec.create().scope():
        images = keras.Input((8, 8, 3))
        x = keras.layers.Conv2D(3, 1, name="classes")(images)
        network = keras.Model(images, {"logits": x})
        model = trainable.Trainable(
            network, {"cross_entropy": cross_entropy.PixelCrossEntropy()}, l2=l2)
        optimizer = optimizers.SGD(
            schedule=schedules.Constant(learning_rate=1.0), momentum=0.0,
            clip_norm=clip_norm)
        model.compile(optimizer.build(
            network.trainable_variables, total_steps=1, steps_per_epoch=1))
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, (4, 8, 8))
    labels[0, :6] = 255  # images and replicas differ in how much of them is labelled
    data = tf.data.Dataset.from_tensors(
        (random.normal(size=(4, 8, 8, 3)).astype("float32"), {"semantic": labels}))
    logs = model.fit(data, verbose=0).history
    return [np.asarray(w).ravel().tolist() for w in network.get_weights()], logs

def detector_after_a_step(spec):
    task = squares.task()
    keras.utils.set_random_seed(0)
    with spec.create().scope():
        network = task.build(num_classes=2, training=True)
        network.get_layer("norm").trainable = False  # it is not synchronized
        model = trainable.Trainable(network, task.losses(), assign=task.assign)
        optimizer = optimizers.SGD(
            schedule=schedules.Constant(learning_rate=0.1), momentum=0.0)
        model.compile(optimizer.build(
            network.trainable_variables, total_steps=1, steps_per_epoch=1))
    random = np.random.default_rng(0)
    classes = np.full((4, 5), -1)
    classes[0, :3], classes[1, 0] = 1, 0  # the second replica has no object
    boxes = np.tile(np.array([0.2, 0.2, 0.5, 0.5], "float32"), (4, 5, 1))
    boxes[0, 1] += 0.3
    data = tf.data.Dataset.from_tensors((
        random.uniform(0, 255, (4, 32, 32, 3)).astype("float32"),
        {"boxes": boxes, "box_classes": classes}))
    logs = model.fit(data, verbose=0).history
    return [np.asarray(w).ravel().tolist() for w in network.get_weights()], logs

# In a process of its own: a new strategy uses the numbers of collective ops again, and
# the runtime remembers the shapes that they had.
if sys.argv[1] == "detector":
    one, one_logs = detector_after_a_step(strategy.OneDevice())
    two, two_logs = detector_after_a_step(strategy.Mirrored(devices=("CPU:0", "CPU:1")))
    print(json.dumps([one, two, one_logs, two_logs]))
    sys.exit()

for setting in ((0.0,), (0.1,), (0.0, 0.01)):
    one, one_logs = weights_after_a_step(strategy.OneDevice(), *setting)
    two, two_logs = weights_after_a_step(
        strategy.Mirrored(devices=("CPU:0", "CPU:1")), *setting)
    print(json.dumps([one, two, one_logs, two_logs]))
"""


def printed(root, what):
    paths = os.pathsep.join([str(root), str(root / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, what],
        cwd=root,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line[0] == "["]


@pytest.fixture(scope="module")
def steps(root):
    return printed(root, "segmenter")


def test_a_detectors_loss_is_divided_by_the_objects_of_all_replicas(root):
    ((one, two, one_logs, two_logs),) = printed(root, "detector")
    for name in ("loss", "classes_loss", "boxes_loss"):
        assert one_logs[name] == pytest.approx(two_logs[name], rel=1e-4)
    for ours, theirs in zip(one, two, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)


def test_weights_after_a_step_are_equal(steps):
    for one, two, _, _ in steps:
        for ours, theirs in zip(one, two, strict=True):
            assert ours == pytest.approx(theirs, abs=1e-6)


def test_the_reported_losses_are_equal(steps):
    for _, _, one, two in steps:
        for name in ("loss", "cross_entropy_loss"):
            assert one[name] == pytest.approx(two[name], rel=1e-5)


def test_the_penalty_is_in_the_loss_and_changes_the_step(steps):
    (plain, _, plain_logs, _), (decayed, _, decayed_logs, _), _ = steps
    assert decayed_logs["loss"][0] > plain_logs["loss"][0]
    assert decayed_logs["cross_entropy_loss"] == plain_logs["cross_entropy_loss"]
    assert plain[0] != pytest.approx(decayed[0], abs=1e-4)
    # The bias is not penalised: its gradient, and so its step, is the same.
    assert plain[1] == pytest.approx(decayed[1], abs=1e-7)


def test_clipping_shortens_the_step_of_the_global_batch(steps):
    plain, clipped = steps[0][0], steps[2][0]
    assert plain[0] != pytest.approx(clipped[0], abs=1e-3)
