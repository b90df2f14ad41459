"""From the image to the embedding: stem, blocks, last convolution, pooling.

The layers before the blocks are named `stem_*`, those after them `last_*` and, past
global pooling, `embedding_*`.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import keras

from official.backbones import base, blocks, convolutions, fields

OUTPUT_STRIDES = (8, 16, 32)


def check(backbone: base.Backbone) -> None:
    """Checks the fields that most backbones have, and that mean the same in all.

    Raises:
        ValueError: If `width_multiplier`, `output_stride`, `padding` or
            `stochastic_depth` holds a value that it cannot have.
    """
    fields.check_positive(backbone, "width_multiplier")
    fields.check_choice(backbone, "output_stride", OUTPUT_STRIDES)
    fields.check_choice(backbone, "padding", convolutions.PADDINGS)
    fields.check_rate(backbone, "stochastic_depth")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trunk:
    """A backbone whose widths are settled.

    Attributes:
        stem_filters: Channels of the convolution before the blocks.
        body: The blocks.
        last_filters: Channels of the 1x1 convolution after the blocks, whose input is
            the feature "C{k}_project" of the last level; 0 leaves out both.
        embedding_filters: Channels of the 1x1 convolution after pooling; 0 leaves it
            out.
        embedding_norm: Of that convolution, which without it has a bias.
        activation: Of these convolutions, one of `convolutions.ACTIVATIONS`.
        norm: Of all convolutions before pooling.
        output_stride: Levels beyond it keep its stride and are dilated.
        padding: One of `convolutions.PADDINGS`.
        stochastic_depth: Drop rate of the last block in training.
        stem_kernel: Side of the stem's kernel.
        stem_stride: Of the stem.
        level: Of the stem's output. Features are named as if its stride were
            `2**level`, whatever the stem's is.
    """

    stem_filters: int
    body: tuple[blocks.Block, ...]
    last_filters: int = 0
    embedding_filters: int = 0
    embedding_norm: convolutions.Norm | None = None
    activation: str
    norm: convolutions.Norm
    output_stride: int
    padding: str = "same"
    stochastic_depth: float = 0.0
    stem_kernel: int = 3
    stem_stride: int = 2
    level: int = 1

    def __call__(self, images: keras.KerasTensor) -> base.Features:
        stem = convolutions.conv_norm(
            images,
            self.stem_filters,
            kernel=self.stem_kernel,
            stride=self.stem_stride,
            norm=self.norm,
            padding=self.padding,
            activation=self.activation,
            name="stem",
        )
        placed = tuple(self._placed())
        features = add_blocks(stem, placed, level=self.level)
        top = f"C{placed[-1].level}"
        if self.last_filters:
            features[f"{top}_project"] = features[top]
            features[top] = convolutions.conv_norm(
                features[top],
                self.last_filters,
                norm=self.norm,
                activation=self.activation,
                name="last",
            )
        features["embedding"] = embedding(
            features[top],
            self.embedding_filters,
            activation=self.activation,
            norm=self.embedding_norm,
        )
        return features

    def _placed(self) -> Iterator[blocks.PlacedBlock]:
        return place(
            self.body,
            self.output_stride,
            norm=self.norm,
            padding=self.padding,
            stochastic_depth=self.stochastic_depth,
            level=self.level,
        )


def place(
    body: Sequence[blocks.Block],
    output_stride: int,
    *,
    norm: convolutions.Norm,
    padding: str = "same",
    stochastic_depth: float = 0.0,
    level: int = 1,
) -> Iterator[blocks.PlacedBlock]:
    """Names the blocks after a stem and trades strides for dilation.

    A level is named by the stride that its blocks have at output stride 32. Once the
    output stride is reached, a stride of 2 doubles the dilation instead, beginning with
    the block that loses its stride (as in torchvision and in TF Model Garden).

    Args:
        stochastic_depth: Drop rate of the last block; it grows linearly with depth.
        level: Of the stem's output, whose stride counts as `2**level`.
    """
    nominal_stride, number, dilation = 2**level, 0, 1
    for index, block in enumerate(body):
        number = 1 if block.stride > 1 else number + 1
        nominal_stride *= block.stride
        stride = block.stride
        if nominal_stride > output_stride:
            dilation, stride = dilation * stride, 1
        yield blocks.PlacedBlock(
            block=block,
            level=nominal_stride.bit_length() - 1,
            number=number,
            stride=stride,
            dilation=dilation,
            norm=norm,
            padding=padding,
            drop_rate=stochastic_depth * (index + 1) / len(body),
        )


def add_blocks(
    features: keras.KerasTensor, placed: Iterable[blocks.PlacedBlock], *, level: int
) -> base.Features:
    """Adds blocks; returns the features that `official.backbones.base` names.

    Args:
        level: Of the features given.
    """
    taps = {f"C{level}": features}
    for item in placed:
        key = f"C{item.level}"
        new = item.block(features, item)
        features = taps[key] = new["output"]
        if item.number == 1 and "expand" in new:
            taps[f"{key}_expand"] = new["expand"]
        if "depthwise" in new:
            taps[f"{key}_depthwise"] = new["depthwise"]
    return taps


def embedding(
    features: keras.KerasTensor,
    filters: int,
    *,
    activation: str,
    norm: convolutions.Norm | None,
) -> keras.KerasTensor:
    """Adds global pooling and, if `filters`, a 1x1 convolution; gives `[B, 1, 1, C]`.

    Args:
        activation: After the convolution.
        norm: After the convolution, which without it has a bias.
    """
    pooled = keras.layers.GlobalAveragePooling2D(keepdims=True, name="embedding_pool")(
        features
    )
    if not filters:
        return pooled
    return convolutions.conv_norm(
        pooled, filters, norm=norm, activation=activation, name="embedding"
    )
