"""The mask transformer on the grids of an integer file, op by op."""

import dataclasses

import keras
import numpy as np
import pytest
from test_kmax import SMALL

from official import export_spec
from official.backbones import convolutions, mobilenet_v3
from official.quantization import rewrite, scheme
from tflite_export import conversion, flatbuffer, inference, op_parity, split
from tflite_export.targets import base as targets_base

NORM = convolutions.Norm(momentum=0.0, epsilon=0.1)


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """A file, what it was made from, and images."""
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    images = keras.Input((32, 64, 3), name="images")
    pixels = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    backbone = mobilenet_v3.MobileNetV3(
        variant="small", width_multiplier=0.25, minimalistic=True, norm=NORM
    )
    head = dataclasses.replace(SMALL, norm=NORM, layers=(1, 1), relaxed=0)
    outputs = head(backbone(pixels), 3)
    whole = keras.Model(images, outputs)
    # As after training: the last norm of each update starts at zero.
    for layer in whole.layers:
        for weight in layer.weights:
            if weight.name in ("gamma", "beta"):
                noise = generator.normal(size=weight.shape) * 0.2
                weight.assign(weight + noise + 0.3 * (weight.name == "gamma"))
    given = generator.integers(0, 256, (8, 32, 64, 3)).astype("float32")
    whole(given, training=True)
    needed = keras.Model(images, {name: outputs[name] for name in head.needed})
    network = targets_base.find("cpu").rewrite(needed, "int8").model
    network = scheme.QuantScheme().apply(network)
    rewrite.observe(network, [given])
    spec = export_spec.Export()
    built = inference.build(network, spec=spec, precision="int8")
    path = tmp_path_factory.mktemp("kmax") / "model.tflite"
    path.write_bytes(conversion.convert(built, "int8", spec=spec))
    return path, built, given


def test_each_op_of_a_quantization_aware_file_is_within_one_step(converted):
    path, built, given = converted
    file = flatbuffer.read(path)
    assert not [op for op in file.ops if any(t.dtype == "FLOAT32" for t in op.outputs)]
    assert file.histogram["ARG_MAX"] == file.histogram["GATHER"] == 2
    report = op_parity.compare(path, built, given[:2])
    assert report.worst <= 1
    ends = {comparison.layer for comparison in report.comparisons}
    assert any("kmeans" in name for name in ends)
    assert any("mask" in name for name in ends)


def test_a_file_is_divided_behind_its_pixel_decoder(converted, tmp_path):
    path, *_ = converted
    target = targets_base.find("edgetpu")
    parts = split.divide(path, target=target, folder=tmp_path)
    trunk, rest = parts.trunk.file, parts.rest.file
    blocks = {op.layer.partition("_")[0] for op in rest.ops if op.layer}
    assert blocks == {"decoder1", "decoder2", "masks"}
    assert set(rest.inputs) == set(trunk.outputs)
    assert set(rest.outputs) == {"class_logits", "mask_logits"}
    assert parts.trunk.multiply_adds > parts.rest.multiply_adds
    assert not {"ARG_MAX", "GATHER", "BATCH_MATMUL"} & set(trunk.histogram)
