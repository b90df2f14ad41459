"""Phone and desktop CPUs, through the XNNPACK delegate of LiteRT."""

import dataclasses

import keras

from official.layers import attention, hard_swish
from tflite_export import inference
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

    def rewrite(self, model: keras.Model, precision: str) -> keras.Model:
        integer = precision == "int8"

        def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
            config = layer.get_config()
            if isinstance(layer, hard_swish.HardSwish):
                config["form"] = "split" if integer else "fused"
            if isinstance(layer, attention.MultiQueryAttention):
                config["form"] = "single" if integer else "batched"
            return layer.__class__.from_config(config)

        rewritten = keras.models.clone_model(model, clone_function=clone)
        inference.copy_weights(model, rewritten)
        return rewritten
