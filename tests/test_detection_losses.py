import json
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

from official.losses import detection

LOSSES = [
    detection.FocalLoss(),
    detection.HardNegativeLoss(),
    detection.HardNegativeLoss(scores="softmax"),
    detection.BoxLoss(),
]
every_loss = pytest.mark.parametrize(
    "loss", LOSSES, ids=["focal", "sigmoid", "softmax", "boxes"]
)


def _drawn(images, anchors=20, classes=3, *, share=0.2, seed=0):
    """Targets and outputs; the classes of the outputs include a background."""
    generator = np.random.default_rng(seed)
    matched = generator.uniform(0, 1, (images, anchors)) < share
    ids = np.where(matched, generator.integers(1, classes + 1, matched.shape), 0)
    ids[:, 0] = -1
    positives = max((ids > 0).sum(), 1) / images
    targets = {
        "anchor_classes": ids.astype("int32"),
        "anchor_boxes": generator.normal(size=(images, anchors, 4)).astype("float32"),
        "positives": np.full(images, positives, "float32"),
    }
    outputs = {
        "logits": generator.normal(size=(images, anchors, classes + 1)),
        "box_encodings": generator.normal(size=(images, anchors, 4)),
    }
    return targets, {k: v.astype("float32") for k, v in outputs.items()}


def _one(classes, logits=None, boxes=None, wanted=None, positives=1.0):
    """Targets and outputs of one image."""
    count = len(classes)
    zeros = np.zeros((count, 4))
    return (
        {
            "anchor_classes": np.array([classes]),
            "anchor_boxes": np.float32([zeros if wanted is None else wanted]),
            "positives": np.float32([positives]),
        },
        {
            "logits": np.float32([np.zeros((count, 2)) if logits is None else logits]),
            "box_encodings": np.float32([zeros if boxes is None else boxes]),
        },
    )


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_the_focal_loss_worked_by_hand():
    # Matched to the second class; background; not counted.
    logits = [[-1.0, 0.5], [2.0, -3.0], [9.0, 9.0]]
    targets, outputs = _one([2, 0, -1], logits, positives=2.0)

    def term(score, weight):
        return -weight * (1 - score) ** 2 * np.log(score)

    wanted = (
        term(sigmoid(1.0), 0.25)
        + term(sigmoid(0.5), 0.75)
        + term(sigmoid(-2.0), 0.25)
        + term(sigmoid(3.0), 0.25)
    )
    loss = detection.FocalLoss(weight=3.0)
    assert float(loss(targets, outputs)) == pytest.approx(3 * wanted / 2, rel=1e-5)


def test_a_gamma_of_zero_leaves_the_cross_entropy():
    targets, outputs = _one([1, 0], [[0.3, -0.2], [1.0, 2.0]])
    wanted = -0.5 * np.log(sigmoid(0.3) * sigmoid(0.2) * sigmoid(-1.0) * sigmoid(-2.0))
    loss = detection.FocalLoss(alpha=0.5, gamma=0.0)
    assert float(loss(targets, outputs)) == pytest.approx(wanted, rel=1e-5)


def test_hard_negatives_by_sigmoid_worked_by_hand():
    # One matched, five of the background, of which two count: those with the largest
    # scores; then one that does not count, whatever it says.
    logits = [[0.0, 1.0], *[[x, -9.0] for x in (-1.0, 3.0, 0.0, 2.0, -2.0)], [9, 9]]
    targets, outputs = _one([2, 0, 0, 0, 0, 0, -1], logits)
    loss = detection.HardNegativeLoss(ratio=2, min_negatives=0)
    matched = -np.log(sigmoid(0.0) * sigmoid(1.0))
    worst = -np.log(sigmoid(-3.0) * sigmoid(9.0) * sigmoid(-2.0) * sigmoid(9.0))
    assert float(loss(targets, outputs)) == pytest.approx(matched + worst, rel=1e-5)


def test_hard_negatives_by_softmax_have_the_background_first():
    logits = [[0.0, 2.0], [1.0, 0.0], [0.0, 1.0]]
    targets, outputs = _one([1, 0, 0], logits)
    loss = detection.HardNegativeLoss(scores="softmax", ratio=1, min_negatives=0)
    # Matched and right with odds of e^2; the worse background with odds of 1 / e.
    wanted = np.log(1 + np.exp(-2)) + np.log(1 + np.e)
    assert float(loss(targets, outputs)) == pytest.approx(wanted, rel=1e-5)


