"""The classification task: what goes in, what comes out, what is learned and counted."""

import dataclasses
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from official import bindings, failures, gin, runner
from official.backbones import base as backbones_base
from official.data import errors, indexed, mixing, pipeline
from official.data.augmentation import base as augmentation_base
from official.experiment import Experiment
from official.heads.classification import Classification as Head
from official.losses import classification as losses_lib
from official.optim import optimizers, schedules
from official.tasks import evaluation
from official.tasks.classification import Classification
from official.training.trainer import Trainer

COLORS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneConvolution(backbones_base.Backbone):
    def __call__(self, images):
        layer = keras.layers.Conv2D(8, 3, strides=4, activation="relu", name="conv")
        pool = keras.layers.GlobalAveragePooling2D(keepdims=True, name="pool")
        return {"embedding": pool(layer(images))}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Brighter(augmentation_base.Augmentation):
    by: float = 1.0

    def __call__(self, image, *, seed):
        return image + self.by


@dataclasses.dataclass(frozen=True, kw_only=True)
class Colored(indexed.IndexedDataset):
    """Pictures of one color and some noise; the color is the class."""

    several: bool = False
    wrong: int | None = None

    class_names = ("red", "green", "blue")
    palette = COLORS

    def records(self, split):
        return range(12)

    def read(self, record):
        random = np.random.default_rng(record)
        label = record % 3
        image = np.array(COLORS[label]) + random.normal(0, 20, (40, 50, 3))
        example = {
            "image": image.clip(0, 255).astype(np.uint8),
            "image_id": f"picture {record}",
        }
        if self.several:
            # "blue" is not known of every second one.
            labels = np.eye(3, dtype=np.float32)[label] + [0, label == 0, 0]
            labels[2] = -1 if record % 2 else labels[2]
            return example | {"labels": labels}
        return example | {"label": label if self.wrong is None else self.wrong}


TASK = Classification(
    backbone=OneConvolution(),
    head=Head(),
    image_size=(16, 16),
    crop_area=(0.5, 1.0),
)
SEVERAL = dataclasses.replace(TASK, multi_label=True)


def experiment(task: Classification = TASK, **trainer) -> Experiment:
    return Experiment(
        task=task,
        dataset=Colored(several=task.multi_label),
        train=pipeline.Input(split="train", batch_size=4),
        eval=pipeline.Input(split="val", batch_size=5),
        optimizer=optimizers.SGD(schedule=schedules.Cosine(learning_rate=0.5)),
        trainer=Trainer(**({"epochs": 8} | trainer)),
        seed=1,
    )


