"""Small networks and their files, for tests of the export stage."""

import functools
import pathlib
from collections.abc import Callable
from typing import Any

import flatbuffers
import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from official import export_spec
from official.layers import hard_swish
from official.tasks import outputs
from tflite_export import calibration, conversion, flatbuffer, inference
from tflite_export.targets import base as targets_base

SIZE = (32, 24)


@functools.cache
def network() -> keras.Model:
    """What the export stage meets: norms, hard-swish, a depthwise, a gate, a sum."""
    keras.utils.set_random_seed(0)
    images = keras.Input((*SIZE, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    x = keras.layers.Conv2D(
        8, 3, strides=2, padding="same", use_bias=False, name="stem_conv"
    )(x)
    x = keras.layers.BatchNormalization(name="stem_norm")(x)
    x = y = hard_swish.HardSwish(name="stem_activation")(x)
    y = keras.layers.DepthwiseConv2D(
        3, padding="same", use_bias=False, name="block_depthwise_conv"
    )(y)
    y = keras.layers.BatchNormalization(name="block_depthwise_norm")(y)
    y = hard_swish.HardSwish(name="block_activation")(y)
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True, name="block_pool")(y)
    gate = keras.layers.Conv2D(8, 1, name="block_gate_conv")(gate)
    gate = hard_swish.HardSigmoid(name="block_gate")(gate)
    y = keras.layers.Multiply(name="block_multiply")([y, gate])
    x = keras.layers.Add(name="block_add")([x, y])
    logits = keras.layers.Conv2D(5, 1, name="classes")(x)
    model = keras.Model(images, {"logits": logits}, name="segmenter")
    vary_norms(model)
    return model


def with_layer(layer: keras.layers.Layer) -> keras.Model:
    """A convolution, then the layer, then the logits."""
    images = keras.Input((*SIZE, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    x = keras.layers.Conv2D(8, 3, strides=2, name="stem_conv")(x)
    logits = keras.layers.Conv2D(5, 1, name="classes")(layer(x))
    return keras.Model(images, {"logits": logits}, name="segmenter")


def pixels(count: int = 2) -> np.ndarray:
    """Smooth random images, whole numbers 0..255 as float32."""
    random = np.random.default_rng(1)
    small = random.uniform(-60, 315, (count, SIZE[0] // 8, SIZE[1] // 8, 3))
    return small.repeat(8, 1).repeat(8, 2).clip(0, 255).round().astype(np.float32)


def convert(model: keras.Model, precision: str, **spec) -> bytes:
    """The file of a network; for the CPU, if `spec` has no other target."""
    export = export_spec.Export(**spec)
    target = targets_base.find(export.target)
    finished = outputs.of_logits(
        target.rewrite(model, precision).model,
        output=export.output,
        size=export.output_size,
        activation="softmax",
    )
    graph = inference.build(finished, spec=export, precision=precision)
    integer = precision in export_spec.INTEGER
    images = calibration.collect(pixels(8)[:, None]) if integer else None
    return conversion.convert(graph, precision, spec=export, calibration=images)


@functools.cache
def content(precision: str, **spec) -> bytes:
    """The file of `network()`; made once for all tests."""
    return convert(network(), precision, **spec)


def file(folder: pathlib.Path, precision: str, **spec) -> pathlib.Path:
    """As `content`, on disk."""
    path = folder / f"model_{precision}.tflite"
    path.write_bytes(content(precision, **spec))
    return path


def parsed(precision: str, **spec) -> flatbuffer.File:
    """As `content`, read."""
    return flatbuffer.parse(content(precision, **spec), pathlib.Path("model.tflite"))


def vary_norms(model: keras.Model) -> None:
    """Gives norms values that training could have given them."""
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for variable in layer.variables:
                variable.assign(random.uniform(0.5, 1.5, variable.shape))


def edited(content: bytes, edit: Callable[[Any], None]) -> bytes:
    """A file with something changed in it.

    Args:
        edit: Is given the model as an object of the schema.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    edit(model)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
