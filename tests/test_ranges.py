"""Ranges from averages over images, not from the oddest image."""

import keras
import numpy as np
import pytest

from official import export_spec
from tflite_export import conversion, flatbuffer, inference
from tflite_export.targets import base as targets


def network() -> keras.Model:
    images = keras.Input((16, 16, 3), name="images", dtype="float32")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(x)
    logits = keras.layers.Conv2D(3, 1, name="classes")(x)
    return keras.Model(images, {"logits": logits})


def test_one_odd_image_does_not_coarsen_the_scales(tmp_path):
    keras.utils.set_random_seed(0)
    model = network()
    random = np.random.default_rng(0)
    # Nineteen gray pictures and one of hard noise, whose responses are far larger.
    images = random.integers(120, 136, (20, 16, 16, 3)).astype(np.uint8)
    images[0] = random.choice([0, 255], (16, 16, 3))
    spec = export_spec.Export(calibration_examples=20, calibration="average")
    target = targets.find("cpu")
    graph = inference.build(
        target.rewrite(model, "int8").model, spec=spec, precision="int8"
    )
    content = conversion.convert(graph, "int8", spec=spec, calibration=images)
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    (logits,) = flatbuffer.read(path).outputs.values()
    (pixels,) = flatbuffer.read(path).inputs.values()
    assert pixels.scales[0] == pytest.approx(1 / 127.5)  # the input's range is kept
    expected = model.predict_on_batch(images.astype(np.float32))["logits"]
    everything = (expected.max() - expected.min()) / 255
    usual = (expected[1:].max() - expected[1:].min()) / 255
    assert usual < logits.scales[0] < 0.5 * everything
