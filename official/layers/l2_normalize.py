"""Vectors of length one."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="mobile_vision")
class L2Normalize(keras.layers.Layer):
    """Divides by the Euclidean length over the channels, `[..., C]` to `[..., C]`.

    `keras.ops.normalize` converts to ops of which some stay in float; TensorFlow's own
    becomes one L2_NORMALIZATION.
    """

    EPSILON = 1e-12
    """The smallest square of a length that is divided by."""

    def call(self, inputs: Any) -> Any:
        if keras.backend.backend() == "tensorflow":
            return with_tensorflow(inputs)
        return with_any_backend(inputs)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def with_tensorflow(inputs: Any) -> Any:
    """As `L2Normalize`, by TensorFlow."""
    import tensorflow as tf

    values = tf.cast(inputs, tf.float32)
    normalized = tf.math.l2_normalize(values, axis=-1, epsilon=L2Normalize.EPSILON)
    return tf.cast(normalized, inputs.dtype)


def with_any_backend(inputs: Any) -> Any:
    """As `L2Normalize`, by Keras alone."""
    values = keras.ops.cast(inputs, "float32")
    squares = keras.ops.sum(values * values, axis=-1, keepdims=True)
    length = keras.ops.rsqrt(keras.ops.maximum(squares, L2Normalize.EPSILON))
    return keras.ops.cast(values * length, inputs.dtype)
