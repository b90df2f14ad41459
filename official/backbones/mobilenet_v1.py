"""MobileNetV1."""

import dataclasses
from typing import NamedTuple

import keras

from official.backbones import base, blocks, convolutions, fields, tables, trunk


class Row(NamedTuple):
    """A pair of rows of Table 1: "Conv dw" and the 1x1 convolution after it.

    Attributes:
        filters: Channels of the output at width 1.
        repeats: Number of pairs.
        stride: Of the first of them.
    """

    filters: int
    repeats: int
    stride: int


STEM_FILTERS = 32
ROWS = (
    #    c  n  s
    Row(64, 1, 1),
    Row(128, 2, 2),
    Row(256, 2, 2),
    Row(512, 6, 2),
    Row(1024, 2, 2),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DepthwiseSeparable:
    """A depthwise convolution and a 1x1 convolution, each with norm and activation.

    Howard et al., 2017, https://arxiv.org/abs/1704.04861, section 3.2 and Figure 3.
    The 1x1 convolution has the role "project", though it is not linear here.

    Attributes:
        kernel: Side of the depthwise kernel.
        stride: Of the depthwise convolution.
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
        depthwise = convolutions.depthwise_norm(
            inputs,
            self.kernel,
            norm=placed.norm,
            activation=self.activation,
            name=f"{placed.name}_depthwise",
            stride=placed.stride,
            dilation=placed.dilation,
            padding=placed.padding,
        )
        output = convolutions.conv_norm(
            depthwise,
            self.filters,
            norm=placed.norm,
            activation=self.activation,
            name=f"{placed.name}_project",
        )
        return {"depthwise": depthwise, "output": output}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MobileNetV1(base.Backbone):
    """MobileNetV1.

    Howard et al., 2017, https://arxiv.org/abs/1704.04861, Table 1. The table gives the
    last depthwise convolution a stride of 2 and an output as large as its input; it
    has stride 1 here, as in every implementation. Widths are cut to whole numbers, as
    in `keras.applications`, whose weights fit; timm rounds them to multiples of 8,
    which at widths 1 and 1.25 is the same.

    There are no expansions, thus no "C{k}_expand", and no residuals.

    Attributes:
        width_multiplier: Factor of all widths.
        activation: "relu6", or "relu" as in the TinyML person detector.
        output_stride: 8, 16 or 32. Levels beyond it keep its stride and are dilated.
        padding: One of `convolutions.PADDINGS`.
        norm: Batch normalization.
    """

    width_multiplier: float = 1.0
    activation: str = "relu6"
    output_stride: int = 32
    padding: str = "same"
    norm: convolutions.Norm = convolutions.Norm()

    def __post_init__(self) -> None:
        fields.check_positive(self, "width_multiplier")
        if int(STEM_FILTERS * self.width_multiplier) < 1:
            raise ValueError(
                f"MobileNetV1.width_multiplier = {self.width_multiplier!r}: must be at "
                f"least {1 / STEM_FILTERS}, which leaves the stem one channel"
            )
        fields.check_choice(self, "activation", convolutions.RELUS)
        fields.check_choice(self, "output_stride", trunk.OUTPUT_STRIDES)
        fields.check_choice(self, "padding", convolutions.PADDINGS)

    def __call__(self, images: keras.KerasTensor) -> base.Features:
        return trunk.Trunk(
            stem_filters=int(STEM_FILTERS * self.width_multiplier),
            body=self.separables(),
            activation=self.activation,
            norm=self.norm,
            output_stride=self.output_stride,
            padding=self.padding,
        )(images)

    def separables(self) -> tuple[DepthwiseSeparable, ...]:
        """The blocks, with their widths."""
        return tuple(
            DepthwiseSeparable(
                kernel=3,
                stride=row.stride,
                filters=int(row.filters * self.width_multiplier),
                activation=self.activation,
            )
            for row in tables.one_a_block(ROWS)
        )
