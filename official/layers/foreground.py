"""Scores of classes without that of the background, which stands first."""

import keras


@keras.saving.register_keras_serializable(package="mobile_vision")
class Foreground(keras.layers.Layer):
    """`[..., 1 + K]` to `[..., K]`."""

    def call(self, scores):
        return scores[..., 1:]

    def compute_output_spec(self, scores):
        shape = self.compute_output_shape(scores.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] - 1)
