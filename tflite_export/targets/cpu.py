"""Phone and desktop CPUs, through the XNNPACK delegate of LiteRT."""

import dataclasses
from typing import ClassVar

import keras

from official import export_spec
from official.layers import attention, hard_swish
from tflite_export.targets import base


@dataclasses.dataclass(frozen=True, kw_only=True)
class CPU(base.Target):
    """Chooses the forms of hard-swish and attention by precision.

    XNNPACK has no int8 HARD_SWISH: every one splits the delegated graph. Backbone of
    MobileNetV3-Large at 224x224, one thread (x86-64 with AVX512-VNNI, LiteRT 2.3):

    | form | float32 | int8 |
    |---|---|---|
    | fused (HARD_SWISH) | 3.2 ms, 1 partition | 6.3 ms, 20 partitions |
    | split (add, multiply) | 3.4 ms, 1 partition | 1.7 ms, 1 partition |

    Nor has it an int8 BATCH_MATMUL; `attention.MultiQueryAttention` has the figures.
    """

    title: ClassVar[str] = "LiteRT on the CPU"

    def rewrite(self, model: keras.Model, precision: str) -> base.Rewritten:
        integer = precision in export_spec.INTEGER
        forms: dict[type, str] = {
            hard_swish.HardSwish: "split" if integer else "fused",
            attention.MultiQueryAttention: "single" if integer else "batched",
        }
        return base.with_forms(model, forms)