def test_an_image_without_objects_learns_from_its_least_negatives():
    targets, outputs = _one([0, 0, 0], [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    softplus = [np.log1p(np.exp(x)) for x in (0.0, 1.0, 2.0)]
    for kept in (0, 1, 2, 9):
        loss = detection.HardNegativeLoss(min_negatives=kept)
        wanted = 2 * sum(softplus[3 - min(kept, 3) :])
        assert float(loss(targets, outputs)) == pytest.approx(wanted, rel=1e-5)


def test_the_box_loss_worked_by_hand():
    wanted = [[1.0, 0, 0, 0], [9, 9, 9, 9], [9, 9, 9, 9]]
    boxes = [[0.5, 2.0, 0.0, -3.0], [0.0] * 4, [0.0] * 4]
    targets, outputs = _one([1, 0, -1], boxes=boxes, wanted=wanted, positives=0.5)
    # Squared below 1, linear above: 0.5 * 0.25 + (2 - 0.5) + (3 - 0.5).
    loss = detection.BoxLoss()
    assert float(loss(targets, outputs)) == pytest.approx(4.125 / 0.5)
    loss = detection.BoxLoss(delta=0.5, weight=0.25)
    small = 0.125 + 0.5 * (2 - 0.25) + 0.5 * (3 - 0.25)
    assert float(loss(targets, outputs)) == pytest.approx(0.25 * small / 0.5)


def test_boxes_of_unmatched_anchors_do_not_count_even_if_they_are_wild():
    targets, outputs = _one([0, -1], boxes=[[np.inf] * 4, [1e30] * 4])
    assert float(detection.BoxLoss()(targets, outputs)) == 0


@every_loss
def test_halves_of_a_batch_weigh_as_the_whole(loss):
    targets, outputs = _drawn(4)
    whole = float(loss(targets, outputs))
    halves = [
        float(
            loss(
                {k: v[part] for k, v in targets.items()},
                {k: v[part] for k, v in outputs.items()},
            )
        )
        for part in (slice(0, 2), slice(2, 4))
    ]
    assert halves[0] != pytest.approx(halves[1], rel=1e-3)
    assert sum(halves) / 2 == pytest.approx(whole, rel=1e-5)


@every_loss
@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_losses_and_gradients_are_finite(loss, share, scale):
    """Also of a batch without a single object, and of a network that is certain."""
    import tensorflow as tf

    targets, outputs = _drawn(2, share=share)
    variables = {k: tf.Variable(scale * v) for k, v in outputs.items()}
    with tf.GradientTape() as tape:
        value = loss(targets, {k: tf.identity(v) for k, v in variables.items()})
    gradients = tape.gradient(value, list(variables.values()))
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in gradients if g is not None)


@every_loss
def test_half_precision_is_summed_in_single(loss):
    targets, outputs = _drawn(2)
    halves = {k: v.astype("float16") for k, v in outputs.items()}
    singles = {k: v.astype("float32") for k, v in halves.items()}
    assert loss(targets, halves).dtype == "float32"
    assert float(loss(targets, halves)) == pytest.approx(
        float(loss(targets, singles)), rel=1e-6
    )


@every_loss
def test_a_loss_is_saved_with_its_settings(loss):
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert copy.get_config() == loss.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: detection.FocalLoss(alpha=1.0), "FocalLoss.alpha = 1.0: must be in"),
        (lambda: detection.FocalLoss(gamma=-1.0), "FocalLoss.gamma = -1.0"),
        (lambda: detection.BoxLoss(delta=0.0), "BoxLoss.delta = 0.0: must be above 0"),
        (
            lambda: detection.HardNegativeLoss(ratio=-1.0),
            "ratio -1.0 and min_negatives",
        ),
        (
            lambda: detection.HardNegativeLoss(scores="tanh"),
            "HardNegativeLoss.scores = 'tanh': must be one of 'sigmoid', 'softmax'",
        ),
    ],
)
def test_a_wrong_value_is_refused(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


SCRIPT = """
import json
import tensorflow as tf
cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(
    cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
import numpy as np
from test_detection_losses import _drawn
from official.losses import detection
from official.optim import optimizers, schedules
from official.training import strategy, trainable

targets, _ = _drawn(4, anchors=6)

def weights_after_a_step(spec, losses):
    keras.utils.set_random_seed(0)
    with spec.create().scope():
        images = keras.Input((2, 3, 3))
        def predict(values, name):
            x = keras.layers.Conv2D(values, 1, name=name + "_conv")(images)
            return keras.layers.Reshape((6, values), name=name)(x)
        network = keras.Model(
            images, {"logits": predict(4, "logits"), "box_encodings": predict(4, "boxes")})
        model = trainable.Trainable(network, losses, l2=0.0)
        optimizer = optimizers.SGD(
            schedule=schedules.Constant(learning_rate=1.0), momentum=0.0)
        model.compile(optimizer.build(
            network.trainable_variables, total_steps=1, steps_per_epoch=1))
    images = np.random.default_rng(0).normal(size=(4, 2, 3, 3)).astype("float32")
    model.fit(tf.data.Dataset.from_tensors((images, targets)), verbose=0)
    return [np.asarray(w).ravel().tolist() for w in network.get_weights()]

for classes in (
    detection.FocalLoss(), detection.HardNegativeLoss(scores="softmax", ratio=1.0)
):
    losses = {"classes": classes, "boxes": detection.BoxLoss()}
    print(json.dumps([
        weights_after_a_step(strategy.OneDevice(), losses),
        weights_after_a_step(strategy.Mirrored(devices=("CPU:0", "CPU:1")), losses)]))
"""


def test_a_step_on_two_replicas_is_that_on_one(root):
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append('tests')\n{SCRIPT}"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line[0] == "["]
    assert len(lines) == 2
    for one, two in lines:
        for a, b in zip(one, two, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
