"""What is between the stem and the last convolution of a mobile network.

Layers are named `{level}_{block}_{role}`: `C4_block2_expand_conv`. Roles of an inverted
residual, in order: expand, depthwise, squeeze_excite, project, drop, add.
"""

import dataclasses
from typing import Protocol

import keras

from official.backbones import base, convolutions


class Block(Protocol):
    """A block of a table: knows its stride, and adds its layers to a graph."""

    @property
    def stride(self) -> int:
        """Of its strided convolution, before any of it is traded for dilation."""

    def __call__(
        self, inputs: keras.KerasTensor, placed: "PlacedBlock"
    ) -> base.Features:
        """Adds the layers.

        Returns:
            "output" and, where the block has them, "expand" (before the strided
            depthwise convolution) and "depthwise" (after its norm and activation).
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlacedBlock:
    """A block in a network.

    Attributes:
        level: From 1 to 5.
        number: Within the level, from 1.
        stride: Of its strided convolution at the network's output stride.
        dilation: Of its spatial convolutions.
        norm: Batch normalization.
        padding: One of `convolutions.PADDINGS`.
        drop_rate: Share of examples that skip the block in training.
    """

    block: Block
    level: int
    number: int
    stride: int
    dilation: int
    norm: convolutions.Norm
    padding: str
    drop_rate: float

    @property
    def name(self) -> str:
        return f"C{self.level}_block{self.number}"

    def has_shortcut(
        self, inputs: keras.KerasTensor, outputs: keras.KerasTensor
    ) -> bool:
        """Whether the block keeps size and channels.

        By the block's own stride: a block that lost it to dilation stays without a
        shortcut, so that weights mean the same at every output stride.
        """
        return self.block.stride == 1 and inputs.shape[-1] == outputs.shape[-1]

    def add_shortcut(
        self, inputs: keras.KerasTensor, outputs: keras.KerasTensor
    ) -> keras.KerasTensor:
        """Adds the inputs to the outputs, where the block keeps size and channels.

        In training, an example loses the block's outputs with probability `drop_rate`:
        stochastic depth, Huang et al., 2016, https://arxiv.org/abs/1603.09382.
        """
        if not self.has_shortcut(inputs, outputs):
            return outputs
        if self.drop_rate:
            outputs = keras.layers.Dropout(
                self.drop_rate, noise_shape=(None, 1, 1, 1), name=f"{self.name}_drop"
            )(outputs)
        return keras.layers.Add(name=f"{self.name}_add")([inputs, outputs])


@dataclasses.dataclass(frozen=True, kw_only=True)
class InvertedResidual:
    """An inverted residual.

    Sandler et al., 2018, https://arxiv.org/abs/1801.04381, section 3.4.

    Attributes:
        kernel: Side of the depthwise kernel.
        stride: Of the depthwise convolution.
        expanded: Channels between expansion and projection; if they are those of the
            input, there is no expansion.
        filters: Channels of the output.
        activation: One of `convolutions.ACTIVATIONS`.
        squeezed: Channels inside squeeze-and-excite; 0 leaves it out.
        gate: Of squeeze-and-excite, one of `convolutions.GATES`.
        residual: Add the input where the shapes allow it.
    """

    kernel: int
    stride: int
    expanded: int
    filters: int
    activation: str
    squeezed: int = 0
    gate: str = "hard_sigmoid"
    residual: bool = True

    def __call__(self, inputs: keras.KerasTensor, placed: PlacedBlock) -> base.Features:
        name, norm = placed.name, placed.norm
        taps = {}
        features = inputs
        if self.expanded != inputs.shape[-1]:
            features = taps["expand"] = convolutions.conv_norm(
                inputs,
                self.expanded,
                norm=norm,
                activation=self.activation,
                name=f"{name}_expand",
            )
        features = taps["depthwise"] = convolutions.depthwise_norm(
            features,
            self.kernel,
            norm=norm,
            activation=self.activation,
            name=f"{name}_depthwise",
            stride=placed.stride,
            dilation=placed.dilation,
            padding=placed.padding,
        )
        if self.squeezed:
            features = convolutions.squeeze_excite(
                features,
                self.squeezed,
                gate=self.gate,
                name=f"{name}_squeeze_excite",
            )
        features = convolutions.conv_norm(
            features, self.filters, norm=norm, name=f"{name}_project"
        )
        if self.residual:
            features = placed.add_shortcut(inputs, features)
        return taps | {"output": features}


@dataclasses.dataclass(frozen=True, kw_only=True)
class FusedInvertedResidual:
    """An inverted residual whose expansion is a full convolution, without a depthwise.

    Gupta & Akin, 2020, https://arxiv.org/abs/2003.02838, section 3: quicker than
    depthwise convolutions on the EdgeTPU.

    Attributes:
        kernel: Side of the expansion's kernel.
        stride: Of the expansion.
        expanded: Channels of the expansion; 0 leaves it out.
        filters: Channels of the output.
        activation: One of `convolutions.ACTIVATIONS`.
    """

    kernel: int
    stride: int
    expanded: int
    filters: int
    activation: str

    def __call__(self, inputs: keras.KerasTensor, placed: PlacedBlock) -> base.Features:
        features = inputs
        if self.expanded:
            features = convolutions.conv_norm(
                inputs,
                self.expanded,
                norm=placed.norm,
                name=f"{placed.name}_expand",
                kernel=self.kernel,
                stride=placed.stride,
                dilation=placed.dilation,
                padding=placed.padding,
                activation=self.activation,
            )
        features = convolutions.conv_norm(
            features, self.filters, norm=placed.norm, name=f"{placed.name}_project"
        )
        return {"output": placed.add_shortcut(inputs, features)}
