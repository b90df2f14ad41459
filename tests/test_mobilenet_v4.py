"""The blocks of MobileNetV4, its taps and its files."""

import math
import pathlib
import re

import export_networks as networks
import keras
import numpy as np
import pytest

from official.backbones import (
    blocks,
    convolutions,
    mobilenet_v4,
    mobilenet_v4_blocks,
    mobilenet_v4_tables,
)
from official.heads import classification
from official.layers import layer_scale
from tflite_export import check, flatbuffer, interpreter
from tflite_export.targets import base as targets_base

V4 = mobilenet_v4.MobileNetV4


def _network(backbone: V4, size: tuple[int, int] = (64, 64)) -> keras.Model:
    images = keras.Input((*size, 3), name="images")
    return keras.Model(images, backbone(images))


def _block(block: blocks.Block, **settings) -> keras.Model:
    """A block on a map of 8x8 places and 16 channels."""
    inputs = keras.Input((8, 8, 16))
    placed = blocks.PlacedBlock(
        block=block,
        level=4,
        number=2,
        norm=convolutions.Norm(),
        padding="same",
        **({"stride": block.stride, "dilation": 1, "drop_rate": 0.0} | settings),
    )
    return keras.Model(inputs, block(inputs, placed))


def _bottleneck(start: int, middle: int, **fields) -> blocks.Block:
    return mobilenet_v4_blocks.UniversalInvertedBottleneck(
        **(
            {"start": start, "middle": middle, "stride": 1, "expanded": 48}
            | {"filters": 16, "activation": "relu"}
            | fields
        )
    )


def _roles(model: keras.Model) -> list[str]:
    names = [layer.name for layer in model.layers[1:]]
    return [re.sub(r"^C\d_block\d+_", "", name) for name in names]


EXPAND = ["expand_conv", "expand_norm", "expand_activation"]
START = ["start_conv", "start_norm"]
MIDDLE = ["depthwise_conv", "depthwise_norm", "depthwise_activation"]
PROJECT = ["project_conv", "project_norm", "add"]


@pytest.mark.parametrize(
    ("start", "middle", "roles"),
    [
        (3, 5, [*START, *EXPAND, *MIDDLE, *PROJECT]),
        (0, 5, [*EXPAND, *MIDDLE, *PROJECT]),
        (3, 0, [*START, *EXPAND, *PROJECT]),
        (0, 0, [*EXPAND, *PROJECT]),
    ],
    ids=["ExtraDW", "inverted bottleneck", "ConvNext-like", "FFN"],
)
def test_a_universal_bottleneck_has_four_forms(start, middle, roles):
    model = _block(_bottleneck(start, middle))
    assert _roles(model) == roles
    assert ("depthwise" in model.output) == ("expand" in model.output) == bool(middle)


@pytest.mark.parametrize(
    ("start", "middle", "striding"), [(3, 5, "depthwise"), (3, 0, "start")]
)
def test_the_middle_convolution_has_the_stride_or_else_the_first(
    start, middle, striding
):
    model = _block(_bottleneck(start, middle, stride=2))
    strides = {
        layer.name: layer.strides[0]
        for layer in model.layers
        if isinstance(layer, keras.layers.DepthwiseConv2D)
    }
    assert strides.pop(f"C4_block2_{striding}_conv") == 2
    assert set(strides.values()) <= {1}
    assert model.output["output"].shape == (None, 4, 4, 16)


def test_dilation_spreads_both_depthwise_convolutions():
    model = _block(_bottleneck(3, 5, stride=2), stride=1, dilation=2)
    spread = [
        layer.dilation_rate
        for layer in model.layers
        if isinstance(layer, keras.layers.DepthwiseConv2D)
    ]
    assert spread == [(2, 2), (2, 2)]