def example(height: int = 40, width: int = 60) -> dict:
    """The right third is white, the rest is black."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, 2 * width // 3 :] = 255
    return {"image": image, "label": np.int32(1)}


def batches(task: Classification, dataset=None, *, seed: int = 0):
    return pipeline.training_batches(
        dataset or Colored(several=task.multi_label),
        pipeline.Input(split="train", batch_size=4),
        task.preprocess,
        mix=task.mix,
        seed=seed,
    )


def test_training_images_have_the_training_size():
    task = dataclasses.replace(TASK, train_size=(24, 32))
    image, targets = task.preprocess(example(), training=True, seed=np.array([1, 2]))
    assert image.shape == (24, 32, 3)
    assert {name: int(value) for name, value in targets.items()} == {"label": 1}
    assert task.build(num_classes=3, training=True).input_shape == (None, 24, 32, 3)
    assert task.build(num_classes=3, training=False).input_shape == (None, 16, 16, 3)


def test_the_resolution_multiplier_scales_every_size():
    task = dataclasses.replace(
        TASK, image_size=(256, 256), train_size=(128, 192), resolution_multiplier=0.5
    )
    image, _ = task.preprocess(example(), training=True, seed=np.array([1, 2]))
    assert image.shape == (64, 96, 3)
    assert task.preprocess(example(), training=False)[0].shape == (128, 128, 3)


@pytest.mark.parametrize(
    ("share", "white"),
    # Of 40 x 60 the central square is 40 wide, from 10 to 50; white is from 40 on.
    [(1.0, 10 / 40), (0.8, 6 / 32), (None, 1 / 3)],
)
def test_evaluation_sees_the_central_share_or_the_whole(share, white):
    task = dataclasses.replace(TASK, image_size=(60, 60), center_share=share)
    image, _ = task.preprocess(example(), training=False)
    assert image.shape == (60, 60, 3)
    assert float(np.mean(image)) / 255 == pytest.approx(white, abs=0.02)


def test_what_evaluation_sees_is_said_in_words():
    assert "0.875 times the sides of the largest such" in TASK.resize_description
    whole = dataclasses.replace(TASK, center_share=None)
    assert whole.resize_description == "the whole image, its aspect ratio not kept"


def test_the_seed_decides_what_augmentation_does():
    task = dataclasses.replace(TASK, brightness=0.2)
    first, again, other = (
        np.asarray(task.preprocess(example(), training=True, seed=np.array(seed))[0])
        for seed in ([1, 2], [1, 2], [1, 3])
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1


def test_half_of_the_images_are_mirrored():
    full = dataclasses.replace(
        TASK, crop_area=(1.0, 1.0), crop_aspect=(1.0, 1.0), image_size=(40, 40)
    )
    square = example(40, 40)
    still = dataclasses.replace(full, flip=False)

    def white_on_the_right(task, number):
        image, _ = task.preprocess(square, training=True, seed=np.array([0, number]))
        return float(np.mean(image[:, 30:])) > 128

    assert all(white_on_the_right(still, number) for number in range(8))
    assert 5 < sum(white_on_the_right(full, number) for number in range(24)) < 19


def test_augmentations_are_done_one_after_the_other():
    task = dataclasses.replace(TASK, augmentations=(Brighter(), Brighter(by=4.0)))
    seed = np.array([1, 2])
    plain, changed = (
        np.asarray(t.preprocess(example(), training=True, seed=seed)[0])
        for t in (TASK, task)
    )
    np.testing.assert_allclose(changed, plain + 5)


def test_a_batch_is_mixed_with_a_seed_of_its_own():
    task = dataclasses.replace(TASK, mixing=mixing.Mixing())
    first, again = (list(batches(task).take(2)) for _ in range(2))
    for (images, targets), (same, _) in zip(first, again, strict=True):
        assert set(targets) == {"label", "other_label", "share"}
        np.testing.assert_array_equal(images, same)
    shares = [np.asarray(targets["share"]) for _, targets in first]
    assert (np.abs(shares[0] - shares[1]) > 1e-3).any()
    images, targets = next(iter(batches(TASK)))
    assert set(targets) == {"label"}
    assert np.abs(images - first[0][0]).max() > 1


def test_labels_that_are_not_known_stay_so_when_mixed():
    task = dataclasses.replace(SEVERAL, mixing=mixing.Mixing())
    plain = next(iter(batches(SEVERAL)))[1]["labels"].numpy()
    labels = next(iter(batches(task)))[1]["labels"].numpy()
    unknown = (plain < 0) | (np.roll(plain, 1, axis=0) < 0)
    assert unknown.any()
    np.testing.assert_array_equal(labels[unknown], -1)
    assert ((labels >= 0) & (labels <= 1))[~unknown].all()
    assert ((labels > 0) & (labels < 1)).any()


def test_training_and_inference_forms_share_names_and_shapes():
    forms = [TASK.build(num_classes=3, training=t) for t in (True, False)]
    paths = [{w.path: tuple(w.shape) for w in form.weights} for form in forms]
    assert paths[0] == paths[1]


def test_channels_are_normalized_as_torchvision_does():
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 4, 4, 3)).astype("float32")
    images = keras.Input((4, 4, 3))
    for name, expected in {
        "symmetric": pixels / 127.5 - 1,
        "imagenet": (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
    }.items():
        task = dataclasses.replace(TASK, normalization=name)
        model = keras.Model(images, task.normalized(images))
        np.testing.assert_allclose(model(pixels), expected, atol=1e-5)
        assert [layer.name for layer in model.layers][1] == "normalize"


def test_logits_become_scores_and_class_ids():
    logits = np.array([[0.0, np.log(3.0)], [800.0, -800.0]], np.float32)
    found = TASK.postprocess({"logits": logits}, {})
    np.testing.assert_allclose(found["scores"], [[0.25, 0.75], [1, 0]], atol=1e-6)
    np.testing.assert_array_equal(found["class_ids"], [1, 0])
    assert (found["scores"].dtype, found["class_ids"].dtype) == ("float32", "int32")
    found = SEVERAL.postprocess({"logits": logits}, {})
    np.testing.assert_allclose(found["scores"], [[0.5, 0.75], [1, 0]], atol=1e-6)


def test_the_class_is_that_of_the_largest_logit_where_scores_round_to_one():
    logits = np.array([[40.0, 41.0]], np.float32)
    found = SEVERAL.postprocess({"logits": logits}, {})
    assert found["scores"][0, 0] == found["scores"][0, 1] == 1
    assert found["class_ids"] == 1


def test_scores_and_class_ids_of_a_file_are_taken_as_they_are():
    scores = np.array([[0.1, 0.9]], np.float32)
    found = TASK.postprocess({"scores": scores}, {})
    np.testing.assert_array_equal(found["scores"], scores)
    assert found["class_ids"] == 1
    found = TASK.postprocess({"class_ids": np.array([1])}, {})
    assert found == {"class_ids": 1}
    with pytest.raises(failures.RequestError, match="set export"):
        SEVERAL.postprocess({"class_ids": np.array([1])}, {})


def test_agreement_counts_images_or_each_of_their_classes():
    def predicted(scores):
        return {"scores": np.array(scores), "class_ids": np.argmax(scores, axis=-1)}

    ours = predicted([[0.9, 0.6], [0.2, 0.4]])
    theirs = predicted([[0.7, 0.2], [0.6, 0.3]])
    assert TASK.agreement(ours, theirs, {}) == (1, 2)
    assert SEVERAL.agreement(ours, theirs, {}) == (2, 4)


def test_a_predictor_is_judged():
    truth = {"label": np.array([0, 0, 2])}
    logits = np.eye(3, dtype=np.float32)[[0, 1, 2]]
    found = evaluation.evaluate(
        TASK,
        {"Keras": lambda images: {"logits": logits}},
        [(np.zeros((3, 4, 4, 3)), truth)],
        class_names=("a", "b", "c"),
    )["Keras"]
    assert found.metrics[TASK.metric] == found.constant == pytest.approx(2 / 3)
    np.testing.assert_array_equal(
        found.judges["classification"].confusion, [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    )


def test_several_labels_are_judged_by_their_average_precision():
    truth = {"labels": np.array([[1, 0], [0, 0]], np.float32)}
    logits = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
    found = evaluation.evaluate(
        SEVERAL,
        {"Keras": lambda images: {"logits": logits}},
        [(np.zeros((2, 4, 4, 3)), truth)],
        class_names=("a", "b"),
    )["Keras"]
    assert found.metrics[SEVERAL.metric] == found.constant == 0.5
    assert SEVERAL.confusion(found.judges, ("a", "b")) is None


def test_the_losses_are_those_with_a_weight():
    assert set(TASK.losses()) == {"cross_entropy"}
    both = dataclasses.replace(TASK, distillation_weight=0.5, label_smoothing=0.1)
    losses = both.losses()
    assert losses["cross_entropy"].label_smoothing == 0.1
    assert losses["distillation"].weight == 0.5
    alone = dataclasses.replace(both, label_weight=0.0, multi_label=True)
    assert set(alone.losses()) == {"distillation"}
    assert isinstance(SEVERAL.losses()["cross_entropy"], losses_lib.SigmoidCrossEntropy)


@pytest.mark.parametrize("task", [TASK, SEVERAL], ids=["one", "several"])
def test_a_run_learns(task, tmp_path):
    flags = {"overwrite": False, "evaluate_only": False, "dry_run": False}
    runner.run(experiment(task), name="colors", run_dir=tmp_path / "run", **flags)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["rows"][0]["metrics"][task.metric] > 0.95 > 2 * result["constant"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("crop_area", (0.5, 1.5), r"crop_area \(0.5, 1.5\): want 0 < low <= high <= 1"),
        ("crop_aspect", (2.0, 1.0), r"crop_aspect \(2.0, 1.0\): want 0 < low <= high"),
        ("center_share", 1.5, r"center_share 1.5: want \(0, 1\] or None"),
        ("label_smoothing", 1.0, r"label_smoothing 1.0: want \[0, 1\)"),
        ("temperature", 0.0, "temperature 0.0: want more than 0"),
        ("label_weight", 0.0, "label_weight 0.0 and distillation_weight 0.0: want"),
        ("normalization", "caffe", "normalization 'caffe': want one of symmetric, im"),
    ],
)
def test_fields_out_of_range_are_refused(field, value, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TASK, **{field: value})


def test_class_weights_of_another_number_are_refused():
    task = dataclasses.replace(TASK, class_weights=(1.0, 2.0))
    message = r"^task\.class_weights has 2 values, the data set has 3 classes$"
    with pytest.raises(failures.RequestError, match=message):
        task.build(num_classes=3, training=True)


def test_one_class_is_refused_unless_it_is_a_question_of_its_own():
    with pytest.raises(failures.RequestError, match="the data set has 1 class, and"):
        TASK.build(num_classes=1, training=True)
    network = SEVERAL.build(num_classes=1, training=True)
    assert network.output["logits"].shape == (None, 1)


@pytest.mark.parametrize("task", [TASK, SEVERAL], ids=["one", "several"])
def test_data_of_the_other_kind_is_refused_in_one_line(task):
    wrong = Colored(several=not task.multi_label)
    message = (
        f"^task.multi_label = {task.multi_label} learns from .* the data set have "
        f"'.*': set task.multi_label = {not task.multi_label}$"
    )
    source = pipeline.Input(split="val", batch_size=2)
    with pytest.raises(failures.RequestError, match=message):
        batches(task, wrong)
    with pytest.raises(failures.RequestError, match=message):
        pipeline.evaluation_batches(wrong, source, task.preprocess)
    with pytest.raises(failures.RequestError, match=message):
        next(
            iter(
                pipeline.calibration_images(
                    wrong, source, task.preprocess, count=1, seed=0
                )
            )
        )


def test_data_without_labels_is_refused_in_one_line():
    message = "have neither: choose a data set for classification$"
    with pytest.raises(failures.RequestError, match=message):
        TASK.preprocess({"image": example()["image"]}, training=False)


@pytest.mark.parametrize("wrong", [-2, 3])
def test_a_label_outside_the_classes_is_refused_with_its_image(wrong):
    message = rf"^picture \d+: label {wrong}; want 0\.\.2, or -1 for an image without"
    dataset = Colored(wrong=wrong)
    with pytest.raises(failures.DataError, match=message), errors.clear():
        next(iter(batches(TASK, dataset)))
    source = pipeline.Input(split="val", batch_size=2)
    evaluated = pipeline.evaluation_batches(dataset, source, TASK.preprocess)
    with pytest.raises(failures.DataError, match=message), errors.clear():
        next(iter(evaluated))


@dataclasses.dataclass(frozen=True, kw_only=True)
class BadLabels(Colored):
    bad: tuple[float, ...] = ()

    def read(self, record):
        labels = np.array(self.bad, np.float32)
        return {"image": np.zeros((4, 4, 3), np.uint8), "labels": labels}


def test_labels_beyond_one_are_refused():
    dataset = BadLabels(bad=(1.0, 2.0, 0.0))
    message = r"^an example: labels \[1.0, 2.0, 0.0\]; want 0 or 1 for each class"
    with pytest.raises(failures.DataError, match=message), errors.clear():
        next(iter(batches(SEVERAL, dataset)))


def test_an_unlabelled_image_passes():
    _, targets = next(iter(batches(TASK, Colored(wrong=-1))))
    np.testing.assert_array_equal(targets["label"], [-1] * 4)


def test_it_is_a_task_of_plain_values():
    assert isinstance(hash(TASK), int)
    assert dataclasses.replace(TASK) == TASK


def test_every_setting_can_be_written_as_a_binding_and_read_again():
    task = dataclasses.replace(
        TASK,
        mixing=mixing.Mixing(mixup_alpha=0.1),
        augmentations=(Brighter(by=2.0), Brighter()),
        center_share=None,
        class_weights=(1.0, 2.0, 3.0),
    )
    lines = bindings.dump(experiment(task)).splitlines()
    settings = [gin.parse_setting(line) for line in lines if line[:1] not in ("", "#")]
    assert bindings.construct(Experiment, settings) == experiment(task)


# The losses, by hand.


def logits(*probabilities) -> dict[str, np.ndarray]:
    """`[B, C]` whose softmax gives these rows."""
    return {"logits": np.log(np.array(probabilities, np.float32))}


def softmax_loss(targets: dict, outputs: dict, **settings) -> float:
    loss = losses_lib.SoftmaxCrossEntropy(**settings)
    return float(loss({k: np.array(v) for k, v in targets.items()}, outputs))


def test_the_mean_of_the_images_unlabelled_ones_as_zero():
    outputs = logits([0.5, 0.5], [0.25, 0.75], [0.9, 0.1])
    found = softmax_loss({"label": [0, 0, -1]}, outputs)
    assert found == pytest.approx((np.log(2) + np.log(4)) / 3, rel=1e-6)


def test_label_smoothing_spreads_over_all_classes():
    outputs = logits([0.5, 0.25, 0.25])
    found = softmax_loss({"label": [0]}, outputs, label_smoothing=0.3)
    # Targets 0.8, 0.1, 0.1.
    expected = 0.8 * np.log(2) + 2 * 0.1 * np.log(4)
    assert found == pytest.approx(expected, rel=1e-6)
    assert softmax_loss({"label": [-1]}, outputs, label_smoothing=0.3) == 0


def test_a_mixed_image_has_a_share_of_each_loss():
    outputs = logits([0.5, 0.25, 0.25], [0.5, 0.25, 0.25])
    targets = {"label": [0, 1], "other_label": [1, -1], "share": [0.75, 0.5]}
    found = softmax_loss(targets, outputs, class_weights=(2.0, 3.0, 1.0))
    first = 0.75 * 2 * np.log(2) + 0.25 * 3 * np.log(4)
    assert found == pytest.approx((first + 0.5 * 3 * np.log(4)) / 2, rel=1e-6)


def test_the_weight_is_a_factor():
    outputs = logits([0.5, 0.5])
    found = softmax_loss({"label": [0]}, outputs, weight=0.5)
    assert found == pytest.approx(0.5 * np.log(2), rel=1e-6)


def test_the_classes_of_an_image_that_are_known_are_averaged():
    sigmoids = np.array([[0.5, 0.75, 0.25], [0.5, 0.5, 0.5]])
    outputs = {"logits": np.log(sigmoids / (1 - sigmoids))}
    targets = {"labels": np.array([[1, 0, -1], [-1, -1, -1]], np.float32)}
    settings = {"class_weights": (1.0, 3.0, 1.0)}
    loss = losses_lib.SigmoidCrossEntropy(**settings)
    expected = (np.log(2) + 3 * np.log(4)) / 2 / 2
    assert float(loss(targets, outputs)) == pytest.approx(expected, rel=1e-6)
    smooth = losses_lib.SigmoidCrossEntropy(label_smoothing=0.2)
    # Targets 0.9 and 0.1.
    second = 0.1 * -np.log(0.75) + 0.9 * np.log(4)
    expected = (np.log(2) + second) / 2 / 2
    assert float(smooth(targets, outputs)) == pytest.approx(expected, rel=1e-6)


def test_large_logits_give_finite_losses_and_gradients():
    values = tf.constant([[1e4, -1e4]])
    for loss, targets in (
        (losses_lib.SoftmaxCrossEntropy(), {"label": np.array([1])}),
        (losses_lib.SigmoidCrossEntropy(), {"labels": np.array([[0.0, 1.0]])}),
    ):
        with tf.GradientTape() as tape:
            tape.watch(values)
            found = loss(targets, {"logits": values})
        assert np.isfinite(found)
        assert np.isfinite(tape.gradient(found, values)).all()


@pytest.mark.parametrize(
    "kind", [losses_lib.SoftmaxCrossEntropy, losses_lib.SigmoidCrossEntropy]
)
def test_the_config_rebuilds_a_loss(kind):
    loss = kind(label_smoothing=0.1, class_weights=(1.0, 2.0), weight=0.5)
    targets = {"label": np.array([0]), "labels": np.array([[0.0, 1.0]])}
    outputs = logits([0.3, 0.7])
    again = kind(**loss.get_config())
    assert float(again(targets, outputs)) == float(loss(targets, outputs))
    with pytest.raises(ValueError, match=r"label_smoothing 1: want \[0, 1\)"):
        kind(label_smoothing=1)


REPLICAS = """
import numpy as np
from tflite_export import quiet
quiet.import_tensorflow()
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
from official.losses import classification
from official.training import strategy, trainable

