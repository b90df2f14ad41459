"""Dilated convolutions in one piece."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="mobile_vision")
class DilatedConv2D(keras.layers.Conv2D):
    """A dilated convolution that stays one op in TensorFlow's graph, for files.

    That of Keras becomes SpaceToBatchND, a convolution and BatchToSpaceND there. The
    TFLite converter makes one CONV_2D of the three, but not where two convolutions of
    the same dilation read one map (the pyramids of `PanopticDeepLab`): they share the
    first. In a file the three multiply zeros, keep the norm out of the kernel, and end
    what accelerators take.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        if keras.backend.backend() != "tensorflow":
            return super().convolution_op(inputs, kernel)
        import tensorflow as tf

        return tf.nn.conv2d(
            inputs,
            kernel,
            strides=self.strides,
            padding=self.padding.upper(),
            dilations=self.dilation_rate,
        )
