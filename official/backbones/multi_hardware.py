"""The multi-hardware MobileNets."""

import dataclasses
from typing import NamedTuple

import keras

from official.backbones import base, blocks


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
        padding: One of `blocks.PADDINGS`.
        stochastic_depth: Drop rate of the last block in training.
        norm: Batch normalization.
    """

    variant: str = "avg"
    width_multiplier: float = 1.0
    activation: str = "relu"
    output_stride: int = 32
    padding: str = "same"
    stochastic_depth: float = 0.0
    norm: blocks.Norm = blocks.Norm()

    def __post_init__(self) -> None:
        blocks.check_choice(self, "variant", tuple(TABLES))
        blocks.check_positive(self, "width_multiplier")
        blocks.check_choice(self, "activation", blocks.RELUS)
        blocks.check_choice(self, "output_stride", blocks.OUTPUT_STRIDES)
        blocks.check_choice(self, "padding", blocks.PADDINGS)
        blocks.check_rate(self, "stochastic_depth")

    def __call__(self, images: keras.KerasTensor) -> base.Features:
        stem = blocks.conv_norm(
            images,
            self._width(STEM_FILTERS),
            kernel=3,
            stride=2,
            norm=self.norm,
            padding=self.padding,
            activation=self.activation,
            name="stem",
        )
        placed = blocks.place(
            self.inverted_residuals(),
            self.output_stride,
            norm=self.norm,
            padding=self.padding,
            stochastic_depth=self.stochastic_depth,
        )
        features = blocks.add_blocks(stem, placed)
        features["C5_project"] = features["C5"]
        features["C5"] = blocks.conv_norm(
            features["C5"],
            self._width(LAST_FILTERS[self.variant]),
            norm=self.norm,
            activation=self.activation,
            name="last",
        )
        # Unlike MobileNetV3's, this convolution has a norm.
        features["embedding"] = blocks.embedding(
            features["C5"],
            blocks.make_divisible(EMBEDDING * max(1.0, self.width_multiplier)),
            norm=self.norm,
            activation=self.activation,
        )
        return features

    def inverted_residuals(self) -> tuple[blocks.InvertedResidual, ...]:
        """The blocks, with their widths."""
        built = []
        channels, nominal_channels = self._width(STEM_FILTERS), STEM_FILTERS
        for row in TABLES[self.variant]:
            block = blocks.InvertedResidual(
                kernel=row.kernel,
                stride=row.stride,
                expanded=blocks.make_divisible(
                    channels * row.expanded / nominal_channels
                ),
                filters=self._width(row.filters),
                activation=self.activation,
            )
            built.append(block)
            channels, nominal_channels = block.filters, row.filters
        return tuple(built)

    def _width(self, filters: int) -> int:
        return blocks.make_divisible(filters * self.width_multiplier)
