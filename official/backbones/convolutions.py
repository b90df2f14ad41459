"""Convolutions with what comes after them: norm, activation, squeeze-and-excite."""

import dataclasses

import keras

from official.backbones import fields
from official.layers import batch_norm, depthwise, hard_swish

ACTIVATIONS = ("relu", "relu6", "hard_swish", "gelu")
RELUS = ("relu", "relu6")
GATES = ("hard_sigmoid", "sigmoid")
PADDINGS = ("same", "symmetric")
"""How strided convolutions are padded on even sizes: "same" puts the odd pixel behind,
as TensorFlow; "symmetric" pads both sides alike, as PyTorch, whose weights want it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Norm:
    """Batch normalization.

    Attributes:
        momentum: Share of the old moving statistics that a step keeps.
        epsilon: Added to the variance.
        synchronized: Take the statistics over all replicas.
    """

    momentum: float = 0.99
    epsilon: float = 1e-3
    synchronized: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise ValueError(f"Norm.momentum = {self.momentum!r}: must be in [0, 1)")
        fields.check_positive(self, "epsilon")

    def __call__(
        self,
        features: keras.KerasTensor,
        name: str,
        *,
        gamma: float = 1.0,
        dtype: str | None = None,
    ) -> keras.KerasTensor:
        """Adds the norm.

        Args:
            gamma: What its factors start at.
            dtype: Of what it computes with and gives; None: that of Keras's policy.
        """
        return batch_norm.BatchNormalization(
            momentum=self.momentum,
            epsilon=self.epsilon,
            synchronized=self.synchronized,
            gamma_initializer=keras.initializers.Constant(gamma),
            dtype=dtype,
            name=name,
        )(features)


def conv_norm(
    features: keras.KerasTensor,
    filters: int,
    *,
    norm: Norm | None,
    name: str,
    kernel: int = 1,
    stride: int = 1,
    dilation: int = 1,
    padding: str = "same",
    activation: str | None = None,
    gamma: float = 1.0,
) -> keras.KerasTensor:
    """Adds convolution, norm (if None, a bias) and (unless None) activation.

    Args:
        gamma: What the factors of the norm start at.
    """
    extent = dilation * (kernel - 1) // 2
    features, mode = _padded(features, extent, stride, padding=padding, name=name)
    features = keras.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        dilation_rate=dilation,
        padding=mode,
        use_bias=norm is None,
        kernel_initializer=kernel_initializer(),
        name=f"{name}_conv",
    )(features)
    return _finished(features, norm=norm, activation=activation, name=name, gamma=gamma)


def depthwise_norm(
    features: keras.KerasTensor,
    kernel: int,
    *,
    norm: Norm,
    name: str,
    stride: int = 1,
    dilation: int = 1,
    padding: str = "same",
    activation: str | None = None,
) -> keras.KerasTensor:
    """Adds depthwise convolution, norm and (unless None) activation."""
    extent = dilation * (kernel - 1) // 2
    features, mode = _padded(features, extent, stride, padding=padding, name=name)
    features = depthwise.DepthwiseConv2D(
        kernel,
        strides=stride,
        dilation_rate=dilation,
        padding=mode,
        use_bias=False,
        depthwise_initializer=kernel_initializer(),
        name=f"{name}_conv",
    )(features)
    return _finished(features, norm=norm, activation=activation, name=name)


def _padded(
    features: keras.KerasTensor, extent: int, stride: int, *, padding: str, name: str
) -> tuple[keras.KerasTensor, str]:
    """The input of a convolution, and the padding that is left to the convolution."""
    # Without a stride both conventions pad alike.
    if padding == "same" or stride == 1 or not extent:
        return features, "same"
    pad = keras.layers.ZeroPadding2D(extent, name=f"{name}_pad")
    return pad(features), "valid"


def _finished(
    features: keras.KerasTensor,
    *,
    norm: Norm | None,
    activation: str | None,
    name: str,
    gamma: float = 1.0,
) -> keras.KerasTensor:
    if norm is not None:
        features = norm(features, f"{name}_norm", gamma=gamma)
    if activation is None:
        return features
    return activation_layer(activation, f"{name}_activation")(features)


def squeeze_excite(
    features: keras.KerasTensor,
    squeezed: int,
    *,
    name: str,
    gate: str = "hard_sigmoid",
) -> keras.KerasTensor:
    """Multiplies each channel by a gate made of the means of all channels.

    Hu et al., 2017, https://arxiv.org/abs/1709.01507.

    Args:
        squeezed: Channels of the hidden layer.
        gate: "sigmoid", or "hard_sigmoid" as in MobileNetV3
            (https://arxiv.org/abs/1905.02244, section 5.3).
    """
    gates = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(
        features
    )
    gates = keras.layers.Conv2D(
        squeezed,
        1,
        kernel_initializer=kernel_initializer(),
        name=f"{name}_reduce_conv",
    )(gates)
    gates = activation_layer("relu", f"{name}_reduce_activation")(gates)
    gates = keras.layers.Conv2D(
        features.shape[-1],
        1,
        kernel_initializer=kernel_initializer(),
        name=f"{name}_expand_conv",
    )(gates)
    gates = _gate_layer(gate, f"{name}_gate")(gates)
    return keras.layers.Multiply(name=f"{name}_multiply")([features, gates])


def _gate_layer(kind: str, name: str) -> keras.layers.Layer:
    if kind == "sigmoid":
        return keras.layers.Activation("sigmoid", name=name)
    return hard_swish.HardSigmoid(name=name)


def activation_layer(kind: str, name: str) -> keras.layers.Layer:
    """The layer of an activation by name, one of `ACTIVATIONS`."""
    if kind == "hard_swish":
        return hard_swish.HardSwish(name=name)
    if kind == "gelu":
        return keras.layers.Activation("gelu", name=name)
    return keras.layers.ReLU(max_value={"relu": None, "relu6": 6.0}[kind], name=name)


def kernel_initializer() -> keras.initializers.Initializer:
    """He et al., 2015, https://arxiv.org/abs/1502.01852, with fan out, as torchvision.

    Fan out is the right one for depthwise kernels too: Keras counts it as kernel area
    (times a multiplier of 1), fan in as if every channel saw all others. A new object
    for each layer, because one object gives the same values to kernels of one shape.
    """
    return keras.initializers.VarianceScaling(
        scale=2.0, mode="fan_out", distribution="truncated_normal"
    )
