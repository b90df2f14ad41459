"""Depthwise convolutions that train faster on CPUs."""

from typing import Any

import keras

# Above this width of a kernel oneDNN has no vectorized gradient: that of a 5x4 kernel
# takes it eight times as long as that of a 5x3 kernel, and longer than TensorFlow's own
# (docs/speed.md, `scripts/benchmark_depthwise.py`).
_WIDEST_IN_ONEDNN = 3


@keras.saving.register_keras_serializable(package="mobile_vision")
class DepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """Keras's depthwise convolution; in training see `convolve`."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        outputs = convolve(inputs, self.kernel, layer=self, training=training)
        if self.use_bias:
            outputs = outputs + keras.ops.cast(self.bias, outputs.dtype)
        return outputs if self.activation is None else self.activation(outputs)


def convolve(
    inputs: Any,
    kernel: Any,
    *,
    layer: keras.layers.DepthwiseConv2D,
    training: bool | None,
) -> Any:
    """A depthwise convolution whose gradient for a wide kernel is quick on CPUs.

    There TensorFlow hands it to oneDNN, whose gradient is several times slower for
    kernels wider than 3 than TensorFlow's own. A kernel 5 wide, stride 1, is divided
    into narrower ones; of others TensorFlow keeps for itself what has explicit padding.
    Results are those of Keras; gradients too, but for rounding. On other backends and
    devices, for kernels up to 3 wide, for dilation and in inference this is Keras's
    convolution.

    Args:
        inputs: `[B, H, W, C]`.
        kernel: `[h, w, C, multiplier]`.
        layer: Has strides, padding and dilation.
        training: Whether gradients will be asked for.
    """
    kernel = keras.ops.cast(kernel, inputs.dtype)
    settings = {
        "strides": layer.strides,
        "padding": layer.padding,
        "dilation_rate": layer.dilation_rate,
        "data_format": layer.data_format,
    }
    suits = (
        training
        and layer.data_format == "channels_last"
        and tuple(layer.dilation_rate) == (1, 1)
        and layer.strides[0] == layer.strides[1]
        and kernel.shape[1] > _WIDEST_IN_ONEDNN
        and None not in inputs.shape[1:]
    )
    if not suits or not on_cpu():
        return keras.ops.depthwise_conv(inputs, kernel, **settings)
    return _with_own_gradient(
        inputs, kernel, stride=layer.strides[0], padding=layer.padding.upper()
    )


def on_cpu() -> bool:
    """Whether the backend is TensorFlow, and CPUs are all it has."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    kinds = {device.device_type for device in tf.config.list_logical_devices()}
    return kinds == {"CPU"}


def _with_own_gradient(inputs: Any, kernel: Any, *, stride: int, padding: str) -> Any:
    import tensorflow as tf

    strides = [1, stride, stride, 1]
    sizes = zip(inputs.shape[1:3], kernel.shape[:2], strict=True)
    around = [_padding(size, extent, stride, padding) for size, extent in sizes]

    @tf.custom_gradient
    def convolved(images: Any, weights: Any) -> Any:
        def gradients(outer: Any) -> tuple[Any, Any]:
            of_images = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=tf.shape(images),
                filter=weights,
                out_backprop=outer,
                strides=strides,
                padding=padding,
            )
            if stride == 1 and padding == "SAME" and weights.shape[1] == 5:
                return of_images, of_five_columns(images, weights, outer)
            of_weights = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
                input=images,
                filter_sizes=tf.shape(weights),
                out_backprop=outer,
                strides=strides,
                padding="EXPLICIT",
                explicit_paddings=[0, 0, *around[0], *around[1], 0, 0],
            )
            return of_images, of_weights

        outputs = tf.nn.depthwise_conv2d(images, weights, strides, padding)
        return outputs, gradients

    return convolved(inputs, tf.convert_to_tensor(kernel))


def of_five_columns(images: Any, weights: Any, outer: Any) -> Any:
    """The gradient of a kernel 5 wide, stride 1, put together of two of 3-wide ones.

    Columns 1 to 3 are those of the narrower kernel. Columns 0, 2 and 4 lie two pixels
    apart: where two pixels side by side are taken for one with twice the channels, they
    are the columns of another 3-wide kernel.

    Args:
        images: `[B, H, W, C]`, what the kernel was applied to, with "same" padding.
        weights: The kernel, `[h, 5, C, multiplier]`; its shape alone counts.
        outer: Gradient of the outputs, `[B, H, W, C * multiplier]`.

    Returns:
        Of the shape of `weights`.
    """
    import tensorflow as tf

    height, _, channels, multiplier = weights.shape

    def of_three(pixels: Any, gradients: Any, count: int) -> Any:
        return tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
            input=pixels,
            filter_sizes=[height, 3, count, multiplier],
            out_backprop=gradients,
            strides=[1, 1, 1, 1],
            padding="SAME",
        )

    def in_pairs(pixels: Any) -> Any:
        rows, columns, depth = pixels.shape[1:]
        if columns % 2:
            pixels = tf.pad(pixels, [[0, 0], [0, 0], [0, 1], [0, 0]])
        return tf.reshape(pixels, [-1, rows, (columns + 1) // 2, 2 * depth])

    inner = of_three(images, outer, channels)
    apart = of_three(in_pairs(images), in_pairs(outer), 2 * channels)
    apart = apart[:, :, :channels] + apart[:, :, channels:]
    columns = [apart[:, :1], inner[:, :1], apart[:, 1:2], inner[:, 2:], apart[:, 2:]]
    return tf.concat(columns, axis=1)


def _padding(size: int, extent: int, stride: int, padding: str) -> tuple[int, int]:
    """Before and behind an axis, as TensorFlow defines "SAME"."""
    if padding == "VALID":
        return 0, 0
    total = max((-(-size // stride) - 1) * stride + extent - size, 0)
    return total // 2, total - total // 2
