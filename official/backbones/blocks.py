"""What mobile networks are built of.

Layers are named `{level}_{block}_{role}`: `C4_block2_expand_conv`. Roles of an inverted
residual, in order: expand, depthwise, squeeze_excite, project, drop, add. Before the
blocks there is `stem_*`, after them `last_*` and, past global pooling, `embedding_*`.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import keras

from official.backbones import base
from official.layers import batch_norm, hard_swish

OUTPUT_STRIDES = (8, 16, 32)
ACTIVATIONS = ("relu", "relu6", "hard_swish", "gelu")
RELUS = ("relu", "relu6")
GATES = ("hard_sigmoid", "sigmoid")
PADDINGS = ("same", "symmetric")
"""How strided convolutions are padded on even sizes: "same" puts the odd pixel behind,
as TensorFlow; "symmetric" pads both sides alike, as PyTorch, whose weights want it."""


def check_choice(spec: object, field: str, allowed: Sequence[object]) -> None:
    """Checks a field of a component.

    Raises:
        ValueError: If it does not hold one of the allowed values; names them.
    """
    value = getattr(spec, field)
    if value not in allowed:
        raise ValueError(
            f"{type(spec).__name__}.{field} = {value!r}: must be one of "
            + ", ".join(repr(known) for known in allowed)
        )


def check_positive(spec: object, field: str) -> None:
    """Checks a number of a component.

    Raises:
        ValueError: If it is not above 0.
    """
    value = getattr(spec, field)
    if not value > 0:
        raise ValueError(f"{type(spec).__name__}.{field} = {value!r}: must be above 0")


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
        check_positive(self, "epsilon")

    def __call__(self, features: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return batch_norm.BatchNormalization(
            momentum=self.momentum,
            epsilon=self.epsilon,
            synchronized=self.synchronized,
            name=name,
        )(features)


class Block(Protocol):
    """A block of a table: knows its stride, and adds its layers to a graph."""

    @property
    def stride(self) -> int:
        """Of its strided convolution, before any of it is traded for dilation."""

    def __call__(
        self, inputs: keras.KerasTensor, placed: "PlacedBlock"
    ) -> base.Features:
        """Adds the layers.

        Returns:
            "output" and, where the block has them, "expand" (before the strided
            depthwise convolution) and "depthwise" (after its norm and activation).
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlacedBlock:
    """A block in a network.

    Attributes:
        level: From 1 to 5.
        number: Within the level, from 1.
        stride: Of its strided convolution at the network's output stride.
        dilation: Of its spatial convolutions.
        norm: Batch normalization.
        padding: One of `PADDINGS`.
        drop_rate: Share of examples that skip the block in training.
    """

    block: Block
    level: int
    number: int
    stride: int
    dilation: int
    norm: Norm
    padding: str
    drop_rate: float

    @property
    def name(self) -> str:
        return f"C{self.level}_block{self.number}"

    def has_shortcut(
        self, inputs: keras.KerasTensor, outputs: keras.KerasTensor
    ) -> bool:
        """Whether the block keeps size and channels.

        By the block's own stride: a block that lost it to dilation stays without a
        shortcut, so that weights mean the same at every output stride.
        """
        return self.block.stride == 1 and inputs.shape[-1] == outputs.shape[-1]

    def add_shortcut(
        self, inputs: keras.KerasTensor, outputs: keras.KerasTensor
    ) -> keras.KerasTensor:
        """Adds the inputs to the outputs, where the block keeps size and channels.

        In training, an example loses the block's outputs with probability `drop_rate`:
        stochastic depth, Huang et al., 2016, https://arxiv.org/abs/1603.09382.
        """
        if not self.has_shortcut(inputs, outputs):
            return outputs
        if self.drop_rate:
            outputs = keras.layers.Dropout(
                self.drop_rate, noise_shape=(None, 1, 1, 1), name=f"{self.name}_drop"
            )(outputs)
        return keras.layers.Add(name=f"{self.name}_add")([inputs, outputs])


@dataclasses.dataclass(frozen=True, kw_only=True)
class InvertedResidual:
    """An inverted residual.

    Sandler et al., 2018, https://arxiv.org/abs/1801.04381, section 3.4.

    Attributes:
        kernel: Side of the depthwise kernel.
        stride: Of the depthwise convolution.
        expanded: Channels between expansion and projection; if they are those of the
            input, there is no expansion.
        filters: Channels of the output.
        activation: One of `ACTIVATIONS`.
        squeezed: Channels inside squeeze-and-excite; 0 leaves it out.
        gate: Of squeeze-and-excite, one of `GATES`.
        residual: Add the input where the shapes allow it.
    """

    kernel: int
    stride: int
    expanded: int
    filters: int
    activation: str
    squeezed: int = 0
    gate: str = "hard_sigmoid"
    residual: bool = True

    def __call__(self, inputs: keras.KerasTensor, placed: PlacedBlock) -> base.Features:
        name, norm = placed.name, placed.norm
        taps = {}
        features = inputs
        if self.expanded != inputs.shape[-1]:
            features = taps["expand"] = conv_norm(
                inputs,
                self.expanded,
                norm=norm,
                activation=self.activation,
                name=f"{name}_expand",
            )
        features = taps["depthwise"] = depthwise_norm(
            features,
            self.kernel,
            norm=norm,
            activation=self.activation,
            name=f"{name}_depthwise",
            stride=placed.stride,
            dilation=placed.dilation,
            padding=placed.padding,
        )
        if self.squeezed:
            features = squeeze_excite(
                features,
                self.squeezed,
                gate=self.gate,
                name=f"{name}_squeeze_excite",
            )
        features = conv_norm(features, self.filters, norm=norm, name=f"{name}_project")
        if self.residual:
            features = placed.add_shortcut(inputs, features)
        return taps | {"output": features}


