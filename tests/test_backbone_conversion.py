"""Int8 files of every family: integers alone, and close to the float network."""

import pathlib

import export_networks as networks
import keras
import numpy as np
import pytest

from official.backbones import (
    mnasnet,
    mobilenet_edgetpu,
    mobilenet_v1,
    mobilenet_v3_isometric,
    multi_hardware,
)
from official.heads import classification
from tflite_export import check, flatbuffer, interpreter
from tflite_export.targets import base as targets_base

CPU = targets_base.find("cpu")
BACKBONES = [
    mobilenet_v1.MobileNetV1(width_multiplier=0.25),
    # Squeeze-and-excite with a logistic sigmoid, and explicit padding.
    mnasnet.MnasNet(width_multiplier=0.25, padding="symmetric"),
    multi_hardware.MultiHardware(width_multiplier=0.25),
    mobilenet_edgetpu.MobileNetEdgeTPU(width_multiplier=0.25, activation="relu6"),
    mobilenet_v3_isometric.IsometricMobileNetV3(
        variant="small", width_multiplier=0.25, internal_resolution=28
    ),
]


def _classifier(backbone) -> keras.Model:
    keras.utils.set_random_seed(0)
    images = keras.Input((*networks.SIZE, 3), name="images")
    pixels = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    outputs = classification.Classification()(backbone(pixels), 10)
    return keras.Model(images, outputs, name="classifier")


@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda b: type(b).__name__)
def test_an_int8_file_holds_integers_alone_and_is_close(backbone, tmp_path):
    model = _classifier(backbone)
    content = networks.convert(model, "int8")
    file = flatbuffer.parse(content, pathlib.Path("model.tflite"))
    check.require(file, precision="int8", target=CPU)
    floats = {
        tensor.name
        for op in file.ops
        for tensor in (*op.inputs, *op.outputs)
        if tensor.dtype.startswith("FLOAT")
    }
    assert floats <= {tensor.name for tensor in file.outputs.values()}
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    images = networks.pixels(8)
    ours = interpreter.Runner(path)(images)["logits"]
    theirs = model.predict_on_batch(images)["logits"]
    correlation = np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]
    # Random weights lose more than trained ones: 0.85 to 0.98 measured. A layer that is
    # converted wrongly leaves nothing.
    assert correlation > 0.75
