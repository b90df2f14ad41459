"""The blocks that MobileNetV4 brought."""

import dataclasses

import keras

from official.backbones import base, blocks, convolutions
from official.layers import attention, layer_scale


@dataclasses.dataclass(frozen=True, kw_only=True)
class Convolution:
    """A convolution with norm and activation, where others have a block.

    Attributes:
        kernel: Its side.
        stride: Its stride.
        filters: Channels of the output.
        activation: One of `convolutions.ACTIVATIONS`.
    """

    kernel: int
    stride: int
    filters: int
    activation: str

    def __call__(
        self, inputs: keras.KerasTensor, placed: blocks.PlacedBlock
    ) -> base.Features:
        features = convolutions.conv_norm(
            inputs,
            self.filters,
            norm=placed.norm,
            name=placed.name,
            kernel=self.kernel,
            stride=placed.stride,
            dilation=placed.dilation,
            padding=placed.padding,
            activation=self.activation,
        )
        return {"output": features}


@dataclasses.dataclass(frozen=True, kw_only=True)
class UniversalInvertedBottleneck:
    """Expansion and projection, each with or without a depthwise convolution before it.

    Qin et al., 2024, https://arxiv.org/abs/2404.10518, section 3: with both ExtraDW,
    with the middle one an inverted bottleneck, with that at the start ConvNext-like,
    with none FFN.

    Attributes:
        start: Side of the depthwise kernel before the expansion, which has a norm but
            no activation; 0 leaves it out.
        middle: Side of the one before the projection; 0 leaves it out.
        stride: Of the middle one or, without it, of that at the start.
        expanded: Channels between expansion and projection.
        filters: Channels of the output.
        activation: One of `convolutions.ACTIVATIONS`.
        scaled: Trained factors for the channels of the output, before the shortcut.
    """

    start: int
    middle: int
    stride: int
    expanded: int
    filters: int
    activation: str
    scaled: bool = False

    def __call__(
        self, inputs: keras.KerasTensor, placed: blocks.PlacedBlock
    ) -> base.Features:
        name, norm = placed.name, placed.norm
        taps = {}
        features = inputs
        if self.start:
            features = self._depthwise(features, "start", placed)
        features = convolutions.conv_norm(
            features,
            self.expanded,
            norm=norm,
            activation=self.activation,
            name=f"{name}_expand",
        )
        if self.middle:
            taps["expand"] = features
            features = taps["depthwise"] = self._depthwise(
                features, "depthwise", placed
            )
        features = convolutions.conv_norm(
            features, self.filters, norm=norm, name=f"{name}_project"
        )
        return taps | {
            "output": _joined(inputs, features, placed=placed, scaled=self.scaled)
        }

    def _depthwise(
        self, features: keras.KerasTensor, role: str, placed: blocks.PlacedBlock
    ) -> keras.KerasTensor:
        middle = role == "depthwise"
        return convolutions.depthwise_norm(
            features,
            self.middle if middle else self.start,
            norm=placed.norm,
            name=f"{placed.name}_{role}",
            stride=placed.stride if middle or not self.middle else 1,
            dilation=placed.dilation,
            padding=placed.padding,
            activation=self.activation if middle else None,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MobileAttention:
    """Mobile MQA: a residual block of multi-query attention.

    Qin et al., 2024, https://arxiv.org/abs/2404.10518, section 4. The 3x3 convolutions
    that thin out keys and values keep their stride at every output stride of a network.

    Attributes:
        heads: Number of queries at each place.
        channels: Of each query, key and value.
        key_value_stride: Keys and values are taken at every n-th row and column; 1
            leaves out the depthwise convolutions.
        scaled: Trained factors for the channels of the output, before the shortcut.
    """

    heads: int
    channels: int
    key_value_stride: int
    scaled: bool = False

    @property
    def stride(self) -> int:
        return 1

    def __call__(
        self, inputs: keras.KerasTensor, placed: blocks.PlacedBlock
    ) -> base.Features:
        name = placed.name
        features = placed.norm(inputs, f"{name}_input_norm")
        attended = attention.MultiQueryAttention(name=f"{name}_attention")(
            _projection(features, self.heads * self.channels, name=f"{name}_query"),
            self._thinned(features, f"{name}_key", placed),
            self._thinned(features, f"{name}_value", placed),
        )
        features = _projection(attended, inputs.shape[-1], name=f"{name}_project")
        return {"output": _joined(inputs, features, placed=placed, scaled=self.scaled)}

    def _thinned(
        self, features: keras.KerasTensor, name: str, placed: blocks.PlacedBlock
    ) -> keras.KerasTensor:
        if self.key_value_stride > 1:
            features = convolutions.depthwise_norm(
                features,
                3,
                norm=placed.norm,
                name=f"{name}_down",
                stride=self.key_value_stride,
                padding=placed.padding,
            )
        return _projection(features, self.channels, name=name)


def _projection(
    features: keras.KerasTensor, filters: int, *, name: str
) -> keras.KerasTensor:
    # With Keras's initializer (Glorot): the variance of the logits stays near 1.
    return keras.layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_conv")(
        features
    )


def _joined(
    inputs: keras.KerasTensor,
    outputs: keras.KerasTensor,
    *,
    placed: blocks.PlacedBlock,
    scaled: bool,
) -> keras.KerasTensor:
    """The end of a residual block."""
    if scaled:
        # The published networks start at 1e-5 everywhere. Where there is no shortcut,
        # that is all that is left of the signal: "hybrid_medium" at width 0.25 on
        # 64x64 gratings of 8 kinds is at a loss of 0.76 after 150 steps of AdamW, and
        # so at 0.16.
        initial = 1e-5 if placed.has_shortcut(inputs, outputs) else 1.0
        outputs = layer_scale.LayerScale(
            initial=initial, name=f"{placed.name}_layer_scale"
        )(outputs)
    return placed.add_shortcut(inputs, outputs)
