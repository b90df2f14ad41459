"""Phone GPUs, through the GPU delegate of LiteRT."""

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import keras

from official import export_spec
from official.layers import attention, hard_swish
from tflite_export.targets import base

if TYPE_CHECKING:
    from tflite_export import flatbuffer

_NAMES = """
    ABS ADD AVERAGE_POOL_2D BATCH_MATMUL CONCATENATION CONV_2D COS DENSIFY
    DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV ELU EQUAL EXP FLOOR FLOOR_DIV
    FLOOR_MOD FULLY_CONNECTED GREATER GREATER_EQUAL HARD_SWISH LEAKY_RELU LESS
    LESS_EQUAL LOG LOGISTIC LSTM MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG
    NOT_EQUAL PACK PAD POW PRELU QUANTIZE REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU6
    RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SIN SLICE SOFTMAX
    SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM
    TANH TILE TRANSPOSE TRANSPOSE_CONV
"""
OPS = frozenset(_NAMES.split())
"""What `tensorflow/lite/tools/versioning/gpu_compatibility.cc` lets the delegate have;
newer releases take more."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GPU(base.Target):
    """Keeps hard-swish and the products of attention whole, and the ends float.

    The delegate computes in half or single floats at every precision: an int8 file is
    smaller there and not quicker. It has kernels of its own for HARD_SWISH and
    BATCH_MATMUL, and none for ARG_MAX, or for the CAST behind a uint8 input.
    """

    title: ClassVar[str] = "the GPU delegate"
    ops: ClassVar[frozenset[str] | None] = OPS

    def rewrite(self, model: keras.Model, precision: str) -> base.Rewritten:
        forms: dict[type, str] = {
            hard_swish.HardSwish: "fused",
            attention.MultiQueryAttention: "batched",
        }
        return base.with_forms(model, forms)

    def adapt(self, spec: export_spec.Export) -> base.Adapted:
        logits = base.argmax_outside(spec, title=self.title)
        floats = base.ends(
            logits.spec,
            input_type="float32",
            output_type="float32",
            because=f"{self.title} computes in floats and has no CAST",
        )
        return base.Adapted(floats.spec, logits.changes + floats.changes)

    def advise(self, op: "flatbuffer.Op", *, ends: bool) -> str | None:
        if op.name == "ARG_MAX":
            return (
                "take the argmax in the app (export.output = 'logits')"
                if ends
                else None
            )
        return {
            "CAST": "feed floats (export.input_type = 'float32')",
            "GELU": "choose an activation of relu, relu6 or hard_swish",
        }.get(op.name)
