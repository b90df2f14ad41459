"""MobileNet-EdgeTPU."""

import dataclasses
from typing import NamedTuple

import keras

from official.backbones import base, blocks, convolutions, fields, tables, trunk


class Row(NamedTuple):
    """Blocks of one kind.

    Attributes:
        fused: The expansion is a full convolution, and there is no depthwise one.
        kernel: Side of the depthwise kernel or, if fused, of the expansion's.
        expand: Channels of the expansion by channels of the input.
        filters: Channels of the output at width 1.
        repeats: Number of blocks.
        stride: Of the first of them.
        residual: Add the input where the shapes allow it.
    """

    fused: bool
    kernel: int
    expand: int
    filters: int
    repeats: int
    stride: int
    residual: bool = True


FUSED, DEPTHWISE = True, False

ROWS = (
    #              k  t    c  n  s
    Row(FUSED, 3, 1, 16, 1, 1),
    Row(FUSED, 3, 8, 32, 1, 2),
    Row(FUSED, 3, 4, 32, 3, 1),
    Row(FUSED, 3, 8, 48, 1, 2),
    Row(FUSED, 3, 4, 48, 3, 1),
    Row(DEPTHWISE, 3, 8, 96, 1, 2),
    Row(DEPTHWISE, 3, 4, 96, 3, 1),
    Row(DEPTHWISE, 3, 8, 96, 1, 1, residual=False),
    Row(DEPTHWISE, 3, 4, 96, 3, 1),
    Row(DEPTHWISE, 5, 8, 160, 1, 2),
    Row(DEPTHWISE, 5, 4, 160, 3, 1),
    Row(DEPTHWISE, 3, 8, 192, 1, 1),
)
STEM_FILTERS = 32
LAST_FILTERS = 1280


@dataclasses.dataclass(frozen=True, kw_only=True)
class MobileNetEdgeTPU(base.Backbone):
    """MobileNet-EdgeTPU, also known as MobileNetV3-EdgeTPU.

    Gupta & Akin, 2020, https://arxiv.org/abs/2003.02838. Blocks with full convolutions
    in the first levels; no squeeze-and-excite, no hard-swish. The table and the
    rounding are those of TensorFlow Model Garden: in the first block nothing expands,
    so that its 3x3 convolution is left out too and a linear 1x1 convolution remains
    (timm puts an activation after it); a block that expands by 8 within a level has no
    residual.

    There are no expansions before a stride in levels 2 and 3 and no depthwise
    convolutions up to level 3, thus no "C2_expand", "C3_expand", "C2_depthwise" and
    "C3_depthwise". Besides the features of every backbone there is "C5_project", the
    output of the last block, before the last 1x1 convolution.

    Attributes:
        width_multiplier: Factor of all widths; below 1 the last convolution keeps its
            1280 channels.
        activation: "relu", or "relu6" for accelerators that want bounded values.
        output_stride: 8, 16 or 32. Levels beyond it keep its stride and are dilated.
        padding: One of `convolutions.PADDINGS`.
        stochastic_depth: Drop rate of the last block in training.
        norm: Batch normalization.
    """

    width_multiplier: float = 1.0
    activation: str = "relu"
    output_stride: int = 32
    padding: str = "same"
    stochastic_depth: float = 0.0
    norm: convolutions.Norm = convolutions.Norm()

    def __post_init__(self) -> None:
        trunk.check(self)
        fields.check_choice(self, "activation", convolutions.RELUS)

    def __call__(self, images: keras.KerasTensor) -> base.Features:
        last_width = max(1.0, self.width_multiplier)
        return trunk.Trunk(
            stem_filters=self._width(STEM_FILTERS),
            body=self.bottlenecks(),
            last_filters=tables.make_divisible(LAST_FILTERS * last_width),
            activation=self.activation,
            norm=self.norm,
            output_stride=self.output_stride,
            padding=self.padding,
            stochastic_depth=self.stochastic_depth,
        )(images)

    def bottlenecks(self) -> tuple[blocks.Block, ...]:
        """The blocks, with their widths."""
        built = []
        channels = self._width(STEM_FILTERS)
        for row in tables.one_a_block(ROWS):
            built.append(self._block(row, channels))
            channels = self._width(row.filters)
        return tuple(built)

    def _block(self, row: Row, channels: int) -> blocks.Block:
        if row.fused:
            return blocks.FusedInvertedResidual(
                kernel=row.kernel,
                stride=row.stride,
                expanded=row.expand * channels if row.expand > 1 else 0,
                filters=self._width(row.filters),
                activation=self.activation,
            )
        return blocks.InvertedResidual(
            kernel=row.kernel,
            stride=row.stride,
            expanded=row.expand * channels,
            filters=self._width(row.filters),
            activation=self.activation,
            residual=row.residual,
        )

    def _width(self, filters: int) -> int:
        return tables.make_divisible(filters * self.width_multiplier)
