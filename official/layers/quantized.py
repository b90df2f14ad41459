"""Layers whose insides lie on the grids of an integer file.

Each takes the settings and has the weights of the float layer that it stands for, so
that weights go from one to the other by name. What an integer file computes in one op
is one layer here, and its output gets a range (`fake_quant.FakeQuant`) from whoever
builds the network.

All have an attribute `mode` as `FakeQuant` has: with "observe" they compute in floats.
"""

import types
from collections.abc import Mapping
from typing import Any

import keras

from official.layers import batch_norm, depthwise, fake_quant, hard_swish


class Fake:
    """What the layers of this module share.

    Attributes:
        mode: One of `fake_quant.MODES`.
        rounding: Gives gradients to the rounding of weights, in training.
    """

    mode: str = "quantize"
    rounding: fake_quant.Rounding = staticmethod(fake_quant.straight_through)

    def rounded_kernel(self, weights: Any, bits: int) -> Any:
        if self.mode == "observe":
            return weights
        return fake_quant.kernel(weights, bits=bits, rounding=self.rounding)


class Kernel(Fake):
    """A layer with a trained kernel of `weight_bits`."""

    weight_bits: int

    def rounded_weights(self) -> Any:
        """The kernel as it is multiplied with, in its own shape."""
        return self.rounded_kernel(self.kernel, self.weight_bits)  # type: ignore[attr-defined]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),  # type: ignore[misc]
            "weight_bits": self.weight_bits,
        }


@keras.saving.register_keras_serializable(package="mobile_vision")
class QuantizedConv2D(Kernel, keras.layers.Conv2D):
    """A convolution; each output channel of its kernel has a scale."""

    def __init__(self, *, weight_bits: int = 8, **settings: Any) -> None:
        super().__init__(**settings)
        self.weight_bits = weight_bits

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        return super().convolution_op(
            inputs, self.rounded_kernel(kernel, self.weight_bits)
        )


@keras.saving.register_keras_serializable(package="mobile_vision")
class QuantizedDepthwiseConv2D(Kernel, keras.layers.DepthwiseConv2D):
    """A depthwise convolution; each output channel of its kernel has a scale."""

    def __init__(self, *, weight_bits: int = 8, **settings: Any) -> None:
        super().__init__(**settings)
        self.weight_bits = weight_bits

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        # Keras 3 has no seam for the kernel here.
        outputs = depthwise.convolve(
            inputs, self.rounded_weights(), layer=self, training=training
        )
        if self.use_bias:
            outputs = outputs + keras.ops.cast(self.bias, outputs.dtype)
        return outputs

    def rounded_weights(self) -> Any:
        height, width, channels, multiplier = self.kernel.shape
        # The channels of the output, which the scales are of, in one axis.
        flat = keras.ops.reshape(self.kernel, (height, width, 1, channels * multiplier))
        rounded = self.rounded_kernel(flat, self.weight_bits)
        return keras.ops.reshape(rounded, (height, width, channels, multiplier))


@keras.saving.register_keras_serializable(package="mobile_vision")
class QuantizedDense(Kernel, keras.layers.Dense):
    """A dense layer; each output has a scale.

    It is computed as a 1x1 convolution, because the converter takes a kernel with a
    scale for each output in no matrix product.
    """

    def __init__(self, *, weight_bits: int = 8, **settings: Any) -> None:
        super().__init__(**settings)
        self.weight_bits = weight_bits

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        del training
        # In the shape of a convolution's before it is rounded.
        kernel = keras.ops.reshape(self.kernel, (1, 1, *self.kernel.shape))
        rounded = self.rounded_kernel(kernel, self.weight_bits)
        maps = keras.ops.reshape(inputs, (-1, 1, 1, inputs.shape[-1]))
        outputs = keras.ops.conv(maps, rounded, padding="valid")
        if self.use_bias:
            outputs = outputs + keras.ops.cast(self.bias, outputs.dtype)
        return keras.ops.reshape(outputs, (-1, self.units))


