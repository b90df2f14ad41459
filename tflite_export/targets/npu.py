"""NPUs of phones, whoever made them."""

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import keras

from official import export_spec
from official.layers import attention, box_decoding, hard_swish, quantized_boxes
from tflite_export.targets import base

if TYPE_CHECKING:
    from tflite_export import flatbuffer

_NAMES = """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED LOGISTIC
    MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL PAD QUANTIZE RELU RELU6 RESHAPE RESIZE_BILINEAR
    RESIZE_NEAREST_NEIGHBOR SOFTMAX STRIDED_SLICE SUB TANH TRANSPOSE_CONV
"""
OPS = frozenset(_NAMES.split())
"""A choice of ours, on the careful side: ops that both the Edge TPU's table
(docs/edgetpu.md) and MediaTek's guidelines for its MDLA name."""

LARGEST_KERNEL = 8
DILATIONS = (1, 2, 4, 8)
"""Of MediaTek's MDLA 2.0 for depthwise kernels, and for windows that are not global.
MediaTek also wants one scale for the kernel of a FULLY_CONNECTED."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NPU(base.Target):
    """Uses only what NPUs have in common: int8, and hard-swish in three simple ops.

    The compilers of the vendors tell more; LiteRT brings those of Qualcomm, MediaTek
    and Google Tensor (docs/edgetpu.md).
    """

    title: ClassVar[str] = "the common subset of NPUs"
    ops: ClassVar[frozenset[str] | None] = OPS
    compiler: ClassVar[str] = "litert_aot"

    def rewrite(self, model: keras.Model, precision: str) -> base.Rewritten:
        forms: dict[type, str] = {
            hard_swish.HardSwish: "split",
            # EXP is not among its ops.
            box_decoding.BoxDecoding: "logistic",
            quantized_boxes.QuantizedBoxDecoding: "logistic",
            attention.MultiQueryAttention: "single",
        }
        return base.in_turn(
            model, lambda m: base.with_forms(m, forms), base.dense_as_convolutions
        )

    def adapt(self, spec: export_spec.Export) -> base.Adapted:
        integers = base.integers_only(spec, title=self.title)
        logits = base.argmax_outside(integers.spec, title=self.title)
        return base.Adapted(logits.spec, integers.changes + logits.changes)

    def outside(self, op: "flatbuffer.Op") -> str | None:
        reason = super().outside(op)
        limit = _LIMITS.get(op.name)
        return reason or (limit(op) if limit else None)


def _depthwise(op: "flatbuffer.Op") -> str | None:
    height, width = op.inputs[1].shape[1:3]
    if max(height, width) > LARGEST_KERNEL:
        return f"kernel {height}x{width}: at most {LARGEST_KERNEL} on some NPUs"
    dilation = op.options["dilationHFactor"]
    if dilation not in DILATIONS:
        return f"dilation {dilation:g}: some NPUs have only {DILATIONS}"
    return None


def _pool(op: "flatbuffer.Op") -> str | None:
    window = (op.options["filterHeight"], op.options["filterWidth"])
    if window == op.inputs[0].shape[1:3] or max(window) <= LARGEST_KERNEL:
        return None
    return (
        f"window {window[0]:g}x{window[1]:g}: at most {LARGEST_KERNEL} on some NPUs, "
        "unless it covers all"
    )


def _fully_connected(op: "flatbuffer.Op") -> str | None:
    kernel = op.inputs[1]
    if not kernel.constant:
        return "its kernel is not constant"
    if len(kernel.scales) > 1:
        return "its kernel has a scale for each channel, which some NPUs do not know"
    return None


_LIMITS = {
    "AVERAGE_POOL_2D": _pool,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _pool,
}
