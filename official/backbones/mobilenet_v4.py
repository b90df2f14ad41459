"""MobileNetV4."""

import dataclasses
from typing import NamedTuple

import keras

from official.backbones import base, blocks
from official.layers import attention, layer_scale


@dataclasses.dataclass(frozen=True, kw_only=True)
class Convolution:
    """A convolution with norm and activation, where others have a block.

    Attributes:
        kernel: Its side.
        stride: Its stride.
        filters: Channels of the output.
        activation: One of `blocks.ACTIVATIONS`.
    """

    kernel: int
    stride: int
    filters: int
    activation: str

    def __call__(
        self, inputs: keras.KerasTensor, placed: blocks.PlacedBlock
    ) -> base.Features:
        features = blocks.conv_norm(
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
        activation: One of `blocks.ACTIVATIONS`.
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
        features = blocks.conv_norm(
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
        features = blocks.conv_norm(
            features, self.filters, norm=norm, name=f"{name}_project"
        )
        return taps | {
            "output": _joined(inputs, features, placed=placed, scaled=self.scaled)
        }

    def _depthwise(
        self, features: keras.KerasTensor, role: str, placed: blocks.PlacedBlock
    ) -> keras.KerasTensor:
        middle = role == "depthwise"
        return blocks.depthwise_norm(
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
            features = blocks.depthwise_norm(
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


class Conv(NamedTuple):
    """A row "Conv2D": side of the kernel, "Output Dim", "Stride"."""

    kernel: int
    filters: int
    stride: int


class Fused(NamedTuple):
    """A row "FusedIB": side of the kernel, then as in `UIB`."""

    kernel: int
    expanded: int
    filters: int
    stride: int


class UIB(NamedTuple):
    """A row of one of the four forms: "DW K1", "DW K2", "Expanded Dim", "Output Dim",
    "Stride". A 0 is the paper's dash.
    """

    start: int
    middle: int
    expanded: int
    filters: int
    stride: int


class MQA(NamedTuple):
    """A row "Mobile-MQA": heads, their channels, stride of keys and values, and
    "Output Dim".
    """

    heads: int
    channels: int
    key_value_stride: int
    filters: int


class Table(NamedTuple):
    """A network.

    Attributes:
        stem: Channels of the first 3x3 convolution.
        last: Channels of the 1x1 convolution before pooling.
        activation: One of `blocks.ACTIVATIONS`.
        scaled: Layer scale in every block that may have a shortcut.
        rows: The blocks between stem and last convolution, one row a block.
    """

    stem: int
    last: int
    activation: str
    scaled: bool
    rows: tuple[Conv | Fused | UIB | MQA, ...]


CONV_SMALL = Table(
    stem=32,
    last=960,
    activation="relu",
    scaled=False,
    rows=(
        Conv(3, 32, 2),
        Conv(1, 32, 1),
        Conv(3, 96, 2),
        Conv(1, 64, 1),
        UIB(5, 5, 192, 96, 2),
        UIB(0, 3, 192, 96, 1),
        UIB(0, 3, 192, 96, 1),
        UIB(0, 3, 192, 96, 1),
        UIB(0, 3, 192, 96, 1),
        UIB(3, 0, 384, 96, 1),
        UIB(3, 3, 576, 128, 2),
        UIB(5, 5, 512, 128, 1),
        UIB(0, 5, 512, 128, 1),
        UIB(0, 5, 384, 128, 1),
        UIB(0, 3, 512, 128, 1),
        UIB(0, 3, 512, 128, 1),
    ),
)
CONV_MEDIUM = Table(
    stem=32,
    last=960,
    activation="relu",
    scaled=False,
    rows=(
        Fused(3, 128, 48, 2),
        UIB(3, 5, 192, 80, 2),
        UIB(3, 3, 160, 80, 1),
        UIB(3, 5, 480, 160, 2),
        UIB(3, 3, 640, 160, 1),
        UIB(3, 3, 640, 160, 1),
        UIB(3, 5, 640, 160, 1),
        UIB(3, 3, 640, 160, 1),
        UIB(3, 0, 640, 160, 1),
        UIB(0, 0, 320, 160, 1),
        UIB(3, 0, 640, 160, 1),
        UIB(5, 5, 960, 256, 2),
        UIB(5, 5, 1024, 256, 1),
        UIB(3, 5, 1024, 256, 1),
        UIB(3, 5, 1024, 256, 1),
        UIB(0, 0, 1024, 256, 1),
        UIB(3, 0, 1024, 256, 1),
        UIB(3, 5, 512, 256, 1),
        UIB(5, 5, 1024, 256, 1),
        UIB(0, 0, 1024, 256, 1),
        UIB(0, 0, 1024, 256, 1),
        UIB(5, 0, 512, 256, 1),
    ),
)
CONV_LARGE = Table(
    stem=24,
    last=960,
    activation="relu",
    scaled=False,
    rows=(
        Fused(3, 96, 48, 2),
        UIB(3, 5, 192, 96, 2),
        UIB(3, 3, 384, 96, 1),
        UIB(3, 5, 384, 192, 2),
        UIB(3, 3, 768, 192, 1),
        UIB(3, 3, 768, 192, 1),
        UIB(3, 3, 768, 192, 1),
        UIB(3, 5, 768, 192, 1),
        UIB(5, 3, 768, 192, 1),
        UIB(5, 3, 768, 192, 1),
        UIB(5, 3, 768, 192, 1),
        UIB(5, 3, 768, 192, 1),
        UIB(5, 3, 768, 192, 1),
        UIB(3, 0, 768, 192, 1),
        UIB(5, 5, 768, 512, 2),
        UIB(5, 5, 2048, 512, 1),
        UIB(5, 5, 2048, 512, 1),
        UIB(5, 5, 2048, 512, 1),
        UIB(5, 0, 2048, 512, 1),
        UIB(5, 3, 2048, 512, 1),
        UIB(5, 0, 2048, 512, 1),
        UIB(5, 0, 2048, 512, 1),
        UIB(5, 3, 2048, 512, 1),
        UIB(5, 5, 2048, 512, 1),
        UIB(5, 0, 2048, 512, 1),
        UIB(5, 0, 2048, 512, 1),
        UIB(5, 0, 2048, 512, 1),
    ),
)
HYBRID_MEDIUM = Table(
    stem=32,
    last=960,
    activation="relu",
    scaled=True,
    rows=(
        Fused(3, 128, 48, 2),
        UIB(3, 5, 192, 80, 2),
        UIB(3, 3, 160, 80, 1),
        UIB(3, 5, 480, 160, 2),
        UIB(0, 0, 320, 160, 1),
        UIB(3, 3, 640, 160, 1),
        UIB(3, 5, 640, 160, 1),
        MQA(4, 64, 2, 160),
        UIB(3, 3, 640, 160, 1),
        MQA(4, 64, 2, 160),
        UIB(3, 0, 640, 160, 1),
        MQA(4, 64, 2, 160),
        UIB(3, 3, 640, 160, 1),
        MQA(4, 64, 2, 160),
        UIB(3, 0, 640, 160, 1),
        UIB(5, 5, 960, 256, 2),
        UIB(5, 5, 1024, 256, 1),
        UIB(3, 5, 1024, 256, 1),
        UIB(3, 5, 1024, 256, 1),
        UIB(0, 0, 512, 256, 1),
        UIB(3, 5, 512, 256, 1),
        UIB(0, 0, 512, 256, 1),
        UIB(0, 0, 1024, 256, 1),
        MQA(4, 64, 1, 256),
        UIB(3, 0, 1024, 256, 1),
        MQA(4, 64, 1, 256),
        UIB(5, 5, 1024, 256, 1),
        MQA(4, 64, 1, 256),
        UIB(5, 0, 1024, 256, 1),
        MQA(4, 64, 1, 256),
        UIB(5, 0, 1024, 256, 1),
    ),
)
HYBRID_LARGE = Table(
    stem=24,
    last=960,
    activation="gelu",
    scaled=True,
    rows=(
        Fused(3, 96, 48, 2),
        UIB(3, 5, 192, 96, 2),
        UIB(3, 3, 384, 96, 1),
        UIB(3, 5, 384, 192, 2),
        UIB(3, 3, 768, 192, 1),
        UIB(3, 3, 768, 192, 1),
        UIB(3, 3, 768, 192, 1),
        UIB(3, 5, 768, 192, 1),
        UIB(5, 3, 768, 192, 1),
        UIB(5, 3, 768, 192, 1),
        MQA(8, 48, 2, 192),
        UIB(5, 3, 768, 192, 1),
        MQA(8, 48, 2, 192),
        UIB(5, 3, 768, 192, 1),
        MQA(8, 48, 2, 192),
        UIB(5, 3, 768, 192, 1),
        MQA(8, 48, 2, 192),
        UIB(3, 0, 768, 192, 1),
        UIB(5, 5, 768, 512, 2),
        UIB(5, 5, 2048, 512, 1),
        UIB(5, 5, 2048, 512, 1),
        UIB(5, 5, 2048, 512, 1),
        UIB(5, 0, 2048, 512, 1),
        UIB(5, 3, 2048, 512, 1),
        UIB(5, 0, 2048, 512, 1),
        UIB(5, 0, 2048, 512, 1),
        UIB(5, 3, 2048, 512, 1),
        UIB(5, 5, 2048, 512, 1),
        MQA(8, 64, 1, 512),
        UIB(5, 0, 2048, 512, 1),
        MQA(8, 64, 1, 512),
        UIB(5, 0, 2048, 512, 1),
        MQA(8, 64, 1, 512),
        UIB(5, 0, 2048, 512, 1),
        MQA(8, 64, 1, 512),
        UIB(5, 0, 2048, 512, 1),
    ),
)
# Not in the paper: TF Model Garden's MobileNetV4ConvMediumSeg.
CONV_MEDIUM_SEG = Table(
    stem=32,
    last=448,
    activation="relu6",
    scaled=False,
    rows=(
        Fused(3, 128, 48, 2),
        UIB(3, 5, 192, 80, 2),
        UIB(3, 3, 160, 80, 1),
        UIB(3, 5, 480, 160, 2),
        UIB(3, 3, 640, 160, 1),
        UIB(3, 3, 640, 160, 1),
        UIB(3, 5, 640, 160, 1),
        UIB(3, 3, 640, 160, 1),
        UIB(3, 0, 640, 160, 1),
        UIB(3, 0, 640, 160, 1),
        UIB(5, 5, 960, 256, 2),
        UIB(5, 5, 1024, 128, 1),
        UIB(3, 5, 512, 128, 1),
        UIB(3, 5, 512, 128, 1),
        UIB(3, 0, 512, 128, 1),
        UIB(3, 5, 256, 128, 1),
        UIB(5, 5, 512, 128, 1),
        UIB(5, 0, 256, 128, 1),
    ),
)
TABLES = {
    "conv_small": CONV_SMALL,
    "conv_medium": CONV_MEDIUM,
    "conv_large": CONV_LARGE,
    "hybrid_medium": HYBRID_MEDIUM,
    "hybrid_large": HYBRID_LARGE,
    "conv_medium_seg": CONV_MEDIUM_SEG,
}
EMBEDDING = 1280


@dataclasses.dataclass(frozen=True, kw_only=True)
class MobileNetV4(base.Backbone):
    """MobileNetV4.

    Qin et al., 2024, https://arxiv.org/abs/2404.10518, Tables 11 to 15, as TF Model
    Garden and timm build them; timm's weights fit, at every width that it has.

    Besides the features of every backbone there is "C5_project", the output of the
    last block, before the last 1x1 convolution. "C{k}_depthwise" is the last middle
    depthwise convolution of a level; "conv_small", whose first levels are plain
    convolutions, has neither that nor "C{k}_expand" below C4.

    Attributes:
        variant: "conv_small", "conv_medium", "conv_large", "hybrid_medium" or
            "hybrid_large" (with attention), or "conv_medium_seg" (a narrower C5).
        width_multiplier: Factor of all widths but those of attention's queries, keys
            and values; below 1 the stem and the convolution after pooling keep theirs.
        output_stride: 8, 16 or 32. Levels beyond it keep its stride and are dilated.
        activation: Stands for that of the table ("relu", "gelu" in "hybrid_large",
            "relu6" in "conv_medium_seg"); "relu6" suits accelerators. None keeps it.
        padding: One of `blocks.PADDINGS`.
        stochastic_depth: Drop rate of the last block in training.
        norm: Batch normalization.
    """

    variant: str = "conv_small"
    width_multiplier: float = 1.0
    output_stride: int = 32
    activation: str | None = None
    padding: str = "same"
    stochastic_depth: float = 0.0
    norm: blocks.Norm = blocks.Norm()

    def __post_init__(self) -> None:
        blocks.check_choice(self, "variant", tuple(TABLES))
        blocks.check_positive(self, "width_multiplier")
        blocks.check_choice(self, "output_stride", blocks.OUTPUT_STRIDES)
        blocks.check_choice(self, "activation", (None, *blocks.ACTIVATIONS))
        blocks.check_choice(self, "padding", blocks.PADDINGS)
        blocks.check_rate(self, "stochastic_depth")

    def __call__(self, images: keras.KerasTensor) -> base.Features:
        stem = blocks.conv_norm(
            images,
            self._stem_filters(),
            kernel=3,
            stride=2,
            norm=self.norm,
            padding=self.padding,
            activation=self._activation(),
            name="stem",
        )
        placed = blocks.place(
            self.body(),
            self.output_stride,
            norm=self.norm,
            padding=self.padding,
            stochastic_depth=self.stochastic_depth,
        )
        features = blocks.add_blocks(stem, placed)
        features["C5_project"] = features["C5"]
        features["C5"] = blocks.conv_norm(
            features["C5"],
            blocks.make_divisible(TABLES[self.variant].last * self.width_multiplier),
            norm=self.norm,
            activation=self._activation(),
            name="last",
        )
        features["embedding"] = blocks.embedding(
            features["C5"],
            blocks.make_divisible(EMBEDDING * max(1.0, self.width_multiplier)),
            activation=self._activation(),
            norm=self.norm,
        )
        return features

    def body(self) -> tuple[blocks.Block, ...]:
        """The blocks, with their widths."""
        built = []
        channels, nominal_channels = self._stem_filters(), TABLES[self.variant].stem
        for row in TABLES[self.variant].rows:
            built.append(self._block(row, channels / nominal_channels))
            channels, nominal_channels = self._filters(row), row.filters
        return tuple(built)

    def _block(self, row: Conv | Fused | UIB | MQA, width: float) -> blocks.Block:
        """A block whose input has `width` times the channels of the table."""
        activation, scaled = self._activation(), TABLES[self.variant].scaled
        match row:
            case Conv():
                return Convolution(
                    kernel=row.kernel,
                    stride=row.stride,
                    filters=self._filters(row),
                    activation=activation,
                )
            case Fused():
                return blocks.FusedInvertedResidual(
                    kernel=row.kernel,
                    stride=row.stride,
                    expanded=blocks.make_divisible(row.expanded * width),
                    filters=self._filters(row),
                    activation=activation,
                )
            case UIB():
                return UniversalInvertedBottleneck(
                    start=row.start,
                    middle=row.middle,
                    stride=row.stride,
                    expanded=blocks.make_divisible(row.expanded * width),
                    filters=self._filters(row),
                    activation=activation,
                    scaled=scaled,
                )
            case MQA():
                return MobileAttention(
                    heads=row.heads,
                    channels=row.channels,
                    key_value_stride=row.key_value_stride,
                    scaled=scaled,
                )

    def _filters(self, row: Conv | Fused | UIB | MQA) -> int:
        return blocks.make_divisible(row.filters * self.width_multiplier)

    def _stem_filters(self) -> int:
        width = max(1.0, self.width_multiplier)
        return blocks.make_divisible(TABLES[self.variant].stem * width)

    def _activation(self) -> str:
        return self.activation or TABLES[self.variant].activation
