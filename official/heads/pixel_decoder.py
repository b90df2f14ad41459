"""From the features of a backbone to maps that a mask transformer reads."""

import abc
import dataclasses

import keras

from official.backbones import base as backbones_base
from official.backbones import convolutions, fields
from official.heads import maps
from official.layers import axial_attention


@dataclasses.dataclass(frozen=True, kw_only=True)
class PixelDecoder(abc.ABC):
    """Adds layers to a graph; one map for each tap, from the finest to the coarsest.

    Attributes:
        taps: Features, by ascending stride. Where a backbone lacks a
            "C{k}_depthwise", "C{k}" stands for it.
    """

    taps: tuple[str, ...] = ("C2_depthwise", "C3_depthwise", "C4_depthwise", "C5")

    @abc.abstractmethod
    def __call__(
        self, features: backbones_base.Features, *, norm: convolutions.Norm
    ) -> list[keras.KerasTensor]: ...

    def _tapped(self, features: backbones_base.Features) -> list[keras.KerasTensor]:
        owner = f"{type(self).__name__}.taps"
        return [maps.tap(features, name, owner=owner) for name in self.taps]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AxialPixelDecoder(PixelDecoder):
    """The pixel decoder of kMaX-DeepLab.

    Yu et al., 2022, https://arxiv.org/abs/2207.04044, as DeepLab2 has it: a layer norm
    on each tap; from the coarsest level on, blocks, and a sum with the next tap once
    both have its width. Blocks are axial attention or bottlenecks, of four times their
    width; the last norm of each starts at 0. Nothing is activated where levels end.

    The defaults are the form of ReMaX's "efficient" models, which was never published:
    it is inferred from their parameter counts (see `official.heads.kmax`). kMaX itself
    has `blocks=(1, 1, 5, 1)`.

    Enlarging is bilinear with half-pixel centres; DeepLab2 aligns corners. The first
    form suits even sizes, and TFLite.

    Attributes:
        widths: By tap; a level has four times as many channels.
        blocks: Number of blocks, by tap.
        axial: Whether the blocks of a level are axial attention, by tap.
        heads: Of the attention.
        activation: One of `convolutions.ACTIVATIONS`.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512)
    blocks: tuple[int, ...] = (1, 1, 1, 1)
    axial: tuple[bool, ...] = (False, False, True, True)
    heads: int = 8
    activation: str = "gelu"

    def __post_init__(self) -> None:
        fields.check_choice(self, "activation", convolutions.ACTIVATIONS)
        _check_lengths(self, "widths", "blocks", "axial")

    def __call__(
        self, features: backbones_base.Features, *, norm: convolutions.Norm
    ) -> list[keras.KerasTensor]:
        tapped = [
            keras.layers.LayerNormalization(
                epsilon=1e-6, name=f"pixel{number}_tap_norm"
            )(tap)
            for number, tap in enumerate(self._tapped(features), 1)
        ]
        levels: list[keras.KerasTensor] = []
        x = tapped[-1]
        for number in range(len(tapped), 0, -1):
            place = number - 1
            if levels:
                x = self._fused(
                    x, tapped[place], self.widths[place], norm, f"pixel{number}_fuse"
                )
            for block in range(1, self.blocks[place] + 1):
                x = self._block(x, place, norm, f"pixel{number}_block{block}")
            levels.insert(0, x)
        return levels

    def _fused(
        self,
        coarse: keras.KerasTensor,
        tap: keras.KerasTensor,
        width: int,
        norm: convolutions.Norm,
        name: str,
    ) -> keras.KerasTensor:
        branches = []
        for branch, end in ((coarse, "coarse"), (tap, "tap")):
            x = self._activated(branch, f"{name}_{end}_activation")
            if x.shape[-1] != width:
                x = convolutions.conv_norm(x, width, norm=norm, name=f"{name}_{end}")
            branches.append(x)
        coarse, tap = branches
        coarse = maps.resize(coarse, maps.size(tap), name=f"{name}_resize")
        return keras.layers.Add(name=f"{name}_add")([coarse, tap])

    def _block(
        self, x: keras.KerasTensor, place: int, norm: convolutions.Norm, name: str
    ) -> keras.KerasTensor:
        width = self.widths[place]
        x = shortcut = self._activated(x, f"{name}_activation")
        if x.shape[-1] != 4 * width:
            shortcut = convolutions.conv_norm(
                x, 4 * width, norm=norm, name=f"{name}_shortcut"
            )
        branch = self._axial if self.axial[place] else self._bottleneck
        x = branch(x, width, norm, name)
        x = convolutions.conv_norm(
            x, 4 * width, norm=norm, gamma=0.0, name=f"{name}_expand"
        )
        return keras.layers.Add(name=f"{name}_add")([shortcut, x])

    def _bottleneck(
        self, x: keras.KerasTensor, width: int, norm: convolutions.Norm, name: str
    ) -> keras.KerasTensor:
        for kernel, end in ((1, "reduce"), (3, "spatial")):
            x = convolutions.conv_norm(
                x,
                width,
                kernel=kernel,
                norm=norm,
                activation=self.activation,
                name=f"{name}_{end}",
            )
        return x

    def _axial(
        self, x: keras.KerasTensor, width: int, norm: convolutions.Norm, name: str
    ) -> keras.KerasTensor:
        x = convolutions.conv_norm(
            x, 2 * width, norm=norm, activation=self.activation, name=f"{name}_reduce"
        )
        for axis in axial_attention.AXES:
            joined = convolutions.conv_norm(
                x, 4 * width, norm=norm, name=f"{name}_{axis}_project"
            )
            x = axial_attention.AxialAttention(
                axis=axis,
                heads=self.heads,
                key_width=width,
                value_width=2 * width,
                momentum=norm.momentum,
                epsilon=norm.epsilon,
                synchronized=norm.synchronized,
                name=f"{name}_{axis}_attention",
            )(joined)
        return self._activated(x, f"{name}_attention_activation")

    def _activated(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return convolutions.activation_layer(self.activation, name)(x)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvPixelDecoder(PixelDecoder):
    """A pixel decoder of separable convolutions, for integer files.

    Of this project: a feature pyramid. Each tap goes through a 1x1 convolution, the
    level above it, through another and enlarged, is added, and separable convolutions
    with shortcuts follow. Norms fold, nothing is transposed, and every op is one that
    accelerators have.

    Attributes:
        widths: Channels, by tap.
        blocks: Number of separable convolutions, by tap.
        kernel: Side of the depthwise kernels.
        activation: One of `convolutions.ACTIVATIONS`.
    """

    widths: tuple[int, ...] = (64, 96, 128, 192)
    blocks: tuple[int, ...] = (1, 1, 1, 1)
    kernel: int = 5
    activation: str = "relu"

    def __post_init__(self) -> None:
        fields.check_choice(self, "activation", convolutions.ACTIVATIONS)
        fields.check_positive(self, "kernel")
        _check_lengths(self, "widths", "blocks")

    def __call__(
        self, features: backbones_base.Features, *, norm: convolutions.Norm
    ) -> list[keras.KerasTensor]:
        levels: list[keras.KerasTensor] = []
        tapped = self._tapped(features)
        for number in range(len(tapped), 0, -1):
            place, name = number - 1, f"pixel{number}"
            width = self.widths[place]
            x = convolutions.conv_norm(
                tapped[place], width, norm=norm, name=f"{name}_tap"
            )
            if levels:
                coarse = convolutions.conv_norm(
                    levels[0], width, norm=norm, name=f"{name}_coarse"
                )
                coarse = maps.resize(coarse, maps.size(x), name=f"{name}_resize")
                x = keras.layers.Add(name=f"{name}_add")([x, coarse])
            x = convolutions.activation_layer(self.activation, f"{name}_activation")(x)
            for block in range(1, self.blocks[place] + 1):
                x = self._block(x, norm, f"{name}_block{block}")
            levels.insert(0, x)
        return levels

    def _block(
        self, x: keras.KerasTensor, norm: convolutions.Norm, name: str
    ) -> keras.KerasTensor:
        branch = convolutions.depthwise_norm(
            x,
            self.kernel,
            norm=norm,
            activation=self.activation,
            name=f"{name}_depthwise",
        )
        branch = convolutions.conv_norm(
            branch,
            x.shape[-1],
            norm=norm,
            activation=self.activation,
            name=f"{name}_project",
        )
        return keras.layers.Add(name=f"{name}_add")([x, branch])


def _check_lengths(decoder: PixelDecoder, *names: str) -> None:
    for name in names:
        values = getattr(decoder, name)
        if len(values) != len(decoder.taps):
            raise ValueError(
                f"{type(decoder).__name__}.{name} = {values!r}: must have a value for "
                f"each of the {len(decoder.taps)} taps"
            )