random = np.random.default_rng(0)
images = random.normal(size=(8, 4)).astype("float32")
single = {
    "label": np.array([0, 1, 2, -1, -1, 2, 1, 1], "int32"),
    "other_label": np.array([1, 1, 0, 0, -1, 2, 0, -1], "int32"),
    "share": random.random(8).astype("float32"),
}
labels = random.integers(-1, 2, (8, 3)).astype("float32")
labels[:3] = -1
settings = dict(label_smoothing=0.1, class_weights=(1.0, 2.0, 5.0))

def trained(loss, targets, devices):
    with strategy.Mirrored(devices=devices).create().scope():
        inputs = keras.Input((4,))
        dense = keras.layers.Dense(3, kernel_initializer="ones")
        network = keras.Model(inputs, {"logits": dense(inputs)})
        model = trainable.Trainable(network, {"cross_entropy": loss})
        model.compile(keras.optimizers.SGD(0.5))
    batches = tf.data.Dataset.from_tensors((images, targets)).repeat(3)
    model.fit(batches, verbose=0)
    return network.get_weights()

for loss, targets in (
    (classification.SoftmaxCrossEntropy(**settings), single),
    (classification.SigmoidCrossEntropy(**settings), {"labels": labels}),
):
    one = trained(loss, targets, ("CPU:0",))
    two = trained(loss, targets, ("CPU:0", "CPU:1"))
    assert np.abs(one[0] - 1).max() > 0.1
    for ours, theirs in zip(one, two, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
print("equal")
"""


def test_two_replicas_learn_what_one_learns(root):
    done = subprocess.run(
        [sys.executable, "-c", REPLICAS],
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "equal"
