"""The tables of MobileNetV4."""

from typing import NamedTuple


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


Row = Conv | Fused | UIB | MQA


class Table(NamedTuple):
    """A network.

    Attributes:
        stem: Channels of the first 3x3 convolution.
        last: Channels of the 1x1 convolution before pooling.
        activation: One of `convolutions.ACTIVATIONS`.
        scaled: Layer scale in every block that may have a shortcut.
        rows: The blocks between stem and last convolution, one row a block.
    """

    stem: int
    last: int
    activation: str
    scaled: bool
    rows: tuple[Row, ...]


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
