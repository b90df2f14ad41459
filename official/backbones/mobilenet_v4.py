"""MobileNetV4."""

import dataclasses

import keras

from official.backbones import (
    base,
    blocks,
    convolutions,
    fields,
    tables,
    trunk,
)
from official.backbones import mobilenet_v4_blocks as v4_blocks
from official.backbones import mobilenet_v4_tables as v4_tables

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
        padding: One of `convolutions.PADDINGS`.
        stochastic_depth: Drop rate of the last block in training.
        norm: Batch normalization.
    """

    variant: str = "conv_small"
    width_multiplier: float = 1.0
    output_stride: int = 32
    activation: str | None = None
    padding: str = "same"
    stochastic_depth: float = 0.0
    norm: convolutions.Norm = convolutions.Norm()

    def __post_init__(self) -> None:
        trunk.check(self)
        fields.check_choice(self, "variant", tuple(v4_tables.TABLES))
        fields.check_choice(self, "activation", (None, *convolutions.ACTIVATIONS))

    def __call__(self, images: keras.KerasTensor) -> base.Features:
        embedding_width = max(1.0, self.width_multiplier)
        return trunk.Trunk(
            stem_filters=self._stem_filters(),
            body=self.body(),
            last_filters=self._width(self._table().last),
            embedding_filters=tables.make_divisible(EMBEDDING * embedding_width),
            embedding_norm=self.norm,
            activation=self._activation(),
            norm=self.norm,
            output_stride=self.output_stride,
            padding=self.padding,
            stochastic_depth=self.stochastic_depth,
        )(images)

    def body(self) -> tuple[blocks.Block, ...]:
        """The blocks, with their widths."""
        built = []
        channels, nominal_channels = self._stem_filters(), self._table().stem
        for row in self._table().rows:
            built.append(self._block(row, channels / nominal_channels))
            channels, nominal_channels = self._width(row.filters), row.filters
        return tuple(built)

    def _block(self, row: v4_tables.Row, width: float) -> blocks.Block:
        """A block whose input has `width` times the channels of the table."""
        activation, scaled = self._activation(), self._table().scaled
        match row:
            case v4_tables.Conv():
                return v4_blocks.Convolution(
                    kernel=row.kernel,
                    stride=row.stride,
                    filters=self._width(row.filters),
                    activation=activation,
                )
            case v4_tables.Fused():
                return blocks.FusedInvertedResidual(
                    kernel=row.kernel,
                    stride=row.stride,
                    expanded=tables.make_divisible(row.expanded * width),
                    filters=self._width(row.filters),
                    activation=activation,
                )
            case v4_tables.UIB():
                return v4_blocks.UniversalInvertedBottleneck(
                    start=row.start,
                    middle=row.middle,
                    stride=row.stride,
                    expanded=tables.make_divisible(row.expanded * width),
                    filters=self._width(row.filters),
                    activation=activation,
                    scaled=scaled,
                )
            case v4_tables.MQA():
                return v4_blocks.MobileAttention(
                    heads=row.heads,
                    channels=row.channels,
                    key_value_stride=row.key_value_stride,
                    scaled=scaled,
                )

    def _stem_filters(self) -> int:
        width = max(1.0, self.width_multiplier)
        return tables.make_divisible(self._table().stem * width)

    def _activation(self) -> str:
        return self.activation or self._table().activation

    def _width(self, filters: int) -> int:
        return tables.make_divisible(filters * self.width_multiplier)

    def _table(self) -> v4_tables.Table:
        return v4_tables.TABLES[self.variant]
