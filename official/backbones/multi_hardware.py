"""The multi-hardware MobileNets."""

import dataclasses
from typing import NamedTuple

import keras

from official.backbones import base, blocks, convolutions, fields, tables, trunk


class Row(NamedTuple):
    """A block, in the columns of MobileNetV3's tables.

    Attributes:
        kernel: Side of the depthwise kernel.
        expanded: Channels of the expansion at width 1.
        filters: Channels of the output at width 1.
        stride: Of the depthwise convolution.
    """

    kernel: int
    expanded: int
    filters: int
    stride: int


AVG = (
    #   k  exp  out  s
    Row(3, 96, 32, 2),
    Row(3, 64, 32, 1),
    Row(5, 160, 64, 2),
    Row(3, 192, 64, 1),
    Row(3, 128, 64, 1),
    Row(3, 192, 64, 1),
    Row(5, 384, 128, 2),
    Row(3, 384, 128, 1),
    Row(3, 384, 128, 1),
    Row(3, 384, 128, 1),
    Row(3, 768, 160, 1),
    Row(3, 640, 160, 1),
    Row(3, 960, 192, 2),
    Row(5, 768, 192, 1),
    Row(5, 768, 192, 1),
    Row(5, 768, 192, 1),
)
MAX = (
    #   k  exp  out  s
    Row(3, 96, 32, 2),
    Row(5, 192, 64, 2),
    Row(3, 128, 64, 1),
    Row(3, 128, 64, 1),
    Row(5, 384, 128, 2),
    Row(3, 512, 128, 1),
    Row(3, 384, 128, 1),
    Row(3, 384, 128, 1),
    Row(3, 768, 128, 1),
    Row(3, 384, 128, 1),
    Row(3, 768, 160, 2),
    Row(5, 640, 160, 1),
    Row(3, 800, 160, 1),
    Row(5, 640, 160, 1),
)
AVG_SEG = (
    *AVG[:13],
    #   k  exp  out  s
    Row(5, 384, 96, 1),
    Row(5, 384, 96, 1),
    Row(5, 384, 96, 1),
)
MAX_SEG = (
    *MAX[:11],
    #   k  exp  out  s
    Row(5, 320, 96, 1),
    Row(3, 384, 96, 1),
    Row(5, 320, 96, 1),
)
TABLES = {"avg": AVG, "max": MAX, "avg_seg": AVG_SEG, "max_seg": MAX_SEG}
STEM_FILTERS = 32
LAST_FILTERS = {"avg": 960, "max": 960, "avg_seg": 448, "max_seg": 448}
EMBEDDING = 1280


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiHardware(base.Backbone):
    """MobileNet Multi-AVG and Multi-MAX: one network quick on CPU, GPU, DSP and TPU.

    Chu et al., 2020, https://arxiv.org/abs/2008.08178. Searched for the average or the
    maximum of the latencies on all of them, so without squeeze-and-excite and
    hard-swish. Tables and rounding are those of TensorFlow Model Garden, whose "Seg"
    variants have a narrower last level. An expansion is the table's ratio to the width
    of its input.

    Besides the features of every backbone there is "C5_project", the output of the
    last block, before the last 1x1 convolution.

    Attributes:
        variant: "avg", "max", "avg_seg" or "max_seg".
        width_multiplier: Factor of all widths; below 1 the convolution after pooling
            keeps its 1280 channels.
        activation: "relu", or "relu6" for accelerators that want bounded values.
        output_stride: 8, 16 or 32. Levels beyond it keep its stride and are dilated.
        padding: One of `convolutions.PADDINGS`.
        stochastic_depth: Drop rate of the last block in training.
        norm: Batch normalization.
    """

    variant: str = "avg"
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
        embedding_width = max(1.0, self.width_multiplier)
        return trunk.Trunk(
            stem_filters=self._width(STEM_FILTERS),
            body=self.inverted_residuals(),
            last_filters=self._width(LAST_FILTERS[self.variant]),
            embedding_filters=tables.make_divisible(EMBEDDING * embedding_width),
            # Unlike MobileNetV3's, this convolution has a norm.
            embedding_norm=self.norm,
            activation=self.activation,
            norm=self.norm,
            output_stride=self.output_stride,
            padding=self.padding,
            stochastic_depth=self.stochastic_depth,
        )(images)

    def inverted_residuals(self) -> tuple[blocks.InvertedResidual, ...]:
        """The blocks, with their widths."""
        built = []
        channels, nominal_channels = self._width(STEM_FILTERS), STEM_FILTERS
        for row in TABLES[self.variant]:
            block = blocks.InvertedResidual(
                kernel=row.kernel,
                stride=row.stride,
                expanded=tables.make_divisible(
                    channels * row.expanded / nominal_channels
                ),
                filters=self._width(row.filters),
                activation=self.activation,
            )
            built.append(block)
            channels, nominal_channels = block.filters, row.filters
        return tuple(built)

    def _width(self, filters: int) -> int:
        return tables.make_divisible(filters * self.width_multiplier)
