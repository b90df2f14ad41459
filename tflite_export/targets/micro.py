"""Microcontrollers, through LiteRT for Microcontrollers (TFLite Micro)."""

import dataclasses
from collections.abc import Collection
from typing import TYPE_CHECKING, ClassVar

import keras

from official import export_spec
from official.layers import attention, hard_swish
from tflite_export.targets import base

if TYPE_CHECKING:
    from tflite_export import flatbuffer

_NAMES = """
    ABS ADD ADD_N ARG_MAX ARG_MIN AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND CAST
    CEIL CONCATENATION CONV_2D COS CUMSUM DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
    DIV ELU EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER
    GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU
    LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC MAXIMUM MAX_POOL_2D
    MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE REDUCE_MAX
    RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR ROUND RSQRT SELECT_V2
    SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE
    SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV
    UNPACK ZEROS_LIKE TFLite_Detection_PostProcess
"""
OPS = frozenset(_NAMES.split())
"""What `MicroMutableOpResolver` of tensorflow/tflite-micro can register."""

_WORDS = {
    "BATCH_MATMUL": "BatchMatMul",
    "CUMSUM": "CumSum",
    "PADV2": "PadV2",
    "TFLite_Detection_PostProcess": "DetectionPostprocess",
}
# Of names whose words the op's name does not show.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Micro(base.Target):
    """Takes int8 in and out, and keeps hard-swish whole, which needs less memory.

    Split hard-swish keeps its input until the last of its ops; the HARD_SWISH kernel
    needs its input and output only.
    """

    title: ClassVar[str] = "TFLite Micro"
    ops: ClassVar[frozenset[str] | None] = OPS
    arena: ClassVar[bool] = True

    def rewrite(self, model: keras.Model, precision: str) -> base.Rewritten:
        forms: dict[type, str] = {
            hard_swish.HardSwish: "fused",
            attention.MultiQueryAttention: "batched",
        }
        return base.in_turn(
            model, lambda m: base.with_forms(m, forms), base.dense_as_convolutions
        )

    def adapt(self, spec: export_spec.Export) -> base.Adapted:
        typed = base.ends(
            spec,
            input_type="int8",
            output_type="int8",
            because=f"{self.title} has kernels for int8",
        )
        integers = base.integers_only(typed.spec, title=self.title)
        return base.Adapted(integers.spec, integers.changes + typed.changes)

    def for_app(self, ops: Collection[str]) -> list[str]:
        resolver = f"tflite::MicroMutableOpResolver<{len(ops)}> resolver;"
        methods = " ".join(f"resolver.{_method(op)}();" for op in sorted(ops))
        return [f"in the app: {resolver} {methods}"]

    def refuses(self, op: "flatbuffer.Op") -> str | None:
        # There is no other processor that could run it.
        return super().refuses(op) or super().outside(op)


def _method(op: str) -> str:
    """Of `MicroMutableOpResolver`, that registers an op: `AddConv2D` for CONV_2D."""
    words = "".join(word.capitalize() for word in op.split("_"))
    return "Add" + _WORDS.get(op, words.replace("2d", "2D"))
