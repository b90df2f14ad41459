"""The largest channel, as class ids."""

import keras


@keras.saving.register_keras_serializable(package="mobile_vision")
class ArgMax(keras.layers.Layer):
    """Index of the largest channel: `[..., C]` to int32 `[...]`; the first of equals.

    `keras.ops.argmax` orders signed zeros by their bits (BitwiseAnd), which no TFLite
    kernel does; TensorFlow's own op converts to one ARG_MAX.
    """

    def call(self, logits):
        if keras.backend.backend() == "tensorflow":
            return with_tensorflow(logits)
        return with_any_backend(logits)

    def compute_output_spec(self, logits):
        return keras.KerasTensor(logits.shape[:-1], dtype="int32")

    def compute_output_shape(self, input_shape):
        return input_shape[:-1]


def with_tensorflow(logits):
    """As `ArgMax`, one TensorFlow op."""
    import tensorflow as tf

    return tf.argmax(logits, axis=-1, output_type=tf.int32)


def with_any_backend(logits):
    """As `ArgMax`, by Keras alone."""
    return keras.ops.cast(keras.ops.argmax(logits, axis=-1), "int32")
