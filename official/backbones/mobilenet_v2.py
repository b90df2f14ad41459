"""MobileNetV2."""

import dataclasses
from typing import NamedTuple

import keras

from official.backbones import base, blocks


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
        norm: Batch normalization.
    """

    width_multiplier: float = 1.0
    output_stride: int = 32
    norm: blocks.Norm = blocks.Norm()

    def __post_init__(self) -> None:
        blocks.check_positive(self, "width_multiplier")
        blocks.check_choice(self, "output_stride", blocks.OUTPUT_STRIDES)

    def __call__(self, images: keras.KerasTensor) -> base.Features:
        stem = blocks.conv_norm(
            images,
            self._stem_filters(),
            kernel=3,
            stride=2,
            norm=self.norm,
            activation="relu6",
            name="stem",
        )
        placed = blocks.place(self.inverted_residuals(), self.output_stride)
        features = blocks.add_blocks(stem, placed, norm=self.norm)
        features["C5_project"] = features["C5"]
        features["C5"] = blocks.conv_norm(
            features["C5"],
            blocks.make_divisible(LAST_FILTERS * max(1.0, self.width_multiplier)),
            norm=self.norm,
            activation="relu6",
            name="last",
        )
        return features

    def inverted_residuals(self) -> tuple[blocks.Block, ...]:
        """The blocks, with their widths."""
        built = []
        channels = self._stem_filters()
        for row in ROWS:
            filters = blocks.make_divisible(int(row.filters * self.width_multiplier))
            for number in range(row.repeats):
                block = blocks.Block(
                    kernel=3,
                    stride=row.stride if number == 0 else 1,
                    expanded=row.expand * channels,
                    filters=filters,
                    activation="relu6",
                )
                built.append(block)
                channels = filters
        return tuple(built)

    def _stem_filters(self) -> int:
        return blocks.make_divisible(STEM_FILTERS * self.width_multiplier)
