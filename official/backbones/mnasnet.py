"""MnasNet."""

import dataclasses
from typing import NamedTuple

import keras

from official.backbones import base, blocks, convolutions, fields, tables, trunk


class Row(NamedTuple):
    """A row of Figure 7.

    Attributes:
        expand: Of "MBConv3" or "MBConv6": channels of the expansion by channels of the
            input; 1 for "SepConv".
        kernel: Side of the depthwise kernel.
        squeeze_excite: "SE".
        filters: Channels of the output at width 1.
        repeats: Number of blocks.
        stride: Of the first of them.
        residual: Add the input where the shapes allow it.
    """

    expand: int
    kernel: int
    squeeze_excite: bool
    filters: int
    repeats: int
    stride: int
    residual: bool = True


# The words of the figure.
SE, NO = True, False

A1 = (
    #   t  k  SE    c  n  s
    Row(1, 3, NO, 16, 1, 1, residual=False),
    Row(6, 3, NO, 24, 2, 2),
    Row(3, 5, SE, 40, 3, 2),
    Row(6, 3, NO, 80, 4, 2),
    Row(6, 3, SE, 112, 2, 1),
    Row(6, 5, SE, 160, 3, 2),
    Row(6, 3, NO, 320, 1, 1),
)
B1 = (
    #   t  k  SE    c  n  s
    Row(1, 3, NO, 16, 1, 1, residual=False),
    Row(3, 3, NO, 24, 3, 2),
    Row(3, 5, NO, 40, 3, 2),
    Row(6, 5, NO, 80, 3, 2),
    Row(6, 3, NO, 96, 2, 1),
    Row(6, 5, NO, 192, 4, 2),
    Row(6, 3, NO, 320, 1, 1, residual=False),
)
SMALL = (
    #   t  k  SE    c  n  s
    Row(1, 3, NO, 8, 1, 1),
    Row(3, 3, NO, 16, 1, 2),
    Row(6, 3, NO, 16, 2, 2),
    Row(6, 5, SE, 32, 4, 2),
    Row(6, 3, SE, 32, 3, 1),
    Row(6, 5, SE, 88, 3, 2),
    Row(6, 3, NO, 144, 1, 1),
)
TABLES = {"a1": A1, "b1": B1, "small": SMALL}
STEM_FILTERS = {"a1": 32, "b1": 32, "small": 8}
LAST_FILTERS = 1280


@dataclasses.dataclass(frozen=True, kw_only=True)
class MnasNet(base.Backbone):
    """MnasNet.

    Tan et al., 2018, https://arxiv.org/abs/1807.11626: A1 is Figure 7; B1 (without
    squeeze-and-excite) and Small are in the paper by their results alone, their tables
    are those of the authors' code, as in timm. The weights of timm fit
    (`semnasnet_100` is A1, `mnasnet_100` is B1, `mnasnet_small`), and those of
    torchvision's `mnasnet*`, which is B1. All round widths to multiples of 8 alike;
    torchvision's first checkpoint of width 0.5 kept stem and first block at 32 and 16
    channels.

    Squeeze-and-excite has the logistic sigmoid, and a quarter of the channels of the
    block's input (not of the expansion, as in MobileNetV3).

    Besides the features of every backbone there is "C5_project", the output of the
    last block, before the last 1x1 convolution.

    Attributes:
        variant: "a1", "b1" or "small".
        width_multiplier: Factor of all widths but the 1280 of the last convolution.
        activation: "relu", or "relu6" for accelerators that want bounded values.
        output_stride: 8, 16 or 32. Levels beyond it keep its stride and are dilated.
        padding: One of `convolutions.PADDINGS`.
        stochastic_depth: Drop rate of the last block in training.
        norm: Batch normalization.
    """

    variant: str = "a1"
    width_multiplier: float = 1.0
    activation: str = "relu"
    output_stride: int = 32
    padding: str = "same"
    stochastic_depth: float = 0.0
    norm: convolutions.Norm = convolutions.Norm()

    def __post_init__(self) -> None:
        trunk.check(self)
        fields.check_choice(self, "variant", tuple(TABLES))
        fields.check_choice(self, "activation", convolutions.RELUS)

    def __call__(self, images: keras.KerasTensor) -> base.Features:
        return trunk.Trunk(
            stem_filters=self._width(STEM_FILTERS[self.variant]),
            body=self.inverted_residuals(),
            last_filters=LAST_FILTERS,
            activation=self.activation,
            norm=self.norm,
            output_stride=self.output_stride,
            padding=self.padding,
            stochastic_depth=self.stochastic_depth,
        )(images)

    def inverted_residuals(self) -> tuple[blocks.InvertedResidual, ...]:
        """The blocks, with their widths."""
        built = []
        channels = self._width(STEM_FILTERS[self.variant])
        for row in tables.one_a_block(TABLES[self.variant]):
            block = blocks.InvertedResidual(
                kernel=row.kernel,
                stride=row.stride,
                expanded=row.expand * channels,
                filters=self._width(row.filters),
                activation=self.activation,
                squeezed=channels // 4 if row.squeeze_excite else 0,
                gate="sigmoid",
                residual=row.residual,
            )
            built.append(block)
            channels = block.filters
        return tuple(built)

    def _width(self, filters: int) -> int:
        return tables.make_divisible(filters * self.width_multiplier)
