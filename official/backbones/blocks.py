"""What mobile networks are built of.

Layers are named `{level}_{block}_{role}`: `C4_block2_expand_conv`. Roles of an inverted
residual, in order: expand, depthwise, squeeze_excite, project, add.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import keras

from official.backbones import base
from official.layers import batch_norm, hard_swish

OUTPUT_STRIDES = (8, 16, 32)


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Block:
    """An inverted residual.

    Sandler et al., 2018, https://arxiv.org/abs/1801.04381, section 3.4.

    Attributes:
        kernel: Side of the depthwise kernel.
        stride: Of the depthwise convolution.
        expanded: Channels between expansion and projection; if they are those of the
            input, there is no expansion.
        filters: Channels of the output.
        activation: "relu", "relu6" or "hard_swish".
        squeezed: Channels inside squeeze-and-excite; 0 leaves it out.
    """

    kernel: int
    stride: int
    expanded: int
    filters: int
    activation: str
    squeezed: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlacedBlock:
    """A block in a network.

    Attributes:
        level: From 1 to 5.
        number: Within the level, from 1.
        stride: Of the depthwise convolution at the network's output stride.
        dilation: Of the depthwise convolution.
    """

    block: Block
    level: int
    number: int
    stride: int
    dilation: int

    @property
    def name(self) -> str:
        return f"C{self.level}_block{self.number}"


def make_divisible(value: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `value`, at least 0.9 times it.

    The rounding of widths in all MobileNet code.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def place(blocks: Sequence[Block], output_stride: int) -> Iterator[PlacedBlock]:
    """Names the blocks after a stem of stride 2 and trades strides for dilation.

    A level is named by the stride that its blocks have at output stride 32. Once the
    output stride is reached, a stride of 2 doubles the dilation instead, beginning with
    the block that loses its stride (as in torchvision and in TF Model Garden).
    """
    nominal_stride, number, dilation = 2, 0, 1
    for block in blocks:
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
        )


def add_blocks(
    features: keras.KerasTensor, placed: Iterable[PlacedBlock], *, norm: Norm
) -> base.Features:
    """Adds blocks; returns the features that `official.backbones.base` names."""
    taps = {"C1": features}
    for item in placed:
        level = f"C{item.level}"
        new = inverted_residual(features, item, norm=norm)
        features = taps[level] = new.pop("output")
        if item.number == 1 and "expand" in new:
            taps[f"{level}_expand"] = new["expand"]
        taps[f"{level}_depthwise"] = new["depthwise"]
    return taps


def inverted_residual(
    inputs: keras.KerasTensor, placed: PlacedBlock, *, norm: Norm
) -> base.Features:
    """Adds one block; returns "output", "depthwise" and, if there is one, "expand"."""
    block, name = placed.block, placed.name
    taps = {}
    features = inputs
    if block.expanded != inputs.shape[-1]:
        features = taps["expand"] = conv_norm(
            inputs,
            block.expanded,
            norm=norm,
            activation=block.activation,
            name=f"{name}_expand",
        )
    features = taps["depthwise"] = _depthwise(features, placed, norm=norm)
    if block.squeezed:
        features = squeeze_excite(
            features, block.squeezed, name=f"{name}_squeeze_excite"
        )
    features = conv_norm(features, block.filters, norm=norm, name=f"{name}_project")
    # By the block's own stride: a block that lost it to dilation stays without a
    # shortcut, so that weights mean the same at every output stride.
    if block.stride == 1 and block.filters == inputs.shape[-1]:
        features = keras.layers.Add(name=f"{name}_add")([inputs, features])
    return taps | {"output": features}


def conv_norm(
    features: keras.KerasTensor,
    filters: int,
    *,
    norm: Norm,
    name: str,
    kernel: int = 1,
    stride: int = 1,
    activation: str | None = None,
) -> keras.KerasTensor:
    """Adds convolution, norm and (unless None) activation."""
    features = keras.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=kernel_initializer(),
        name=f"{name}_conv",
    )(features)
    features = norm(features, f"{name}_norm")
    if activation is None:
        return features
    return activation_layer(activation, f"{name}_activation")(features)


def _depthwise(
    features: keras.KerasTensor, placed: PlacedBlock, *, norm: Norm
) -> keras.KerasTensor:
    features = keras.layers.DepthwiseConv2D(
        placed.block.kernel,
        strides=placed.stride,
        dilation_rate=placed.dilation,
        padding="same",
        use_bias=False,
        depthwise_initializer=kernel_initializer(),
        name=f"{placed.name}_depthwise_conv",
    )(features)
    features = norm(features, f"{placed.name}_depthwise_norm")
    name = f"{placed.name}_depthwise_activation"
    return activation_layer(placed.block.activation, name)(features)


def squeeze_excite(
    features: keras.KerasTensor, squeezed: int, *, name: str
) -> keras.KerasTensor:
    """Multiplies each channel by a gate made of the means of all channels.

    Hu et al., 2017, https://arxiv.org/abs/1709.01507, with the hard-sigmoid gate of
    MobileNetV3 (https://arxiv.org/abs/1905.02244, section 5.3).
    """
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(
        features
    )
    gate = keras.layers.Conv2D(
        squeezed,
        1,
        kernel_initializer=kernel_initializer(),
        name=f"{name}_reduce_conv",
    )(gate)
    gate = activation_layer("relu", f"{name}_reduce_activation")(gate)
    gate = keras.layers.Conv2D(
        features.shape[-1],
        1,
        kernel_initializer=kernel_initializer(),
        name=f"{name}_expand_conv",
    )(gate)
    gate = hard_swish.HardSigmoid(name=f"{name}_gate")(gate)
    return keras.layers.Multiply(name=f"{name}_multiply")([features, gate])


def activation_layer(kind: str, name: str) -> keras.layers.Layer:
    """The layer of an activation by name: "relu", "relu6" or "hard_swish"."""
    if kind == "hard_swish":
        return hard_swish.HardSwish(name=name)
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