@keras.saving.register_keras_serializable(package="mobile_vision")
class QuantizedNorm(Fake, batch_norm.BatchNormalization):
    """A batch norm that no convolution precedes.

    In inference it is a depthwise convolution of a single weight a channel, which is
    one op of an integer file, and exact: a weight alone is the largest of its channel.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        given = self.use_batch_statistics
        if (training if given is None else given) or self.mode == "observe":
            return super().call(inputs, training=training, mask=mask)
        root = keras.ops.sqrt(self.moving_variance + self.epsilon)
        factor = (self.gamma if self.scale else 1.0) / root
        offset = (self.beta if self.center else 0.0) - self.moving_mean * factor
        return _affine(inputs, factor, offset, self.rounded_kernel)


@keras.saving.register_keras_serializable(package="mobile_vision")
class QuantizedRescaling(Fake, keras.layers.Rescaling):
    """A factor and an offset for each channel, as a depthwise convolution; exact."""

    def call(self, inputs: Any) -> Any:
        channels = (inputs.shape[-1],)
        return _affine(
            keras.ops.cast(inputs, self.compute_dtype),
            keras.ops.broadcast_to(keras.ops.cast(self.scale, "float32"), channels),
            keras.ops.broadcast_to(keras.ops.cast(self.offset, "float32"), channels),
            self.rounded_kernel,
        )


def _affine(inputs: Any, factor: Any, offset: Any, rounded_kernel: Any) -> Any:
    channels = inputs.shape[-1]
    kernel = rounded_kernel(keras.ops.reshape(factor, (1, 1, 1, channels)), 8)
    kernel = keras.ops.reshape(kernel, (1, 1, channels, 1))
    outputs = keras.ops.depthwise_conv(
        inputs, keras.ops.cast(kernel, inputs.dtype), strides=(1, 1), padding="valid"
    )
    return outputs + keras.ops.cast(offset, inputs.dtype)


class Inside(Fake):
    """A layer of several ops, with known ranges between them.

    Attributes:
        limits_inside: Of what is rounded inside, by name.
        bits: Of the integers.
    """

    limits_inside: Mapping[str, tuple[float, float]]
    bits: int

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bits": self.bits}  # type: ignore[misc]

    def rounded(self, values: Any, name: str) -> Any:
        """Values inside, on their grid."""
        if self.mode == "observe":
            return values
        low, high = self.limits_inside[name]
        found = self.rounding(
            keras.ops.cast(values, "float32"),
            low,
            high,
            bits=self.bits,
            narrow=False,
            axis=None,
        )
        return keras.ops.cast(found, values.dtype)


class _Gated(Inside):
    """A layer that computes relu6(x + 3) / 6 in two ops."""

    def gate(self, inputs: Any) -> Any:
        opened = self.rounded(keras.ops.relu6(inputs + 3.0), "opened")
        return opened * (1.0 / 6.0)


@keras.saving.register_keras_serializable(package="mobile_vision")
class QuantizedHardSwish(_Gated, hard_swish.HardSwish):
    """Hard-swish in the split form: ADD with RELU6, and two MULs."""

    limits_inside = types.MappingProxyType({"opened": (0.0, 6.0), "gate": (0.0, 1.0)})

    def __init__(self, *, bits: int = 8, **settings: Any) -> None:
        super().__init__(**settings)
        self.bits = bits

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        del training
        return inputs * self.rounded(self.gate(inputs), "gate")


@keras.saving.register_keras_serializable(package="mobile_vision")
class QuantizedHardSigmoid(_Gated, hard_swish.HardSigmoid):
    """Hard-sigmoid: ADD with RELU6, and MUL."""

    limits_inside = types.MappingProxyType({"opened": (0.0, 6.0)})

    def __init__(self, *, bits: int = 8, **settings: Any) -> None:
        super().__init__(**settings)
        self.bits = bits

    def call(self, inputs: Any) -> Any:
        return self.gate(inputs)
