"""Boxes decoded inside of a file: against the formula, in floats and in 8 bits."""

import functools

import keras
import numpy as np
import pytest
import small
import small_detector

from official.layers import box_decoding
from official.quantization import rewrite, scheme
from official.tasks import detector, outputs
from tflite_export import (
    android,
    calibration,
    check,
    conversion,
    flatbuffer,
    inference,
    interpreter,
    op_parity,
)
from tflite_export.targets import base as targets_base

A = 200
PIXELS = 320
"""Errors are told in pixels of an image of this size."""


@functools.cache
def facts() -> detector.Detector:
    """Anchors of all sizes, from a twentieth of the image to four fifths."""
    random = np.random.default_rng(0)
    centers = random.uniform(0.1, 0.9, (A, 2))
    halves = np.exp(random.uniform(np.log(0.05), np.log(0.8), (A, 2))) / 2
    anchors = np.concatenate([centers - halves, centers + halves], axis=1)
    return detector.Detector(
        anchors=anchors.astype(np.float32),
        scales=(10.0, 10.0, 5.0, 5.0),
        score_threshold=0.3,
        iou_threshold=0.5,
        per_class=10,
        total=20,
    )


@functools.cache
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    images = keras.Input((32, 24, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    x = keras.layers.Conv2D(8, 3, strides=4, padding="same", name="conv")(x)
    x = keras.layers.ReLU(6, name="relu")(x)
    x = keras.layers.Flatten(name="flat")(x)
    wide = keras.initializers.VarianceScaling(4.0)
    boxes = keras.layers.Dense(A * 4, name="boxes_dense", kernel_initializer=wide)(x)
    logits = keras.layers.Dense(A * 3, name="classes_dense")(x)
    given = {
        "box_encodings": keras.layers.Reshape((A, 4), name="encodings")(boxes),
        "logits": keras.layers.Reshape((A, 3), name="logits")(logits),
    }
    return keras.Model(images, given, name="detector")


@functools.cache
def images() -> np.ndarray:
    random = np.random.default_rng(0)
    means = random.uniform(0, 255, (12, 1, 1, 3))
    noise = random.normal(0, 60, (12, 32, 24, 3))
    return (means + noise).clip(0, 255).round().astype(np.float32)


@functools.cache
def expected() -> tuple[np.ndarray, np.ndarray]:
    """Boxes of the formula, cut at the border; and which of them need no cut."""
    encodings = network().predict_on_batch(images())["box_encodings"]
    boxes = small_detector.decoded(encodings, facts())
    within = ((boxes > 0) & (boxes < 1)).all(axis=-1)
    assert 0.5 < within.mean() < 0.9
    return boxes.clip(0, 1), within


def finished(model: keras.Model) -> keras.Model:
    return outputs.of_boxes(model, facts(), output="decoded", activation="sigmoid")


def errors(boxes: np.ndarray) -> np.ndarray:
    """Of coordinates in pixels, of boxes that lie inside of the image."""
    exact, within = expected()
    return PIXELS * np.abs(boxes - exact)[within]


def test_in_floats_it_is_the_formula_cut_at_the_border():
    made = finished(network()).predict_on_batch(images())
    assert set(made) == {"boxes_yxyx", "scores"}
    assert errors(made["boxes_yxyx"]).max() < 1e-3
    assert made["boxes_yxyx"].min() == 0.0
    assert made["boxes_yxyx"].max() == pytest.approx(1.0)


def test_without_exp_sides_are_off_by_less_than_is_said():
    anchors = np.array([[0.0, 0.0, 1.0, 1.0]], np.float32)
    settings = {"anchors": anchors, "scales": (10.0, 10.0, 5.0, 5.0)}
    layer = box_decoding.BoxDecoding(**settings, form="logistic")
    sides = np.geomspace(0.012, 1.0, 300)
    encodings = np.zeros((300, 1, 4), np.float32)
    encodings[..., 2:] = 5 * np.log(sides)[:, None, None]
    boxes = np.asarray(layer(encodings))[:, 0]
    off = np.abs(boxes[:, 2] - boxes[:, 0] - sides)
    assert off.max() < 0.0071
    assert off[sides < 0.2].max() < 0.0017


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"form": "exp"}, "BoxDecoding.form = 'exp': want one of"),
        ({"anchors": np.zeros((3, 2))}, r"anchors \[3, 2\]: want \[A, 4\]"),
        ({"anchors": np.zeros((3, 4))}, "an anchor has no area"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    usual = {"anchors": np.array([[0, 0, 1, 1]]), "scales": (10, 10, 5, 5)}
    with pytest.raises(ValueError, match=message):
        box_decoding.BoxDecoding(**usual | settings)


def file(folder, model: keras.Model, target: str, *, trained: bool):
    """An int8 file, read; what it was made from."""
    chosen = small_detector.experiment(output="decoded", target=target)
    form = targets_base.find(target).rewrite(finished(model), "int8").model
    built = inference.build(form, spec=chosen.export, precision="int8")
    pixels = None if trained else calibration.collect(images()[:, None])
    content = conversion.convert(built, "int8", spec=chosen.export, calibration=pixels)
    path = folder / "model.tflite"
    path.write_bytes(content)
    return flatbuffer.read(path), built


@pytest.mark.parametrize(
    ("target", "most", "mean_square"), [("cpu", 2.6, 0.65), ("edgetpu", 3.6, 0.9)]
)
def test_in_8_bits_boxes_are_off_by_about_a_pixel(tmp_path, target, most, mean_square):
    found, _ = file(tmp_path, network(), target, trained=False)
    hardware = targets_base.find(target)
    check.require(found, precision="int8", target=hardware)
    # Boxes and scores have quantizations of their own.
    boxes, scores = found.outputs["boxes_yxyx"], found.outputs["scores"]
    assert boxes.index != scores.index
    assert 255 * boxes.scales[0] == pytest.approx(1.0, abs=0.02)
    off = errors(interpreter.Runner(found.path)(images())["boxes_yxyx"])
    assert off.max() < most
    assert np.sqrt(np.mean(off**2)) < mean_square
    # Without EXP all of it maps, on whatever NPU.
    assert ("EXP" in found.histogram) == (target == "cpu")
    if target != "cpu":
        for name in ("edgetpu", "npu"):
            told = check.assess(found, target=targets_base.find(name))
            assert told.mapped.ops == told.mapped.total_ops
    warning = android.fit(found, small.experiment().task).warning
    assert "(export.output = 'detections' or 'raw')" in warning


@pytest.mark.parametrize("target", ["cpu", "npu"])
def test_trained_on_integer_grids_every_op_of_the_decoding_is_exact(tmp_path, target):
    plan = scheme.QuantScheme(target=target)
    hardware = targets_base.find(target)
    model = plan.apply(hardware.rewrite(network(), "int8").model)
    rewrite.observe(model, [images()])
    found, built = file(tmp_path, model, target, trained=True)
    check.require(found, precision="int8", target=hardware)
    report = op_parity.compare(found.path, built, images()[:2])
    assert report.worst <= 1
    form = box_decoding.LIMITS["exact" if target == "cpu" else "logistic"]
    inside = {f"boxes/{name}" for name in form}
    assert inside < {c.layer for c in report.comparisons}
    off = errors(interpreter.Runner(found.path)(images())["boxes_yxyx"])
    assert np.sqrt(np.mean(off**2)) < (0.8 if target == "cpu" else 1.1)
    # And back to floats, for files of other precisions.
    plain = rewrite.without_ranges(built.model, rounded=False)
    assert type(plain.get_layer("boxes")) is box_decoding.BoxDecoding
