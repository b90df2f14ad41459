"""Google Coral's Edge TPU, as far as its frozen compiler (16.0, 2021) is documented.

docs/edgetpu.md has the table with its sources.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import keras

from official import export_spec
from official.layers import attention, box_decoding, hard_swish, quantized_boxes
from tflite_export.targets import base

if TYPE_CHECKING:
    from tflite_export import flatbuffer

INNERMOST = 3
"""Dimensions that may be above 1, counted from the last."""

LARGEST_SOFTMAX = 16_000

# Versions above these ended the compiler in users' reports ("Didn't find op for builtin
# opcode ..."): google-coral/edgetpu issues 358, 386 and others of the kind.
_LATEST = {"CONV_2D": 4, "EXP": 1, "QUANTIZE": 2, "TRANSPOSE_CONV": 3}

_COMPILED = "edgetpu-custom-op"
_EIGHT_BITS = ("INT8", "UINT8")
_WEIGHTED = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}


def _any(op: "flatbuffer.Op") -> str | None:
    return None


def _same_dilation(op: "flatbuffer.Op") -> str | None:
    height, width = op.options["dilationHFactor"], op.options["dilationWFactor"]
    if height != width:
        return f"dilation {height:g}x{width:g}: must be the same in both directions"
    return None


def _no_activation(op: "flatbuffer.Op") -> str | None:
    return "has a fused activation" if op.options["fusedActivationFunction"] else None


def _concatenation(op: "flatbuffer.Op") -> str | None:
    if any(tensor.constant for tensor in op.inputs) and len(op.inputs) != 2:
        return "one of more than 2 inputs is constant"
    return _no_activation(op)


def _fully_connected(op: "flatbuffer.Op") -> str | None:
    if op.options["weightsFormat"]:
        return "its weights are shuffled"
    shape = op.outputs[0].shape
    if math.prod(shape[:-1]) != 1:
        return f"output {list(shape)}: must be one-dimensional"
    return None


def _mean(op: "flatbuffer.Op") -> str | None:
    shape, rank = op.inputs[0].shape, len(op.inputs[0].shape)
    axes = {axis % rank for axis in op.inputs[1].values}
    if rank - 1 in axes and shape[-1] % 4:
        return f"mean over {shape[-1]} channels: must be a multiple of 4"
    return _keeps_batch(op)


def _keeps_batch(op: "flatbuffer.Op") -> str | None:
    rank = len(op.inputs[0].shape)
    if rank == 4 and 0 in {axis % rank for axis in op.inputs[1].values}:
        return "reduces the batch"
    return None


def _pack(op: "flatbuffer.Op") -> str | None:
    axis = op.options["axis"] % len(op.outputs[0].shape)
    return "packs over the batch" if axis == 0 else None


def _split(op: "flatbuffer.Op") -> str | None:
    rank = len(op.inputs[1].shape)
    if rank == 4 and op.inputs[0].values[0] % rank == 0:
        return "splits the batch"
    return None


def _pad(op: "flatbuffer.Op") -> str | None:
    if len(op.inputs[0].shape) == 4 and any(op.inputs[1].values[:2]):
        return "pads the batch"
    return None


def _prelu(op: "flatbuffer.Op") -> str | None:
    shape = op.inputs[1].shape
    if math.prod(shape[:-1]) != 1:
        return f"alpha {list(shape)}: only the last dimension may be above 1"
    return None


def _softmax(op: "flatbuffer.Op") -> str | None:
    shape = op.inputs[0].shape
    if math.prod(shape[:-1]) != 1:
        return f"softmax of {list(shape)}: must be one-dimensional"
    if shape[-1] > LARGEST_SOFTMAX:
        return f"softmax of {shape[-1]} values: at most {LARGEST_SOFTMAX}"
    return None


def _strided_slice(op: "flatbuffer.Op") -> str | None:
    if op.options["ellipsisMask"] or op.options["newAxisMask"]:
        return "has an ellipsis or a new axis"
    if any(stride != 1 for stride in op.inputs[3].values):
        return f"strides {list(op.inputs[3].values)}: must be 1"
    return None


LIMITS: dict[str, Callable[["flatbuffer.Op"], str | None]] = {
    "ADD": _any,
    "AVERAGE_POOL_2D": _no_activation,
    "CONCATENATION": _concatenation,
    "CONV_2D": _same_dilation,
    "DEPTHWISE_CONV_2D": _same_dilation,
    "EXPAND_DIMS": _any,
    "FULLY_CONNECTED": _fully_connected,
    "L2_NORMALIZATION": _any,
    "LOGISTIC": _any,
    "MAXIMUM": _any,
    "MAX_POOL_2D": _no_activation,
    "MEAN": _mean,
    "MINIMUM": _any,
    "MUL": _any,
    "PACK": _pack,
    "PAD": _pad,
    "PRELU": _prelu,
    "QUANTIZE": _any,
    "REDUCE_MAX": _keeps_batch,
    "REDUCE_MIN": _keeps_batch,
    "RELU": _any,
    "RELU6": _any,
    "RELU_N1_TO_1": _any,
    "RESHAPE": _any,
    "RESIZE_BILINEAR": _any,
    "RESIZE_NEAREST_NEIGHBOR": _any,
    "RSQRT": _any,
    "SLICE": _any,
    "SOFTMAX": _softmax,
    "SPACE_TO_DEPTH": _any,
    "SPLIT": _split,
    "SQUARED_DIFFERENCE": _any,
    "SQUEEZE": _any,
    "STRIDED_SLICE": _strided_slice,
    "SUB": _any,
    "SUM": _keeps_batch,
    "TANH": _any,
    "TRANSPOSE": _any,
    "TRANSPOSE_CONV": _any,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _any,
}
"""What the documents say of each op that the Edge TPU runs."""

_DOUBTS = {
    "RESIZE_BILINEAR": "the compiler may leave it to the CPU, by its size",
    "RESIZE_NEAREST_NEIGHBOR": "the compiler may leave it to the CPU, by its size",
    "RESHAPE": "the compiler may leave it to the CPU where the tensor is large",
}

_FOR_THE_APP = {
    "ARG_MAX": "take the argmax in the app (export.output = 'logits')",
    "SOFTMAX": "leave the softmax to the app (export.output = 'logits')",
}
"""Advice on ops at the end of a file; within, attention and k-means have them."""

_ADVICE = {
    "BATCH_MATMUL": "products of two activations have no form that maps; choose a "
    "backbone without attention (in a mask transformer they are what queries do)",
    "DEQUANTIZE": "export with integer ends (export.output_type = 'uint8'; of a "
    "detector export.output = 'decoded' or 'raw')",
    "GELU": "choose an activation of relu6 or relu",
    "HARD_SWISH": "choose a minimalistic MobileNetV3 or activation = 'relu6', or "
    "export with --target=edgetpu, which writes hard-swish of ops that map",
    "QUANTIZE": "feed integers (export.input_type = 'uint8'), keep no layer in float",
    "RESIZE_BILINEAR": "export at the head's size (export.output_size = 'head') or "
    "choose a smaller input",
    "TFLite_Detection_PostProcess": "it is quick on the CPU; to choose among the boxes "
    "in the app, export.output = 'decoded' or 'raw'",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class EdgeTPU(base.Target):
    """Splits hard-swish into ops of the table, and keeps float and ARG_MAX outside.

    Attention has no form that maps: products of two activations are in no row of the
    table, and the kernel of a FULLY_CONNECTED must be constant.
    """

    title: ClassVar[str] = "the Edge TPU"
    ops: ClassVar[frozenset[str] | None] = frozenset(LIMITS)
    one_subgraph: ClassVar[bool] = True
    compiler: ClassVar[str] = "edgetpu_compiler"
    parameter_memory: ClassVar[int] = 8 * 2**20

    def rewrite(self, model: keras.Model, precision: str) -> base.Rewritten:
        forms: dict[type, str] = {
            hard_swish.HardSwish: "split",
            # EXP is not among its ops.
            box_decoding.BoxDecoding: "logistic",
            quantized_boxes.QuantizedBoxDecoding: "logistic",
            # What stays on the CPU is XNNPACK's.
            attention.MultiQueryAttention: "single",
        }
        return base.in_turn(
            model, lambda m: base.with_forms(m, forms), base.dense_as_convolutions
        )

    def adapt(self, spec: export_spec.Export) -> base.Adapted:
        integers = base.integers_only(spec, title=self.title)
        logits = base.argmax_outside(integers.spec, title=self.title)
        return base.Adapted(logits.spec, integers.changes + logits.changes)

    def refuses(self, op: "flatbuffer.Op") -> str | None:
        if op.name == _COMPILED:
            return None
        if op.version > _LATEST.get(op.name, op.version):
            return (
                f"version {op.version}: the compiler knows {op.name} up to version "
                f"{_LATEST[op.name]} and ends with an error"
            )
        return super().refuses(op)

    def outside(self, op: "flatbuffer.Op") -> str | None:
        if op.name == _COMPILED:
            return None
        if op.name not in LIMITS:
            return f"{op.name} is not in the table of {self.title}"
        activations = [t for t in (*op.inputs, *op.outputs) if not t.constant]
        for tensor in activations:
            if tensor.dtype not in _EIGHT_BITS:
                return f"tensor {tensor.name!r} is {tensor.dtype.lower()}, not 8 bits"
            if math.prod(tensor.shape[:-INNERMOST]) > 1:
                return (
                    f"tensor {tensor.name!r} is {list(tensor.shape)}: only the "
                    f"{INNERMOST} innermost dimensions may be above 1"
                )
        if op.name in _WEIGHTED and not all(t.constant for t in op.inputs[1:2]):
            return "its kernel is not constant"
        return LIMITS[op.name](op)

    def doubt(self, op: "flatbuffer.Op") -> str | None:
        if op.name == "FULLY_CONNECTED" and len(op.inputs[1].scales) > 1:
            return "its kernel has a scale for each channel, as no file of 2021 had"
        return _DOUBTS.get(op.name)

    def advise(self, op: "flatbuffer.Op", *, ends: bool) -> str | None:
        if op.name in _WEIGHTED and any(t.dtype == "FLOAT32" for t in op.inputs):
            return "export with --precision=int8"
        if op.name in _FOR_THE_APP:
            return _FOR_THE_APP[op.name] if ends else None
        return _ADVICE.get(op.name)
