"""Where queries and pixels meet: the products of a k-means mask transformer."""

import math
from typing import Any

import keras

from official.layers import argmax


@keras.saving.register_keras_serializable(package="mobile_vision")
class MaskProduct(keras.layers.Layer):
    """The logit of each pixel for each slot.

    Called with features `[B, H, W, D]` and kernels `[B, N, 1, D]`; gives
    `[B, H, W, N]`: the scalar products.
    """

    def call(self, features: Any, kernels: Any) -> Any:
        height, width, _ = features.shape[1:]
        count = kernels.shape[1]
        if features.shape[0] == 1 and kernels.shape[0] == 1:
            # Of rank 2, for FULLY_CONNECTED: XNNPACK has no int8 BATCH_MATMUL.
            pixels = keras.ops.reshape(features, (height * width, -1))
            slots = keras.ops.reshape(kernels, (count, -1))
        else:
            batch = keras.ops.shape(features)[0]
            pixels = keras.ops.reshape(features, (batch, height * width, -1))
            slots = keras.ops.reshape(kernels, (batch, count, -1))
        logits = keras.ops.matmul(pixels, keras.ops.swapaxes(slots, -1, -2))
        return keras.ops.reshape(logits, (-1, height, width, count))

    def compute_output_spec(self, features: Any, kernels: Any) -> keras.KerasTensor:
        if features.shape[-1] != kernels.shape[-1]:
            raise ValueError(
                f"layer {self.name!r}: features {features.shape} and kernels "
                f"{kernels.shape} must have the same number of channels"
            )
        shape = (*features.shape[:3], kernels.shape[1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def multiply_adds(self) -> int:
        """Of one image."""
        features, kernels = self.input
        return math.prod(features.shape[1:]) * kernels.shape[1]


@keras.saving.register_keras_serializable(package="mobile_vision")
class KMeansUpdate(keras.layers.Layer):
    """Gives each slot the sum of what its pixels say.

    The hard assignment of k-means (Yu et al., 2022, https://arxiv.org/abs/2207.04044,
    section 3.2): a pixel counts for the slot with its largest logit, and for no other;
    no gradient passes through that choice.

    Called with logits `[B, H, W, N]` and values `[B, H, W, D]`; gives `[B, N, 1, D]`.
    """

    def call(self, logits: Any, values: Any) -> Any:
        places, count = math.prod(logits.shape[1:3]), logits.shape[-1]
        single = logits.shape[0] == 1 and values.shape[0] == 1
        # Of an image by itself the products are of matrices, see `MaskProduct`.
        shape = (places,) if single else (-1, places)
        chosen = _winners(keras.ops.reshape(logits, (*shape, count)), values.dtype)
        chosen = self.rounded(keras.ops.stop_gradient(chosen), "chosen")
        pixels = keras.ops.reshape(values, (*shape, values.shape[-1]))
        sums = keras.ops.matmul(chosen, pixels)
        return keras.ops.reshape(sums, (-1, count, 1, values.shape[-1]))

    def rounded(self, values: Any, name: str) -> Any:
        """Values inside on their grid; here as they are."""
        del name
        return values

    def compute_output_spec(self, logits: Any, values: Any) -> keras.KerasTensor:
        if logits.shape[1:3] != values.shape[1:3]:
            raise ValueError(
                f"layer {self.name!r}: logits {logits.shape} and values {values.shape} "
                "must be of the same height and width"
            )
        shape = (values.shape[0], logits.shape[-1], 1, values.shape[-1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def multiply_adds(self) -> int:
        """Of one image."""
        logits, values = self.input
        return math.prod(logits.shape[1:]) * values.shape[-1]


def _winners(logits: Any, dtype: str) -> Any:
    """`[..., P, N]` to `[..., N, P]`: 1 for the largest of N, the first of equals."""
    count = logits.shape[-1]
    if keras.backend.backend() != "tensorflow":
        chosen = keras.ops.one_hot(argmax.with_any_backend(logits), count, dtype=dtype)
        return keras.ops.swapaxes(chosen, -1, -2)
    import tensorflow as tf

    winners = argmax.with_tensorflow(logits)
    if len(logits.shape) == 2:
        # GATHER: the converter fails on a quantization-aware ONE_HOT.
        return tf.gather(tf.eye(count, dtype=dtype), winners, axis=1)
    return tf.one_hot(winners, count, axis=1, dtype=dtype)
