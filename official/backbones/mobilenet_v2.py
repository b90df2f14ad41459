"""MobileNetV2."""

import dataclasses
from typing import NamedTuple

import keras

from official.backbones import base, blocks, convolutions, fields, tables, trunk


class Row(NamedTuple):
    """A row of Table 2, in the paper's columns.

    Attributes:
        expand: t, channels of the expansion by channels of the input.
        filters: c, channels of the output at width 1.
        repeats: n, number of blocks.
        stride: s, of the first of them.
    """

    expand: int
    filters: int
    repeats: int
    stride: int


STEM_FILTERS = 32
LAST_FILTERS = 1280
ROWS = (
    #   t    c  n  s
    Row(1, 16, 1, 1),
    Row(6, 24, 2, 2),
    Row(6, 32, 3, 2),
    Row(6, 64, 4, 2),
    Row(6, 96, 3, 1),
    Row(6, 160, 3, 2),
    Row(6, 320, 1, 1),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MobileNetV2(base.Backbone):
    """MobileNetV2.

    Sandler et al., 2018, https://arxiv.org/abs/1801.04381, Table 2. Widths are rounded
    as in `keras.applications`, whose weights fit.

    Besides the features of every backbone there is "C5_project", the output of the
    last block, before the last 1x1 convolution. The paper's segmentation networks
    (section 6.3) tap it; the convolution is then not part of the network.

    Attributes:
        width_multiplier: Factor of all widths; below 1 the last convolution keeps
            its 1280 channels.
        output_stride: 8, 16 or 32. Levels beyond it keep its stride and are dilated.
        stem_stride: 1 suits images of 32 pixels or so: every feature then has half the
            stride that its name says.
        padding: One of `convolutions.PADDINGS`.
        stochastic_depth: Drop rate of the last block in training.
        norm: Batch normalization.
    """

    width_multiplier: float = 1.0
    output_stride: int = 32
    stem_stride: int = 2
    padding: str = "same"
    stochastic_depth: float = 0.0
    norm: convolutions.Norm = convolutions.Norm()

    def __post_init__(self) -> None:
        trunk.check(self)
        fields.check_choice(self, "stem_stride", (1, 2))

    def __call__(self, images: keras.KerasTensor) -> base.Features:
        last_width = max(1.0, self.width_multiplier)
        return trunk.Trunk(
            stem_filters=self._stem_filters(),
            stem_stride=self.stem_stride,
            body=self.inverted_residuals(),
            last_filters=tables.make_divisible(LAST_FILTERS * last_width),
            activation="relu6",
            norm=self.norm,
            output_stride=self.output_stride,
            padding=self.padding,
            stochastic_depth=self.stochastic_depth,
        )(images)

    def inverted_residuals(self) -> tuple[blocks.InvertedResidual, ...]:
        """The blocks, with their widths."""
        built = []
        channels = self._stem_filters()
        for row in tables.one_a_block(ROWS):
            filters = int(row.filters * self.width_multiplier)
            block = blocks.InvertedResidual(
                kernel=3,
                stride=row.stride,
                expanded=row.expand * channels,
                filters=tables.make_divisible(filters),
                activation="relu6",
            )
            built.append(block)
            channels = block.filters
        return tuple(built)

    def _stem_filters(self) -> int:
        return tables.make_divisible(STEM_FILTERS * self.width_multiplier)
