"""MobileNetV3."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import keras

from official.backbones import base, blocks, convolutions, fields, tables, trunk


class Row(NamedTuple):
    """A row of Table 1 or 2, in the paper's columns; one row a block.

    Attributes:
        kernel: Side of the depthwise kernel.
        expanded: "exp size", channels of the expansion at width 1.
        filters: "#out", channels of the output at width 1.
        squeeze_excite: "SE".
        activation: "NL".
        stride: "s".
    """

    kernel: int
    expanded: int
    filters: int
    squeeze_excite: bool
    activation: str
    stride: int


# The words of the paper's tables.
SE, NO = True, False
RE, HS = "relu", "hard_swish"

LARGE = (
    #   k  exp  out  SE  NL  s
    Row(3, 16, 16, NO, RE, 1),
    Row(3, 64, 24, NO, RE, 2),
    Row(3, 72, 24, NO, RE, 1),
    Row(5, 72, 40, SE, RE, 2),
    Row(5, 120, 40, SE, RE, 1),
    Row(5, 120, 40, SE, RE, 1),
    Row(3, 240, 80, NO, HS, 2),
    Row(3, 200, 80, NO, HS, 1),
    Row(3, 184, 80, NO, HS, 1),
    Row(3, 184, 80, NO, HS, 1),
    Row(3, 480, 112, SE, HS, 1),
    Row(3, 672, 112, SE, HS, 1),
    Row(5, 672, 160, SE, HS, 2),
    Row(5, 960, 160, SE, HS, 1),
    Row(5, 960, 160, SE, HS, 1),
)
SMALL = (
    #   k  exp  out  SE  NL  s
    Row(3, 16, 16, SE, RE, 2),
    Row(3, 72, 24, NO, RE, 2),
    Row(3, 88, 24, NO, RE, 1),
    Row(5, 96, 40, SE, HS, 2),
    Row(5, 240, 40, SE, HS, 1),
    Row(5, 240, 40, SE, HS, 1),
    Row(5, 120, 48, SE, HS, 1),
    Row(5, 144, 48, SE, HS, 1),
    Row(5, 288, 96, SE, HS, 2),
    Row(5, 576, 96, SE, HS, 1),
    Row(5, 576, 96, SE, HS, 1),
)
TABLES = {"large": LARGE, "small": SMALL}
STEM_FILTERS = 16
LAST_EXPAND = 6
EMBEDDING = {"large": 1280, "small": 1024}
SQUEEZE = 0.25


def inverted_residuals(
    rows: Iterable[Row], channels: int, *, width: Callable[[int], int]
) -> tuple[blocks.InvertedResidual, ...]:
    """The blocks of a table.

    Args:
        channels: Of the stem's output.
        width: Makes an output's channels of those in the table.
    """
    built = []
    nominal_channels = STEM_FILTERS
    for row in rows:
        expanded = tables.make_divisible(channels * row.expanded / nominal_channels)
        squeezed = tables.make_divisible(expanded * SQUEEZE)
        block = blocks.InvertedResidual(
            kernel=row.kernel,
            stride=row.stride,
            expanded=expanded,
            filters=width(row.filters),
            activation=row.activation,
            squeezed=squeezed if row.squeeze_excite else 0,
        )
        built.append(block)
        channels, nominal_channels = block.filters, row.filters
    return tuple(built)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MobileNetV3(base.Backbone):
    """MobileNetV3.

    Howard et al., 2019, https://arxiv.org/abs/1905.02244, Tables 1 and 2. Widths are
    rounded as in `keras.applications`, whose weights fit: the stem keeps 16 channels at
    every width, and an expansion is the table's ratio to the width of its input.

    Besides the features of every backbone there is "C5_project", the output of the
    last block, before the last 1x1 convolution.

    Attributes:
        variant: "large" or "small".
        minimalistic: Without squeeze-and-excite, hard-swish and 5x5 kernels.
        width_multiplier: Factor of all widths but the stem's.
        output_stride: 8, 16 or 32. Levels beyond it keep its stride and are dilated.
        reduced_tail: Half the channels in the blocks of the last level and in the last
            convolution, for segmentation and detection (sections 6.3 and 6.4, "RF2").
            True: in the expansions too, which with LR-ASPP gives the parameters of the
            paper's Table 7. "outputs": the expansion of the level's first block, whose
            input is not reduced, keeps its channels, as in the detectors of
            TensorFlow's Object Detection API and of torchvision.
        activation: Stands for both non-linearities of the table; "relu6" suits
            accelerators without hard-swish. None keeps the table's.
        padding: One of `convolutions.PADDINGS`.
        stochastic_depth: Drop rate of the last block in training.
        norm: Batch normalization.
    """

    variant: str = "large"
    minimalistic: bool = False
    width_multiplier: float = 1.0
    output_stride: int = 32
    reduced_tail: bool | Literal["outputs"] = False
    activation: str | None = None
    padding: str = "same"
    stochastic_depth: float = 0.0
    norm: convolutions.Norm = convolutions.Norm()

    def __post_init__(self) -> None:
        trunk.check(self)
        fields.check_choice(self, "variant", tuple(TABLES))
        fields.check_choice(self, "reduced_tail", (False, True, "outputs"))
        fields.check_choice(self, "activation", (None, *convolutions.ACTIVATIONS))

    def __call__(self, images: keras.KerasTensor) -> base.Features:
        residuals = self.inverted_residuals()
        # Below width 1 the convolution after pooling keeps its channels.
        embedding = EMBEDDING[self.variant] * max(1.0, self.width_multiplier)
        return trunk.Trunk(
            stem_filters=STEM_FILTERS,
            body=residuals,
            last_filters=tables.make_divisible(LAST_EXPAND * residuals[-1].filters),
            embedding_filters=tables.make_divisible(embedding),
            activation=self._activation(HS),
            norm=self.norm,
            output_stride=self.output_stride,
            padding=self.padding,
            stochastic_depth=self.stochastic_depth,
        )(images)

    def inverted_residuals(self) -> tuple[blocks.InvertedResidual, ...]:
        """The blocks, with their widths."""
        return inverted_residuals(self._rows(), STEM_FILTERS, width=self._width)

    def _rows(self) -> tuple[Row, ...]:
        rows = [
            row._replace(activation=self._activation(row.activation))
            for row in TABLES[self.variant]
        ]
        if self.minimalistic:
            rows = [row._replace(kernel=3, squeeze_excite=NO) for row in rows]
        if self.reduced_tail:
            tail = max(number for number, row in enumerate(rows) if row.stride == 2)
            kept = rows[tail].expanded
            rows[tail:] = [
                row._replace(expanded=row.expanded // 2, filters=row.filters // 2)
                for row in rows[tail:]
            ]
            if self.reduced_tail == "outputs":
                rows[tail] = rows[tail]._replace(expanded=kept)
        return tuple(rows)

    def _width(self, filters: int) -> int:
        return tables.make_divisible(filters * self.width_multiplier)

    def _activation(self, activation: str) -> str:
        if self.activation is not None:
            return self.activation
        return RE if self.minimalistic else activation
