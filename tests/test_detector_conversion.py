"""Detectors as integer files, and quantization-aware."""

import pathlib

import export_networks as networks
import keras
import numpy as np
import pytest

from official import export_spec
from official.backbones import convolutions, mobilenet_v2
from official.heads import fpnlite, ssdlite
from official.quantization import rewrite, scheme
from tflite_export import (
    check,
    conversion,
    flatbuffer,
    inference,
    interpreter,
    op_parity,
)
from tflite_export.targets import base as targets_base

# Of the head. Statistics are those of the last batch: one call in training makes them
# realistic. Without it activations dwindle from level to level, and XNNPACK refuses the
# scales. The epsilon bounds what a norm makes of the rounding of a channel that hardly
# varies.
AT_ONCE = convolutions.Norm(momentum=0.0, epsilon=0.1)
HEADS = [
    ssdlite.SSDLite(extra=(16, 8, 8, 8), norm=AT_ONCE),
    # At 32 x 24 pixels level 4 is 2 x 2 and level 5 is 1 x 1: enlarging by 2.
    fpnlite.FPNLite(filters=8, depth=1, norm=AT_ONCE),
]
every_head = pytest.mark.parametrize("head", HEADS, ids=lambda h: type(h).__name__)


def _detector(head) -> keras.Model:
    keras.utils.set_random_seed(0)
    images = keras.Input((*networks.SIZE, 3), name="images")
    pixels = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    backbone = mobilenet_v2.MobileNetV2(width_multiplier=0.25)
    model = keras.Model(images, head(backbone(pixels), 3), name="detector")
    model(networks.pixels(8), training=True)
    return model


# The other form is exported in tests of the task.
@pytest.mark.parametrize("head", HEADS[1:], ids=lambda h: type(h).__name__)
def test_an_int8_file_holds_integers_alone_and_is_close(head, tmp_path):
    model = _detector(head)
    content = networks.convert(model, "int8")
    file = flatbuffer.parse(content, pathlib.Path("model.tflite"))
    check.require(file, precision="int8", target=targets_base.find("cpu"))
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    images = networks.pixels(8)
    ours = interpreter.Runner(path)(images)
    theirs = model.predict_on_batch(images)
    assert ours.keys() == theirs.keys() == {"box_encodings", "logits"}
    for name, values in theirs.items():
        correlation = np.corrcoef(ours[name].ravel(), values.ravel())[0, 1]
        # 0.995 measured.
        assert correlation > 0.97, name


@every_head
def test_a_detector_trains_quantization_aware(head):
    model = _detector(head)
    plan = scheme.QuantScheme()
    aware = plan.apply(model)
    assert {"box_encodings", "logits"} == set(aware.output)
    plain = {layer.name for layer in model.layers}
    ranges = {layer.name for layer in aware.layers} - plain
    # Boxes and scores have ranges of their own.
    prefix = type(head).__name__.lower()
    assert {f"{prefix}_boxes_range", f"{prefix}_logits_range"} <= ranges
    # The levels are parts of them, joined in two steps where there are six.
    assert not any(
        f"{prefix}_level1_logits" in name for name in ranges if "conv" in name
    )
    assert f"{prefix}_logits_coarse_range" not in ranges


@every_head
def test_a_quantization_aware_detector_is_its_file_within_one_step(head, tmp_path):
    model = targets_base.find("cpu").rewrite(_detector(head), "int8").model
    network = scheme.QuantScheme().apply(model)
    images = networks.pixels(8)
    rewrite.observe(network, [images])
    spec = export_spec.Export()
    built = inference.build(network, spec=spec, precision="int8")
    path = tmp_path / "model.tflite"
    path.write_bytes(conversion.convert(built, "int8", spec=spec))
    report = op_parity.compare(path, built, images[:2])
    assert report.worst <= 1
    ends = {comparison.layer for comparison in report.comparisons}
    prefix = type(head).__name__.lower()
    assert {f"{prefix}_boxes_range", f"{prefix}_logits_range"} <= ends