@dataclasses.dataclass(frozen=True, kw_only=True)
class FusedInvertedResidual:
    """An inverted residual whose expansion is a full convolution, without a depthwise.

    Gupta & Akin, 2020, https://arxiv.org/abs/2003.02838, section 3: quicker than
    depthwise convolutions on the EdgeTPU.

    Attributes:
        kernel: Side of the expansion's kernel.
        stride: Of the expansion.
        expanded: Channels of the expansion; 0 leaves it out.
        filters: Channels of the output.
        activation: One of `ACTIVATIONS`.
    """

    kernel: int
    stride: int
    expanded: int
    filters: int
    activation: str

    def __call__(self, inputs: keras.KerasTensor, placed: PlacedBlock) -> base.Features:
        features = inputs
        if self.expanded:
            features = conv_norm(
                inputs,
                self.expanded,
                norm=placed.norm,
                name=f"{placed.name}_expand",
                kernel=self.kernel,
                stride=placed.stride,
                dilation=placed.dilation,
                padding=placed.padding,
                activation=self.activation,
            )
        features = conv_norm(
            features, self.filters, norm=placed.norm, name=f"{placed.name}_project"
        )
        return {"output": placed.add_shortcut(inputs, features)}


def check_rate(spec: object, field: str) -> None:
    """Checks a probability of a component.

    Raises:
        ValueError: If it is not in [0, 1).
    """
    value = getattr(spec, field)
    if not 0 <= value < 1:
        raise ValueError(
            f"{type(spec).__name__}.{field} = {value!r}: must be in [0, 1)"
        )


def make_divisible(value: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `value`, at least 0.9 times it.

    The rounding of widths in all MobileNet code.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def place(
    blocks: Sequence[Block],
    output_stride: int,
    *,
    norm: Norm = Norm(),
    padding: str = "same",
    stochastic_depth: float = 0.0,
    stem_stride: int = 2,
) -> Iterator[PlacedBlock]:
    """Names the blocks after a stem and trades strides for dilation.

    A level is named by the stride that its blocks have at output stride 32. Once the
    output stride is reached, a stride of 2 doubles the dilation instead, beginning with
    the block that loses its stride (as in torchvision and in TF Model Garden).

    Args:
        stochastic_depth: Drop rate of the last block; it grows linearly with depth.
    """
    nominal_stride, number, dilation = stem_stride, 0, 1
    for index, block in enumerate(blocks):
        number = 1 if block.stride > 1 else number + 1
        nominal_stride *= block.stride
        stride = block.stride
        if nominal_stride > output_stride:
            dilation, stride = dilation * stride, 1
        yield PlacedBlock(
            block=block,
            level=nominal_stride.bit_length() - 1,
            number=number,
            stride=stride,
            dilation=dilation,
            norm=norm,
            padding=padding,
            drop_rate=stochastic_depth * (index + 1) / len(blocks),
        )


def add_blocks(
    features: keras.KerasTensor, placed: Iterable[PlacedBlock], *, level: int = 1
) -> base.Features:
    """Adds blocks; returns the features that `official.backbones.base` names.

    Args:
        level: Of the features given.
    """
    taps = {f"C{level}": features}
    for item in placed:
        key = f"C{item.level}"
        new = item.block(features, item)
        features = taps[key] = new["output"]
        if item.number == 1 and "expand" in new:
            taps[f"{key}_expand"] = new["expand"]
        if "depthwise" in new:
            taps[f"{key}_depthwise"] = new["depthwise"]
    return taps


def embedding(
    features: keras.KerasTensor,
    filters: int = 0,
    *,
    activation: str | None = None,
    norm: Norm | None = None,
) -> keras.KerasTensor:
    """Adds global pooling and, if `filters`, a 1x1 convolution; gives `[B, 1, 1, C]`.

    Args:
        activation: After the convolution.
        norm: After the convolution, which without it has a bias.
    """
    pooled = keras.layers.GlobalAveragePooling2D(keepdims=True, name="embedding_pool")(
        features
    )
    if not filters:
        return pooled
    return conv_norm(
        pooled, filters, norm=norm, activation=activation, name="embedding"
    )


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
) -> keras.KerasTensor:
    """Adds convolution, norm (if None, a bias) and (unless None) activation."""
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
    return _finished(features, norm=norm, activation=activation, name=name)


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
    features = keras.layers.DepthwiseConv2D(
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
) -> keras.KerasTensor:
    if norm is not None:
        features = norm(features, f"{name}_norm")
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