@pytest.mark.parametrize("stride", [1, 2])
def test_attention_has_downsampling_where_keys_are_thinned(stride):
    block = mobilenet_v4_blocks.MobileAttention(
        heads=2, channels=8, key_value_stride=stride, scaled=True
    )
    model = _block(block, drop_rate=0.2)
    ours = set(_roles(model))
    down = {f"{of}_down_{role}" for of in ("key", "value") for role in ("conv", "norm")}
    assert down & ours == (down if stride == 2 else set())
    assert {"query_conv", "key_conv", "value_conv", "project_conv"} <= ours
    assert {"input_norm", "attention", "layer_scale", "drop", "add"} <= ours
    queries, keys, values = model.get_layer("C4_block2_attention").input
    assert queries.shape == (None, 8, 8, 16)
    assert keys.shape == values.shape == (None, 8 // stride, 8 // stride, 8)


def test_only_hybrids_have_attention_and_scales():
    for variant in mobilenet_v4_tables.TABLES:
        names = " ".join(
            layer.name
            for layer in _network(V4(variant=variant, width_multiplier=0.1)).layers
        )
        hybrid = variant.startswith("hybrid")
        assert len(re.findall(r"_attention\b", names)) == (8 if hybrid else 0)
        assert ("layer_scale" in names) == hybrid


@pytest.mark.parametrize(("filters", "initial"), [(16, 1e-5), (24, 1.0)])
def test_a_scale_starts_near_zero_beside_a_shortcut_alone(filters, initial):
    model = _block(_bottleneck(3, 3, filters=filters, scaled=True))
    layer = model.get_layer("C4_block2_layer_scale")
    np.testing.assert_allclose(layer.gamma, np.full(filters, initial), rtol=1e-6)


@pytest.mark.parametrize(
    ("activation", "kinds"),
    [
        (None, {("Activation", None)}),  # the table's GELU
        ("relu6", {("ReLU", 6.0)}),
    ],
)
def test_one_activation_stands_for_that_of_the_table(activation, kinds):
    backbone = V4(variant="hybrid_large", width_multiplier=0.1, activation=activation)
    found = {
        (type(layer).__name__, getattr(layer, "max_value", None))
        for layer in _network(backbone).layers
        if layer.name.endswith("_activation")
    }
    assert found == kinds


@pytest.mark.parametrize("padding", convolutions.PADDINGS)
@pytest.mark.parametrize("size", [(32, 32), (34, 50)])
@pytest.mark.parametrize("output_stride", [8, 32])
def test_every_even_size_fits(padding, size, output_stride):
    backbone = V4(
        variant="hybrid_medium",
        width_multiplier=0.1,
        padding=padding,
        output_stride=output_stride,
    )
    features = _network(backbone, size).output
    assert features["C5"].shape[1:3] == tuple(
        math.ceil(s / output_stride) for s in size
    )


def _varied(model: keras.Model) -> keras.Model:
    """Scales and statistics of norms and layers like those of a trained network."""
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for variable in layer.variables:
                variable.assign(random.uniform(0.5, 1.5, variable.shape))
        if isinstance(layer, layer_scale.LayerScale):
            layer.gamma.assign(random.uniform(0.2, 1.0, layer.gamma.shape))
    return model


def _classifier(backbone: V4) -> keras.Model:
    keras.utils.set_random_seed(0)
    images = keras.Input((*networks.SIZE, 3), name="images")
    pixels = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    outputs = classification.Classification()(backbone(pixels), 10)
    return _varied(keras.Model(images, outputs, name="classifier"))


@pytest.mark.parametrize(
    ("precision", "form"), [("int8", "single"), ("float32", "batched")]
)
def test_the_cpu_target_chooses_the_form_of_attention(precision, form):
    model = _classifier(V4(variant="hybrid_medium", width_multiplier=0.1))
    rewritten = targets_base.find("cpu").rewrite(model, precision).model
    assert {getattr(layer, "form", form) for layer in rewritten.layers} == {form}
    images = networks.pixels(2)
    np.testing.assert_allclose(
        rewritten(images)["logits"], model(images)["logits"], atol=1e-5
    )


@pytest.mark.parametrize("variant", ["conv_small", "hybrid_medium"])
def test_an_int8_file_holds_integers_alone_and_is_close(variant, tmp_path):
    model = _classifier(V4(variant=variant, width_multiplier=0.5))
    content = networks.convert(model, "int8", output_type="uint8")
    file = flatbuffer.parse(content, pathlib.Path("model.tflite"))
    check.require(file, precision="int8", target=targets_base.find("cpu"))
    tensors = [tensor for op in file.ops for tensor in (*op.inputs, *op.outputs)]
    assert not [t.name for t in tensors if t.dtype.startswith("FLOAT")]
    assert max(len(tensor.shape) for tensor in tensors) <= 4
    assert not {"BATCH_MATMUL", "STRIDED_SLICE"} & set(file.histogram)
    assert file.histogram.get("SOFTMAX", 0) == 8 * variant.startswith("hybrid")
    # What LayerScale and the 1/sqrt(d) of attention multiply by is in the kernels;
    # left are the norms in front of attention.
    assert file.histogram.get("MUL", 0) == 8 * variant.startswith("hybrid")
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    images = networks.pixels(8)
    ours = interpreter.Runner(path)(images)["logits"]
    theirs = model.predict_on_batch(images)["logits"]
    # Random weights lose more than trained ones.
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.75
