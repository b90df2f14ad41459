"""Panoptic-DeepLab's head."""

import dataclasses

import keras

from official.backbones import base as backbones_base
from official.backbones import convolutions, fields
from official.heads import base, maps, predictors
from official.layers import layer_scale

PYRAMIDS = ("separable", "full")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decoder:
    """Widths of one of the two decoders.

    Attributes:
        pyramid: Channels of each branch of the pyramid, and of their projection.
        low_levels: Channels that each low level is projected to.
        fused: Channels after a low level has been fused.
    """

    pyramid: int
    low_levels: tuple[int, ...]
    fused: int

    def __post_init__(self) -> None:
        for name in ("pyramid", "fused"):
            fields.check_positive(self, name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PanopticDeepLab(base.PanopticHead):
    """Classes of pixels, centers of things, and the way from each pixel to its center.

    Cheng et al., 2020, https://arxiv.org/abs/1911.10194, section 3.1: two decoders, one
    for classes, one for things. Each is a pyramid of dilated convolutions (ASPP, Chen
    et al., 2017, https://arxiv.org/abs/1706.05587) on the high level, which then is
    enlarged to one low level after the other, joined with it, and goes through a
    separable 5x5 convolution. Enlarging is bilinear with half-pixel centres; DeepLab2
    aligns corners.

    Outputs, all for files: "logits" `[B, h, w, C]`; "center_heatmap" `[B, h, w, 1]`,
    about 1 at centers and 0 far from them; "offsets" `[B, h, w, 2]`, from each place to
    the center of its thing, y and x, in pixels of the network's input. Offsets where
    there is no thing mean nothing.

    `PUBLISHED` has the widths and the pyramid that DeepLab2 gives MobileNetV3; the
    defaults, of this project, are narrower and for integer files. There a step of
    the offsets is a 255th of their range: 4 pixels, one place of the map, where they
    reach from -512 to 512.

    Attributes:
        high_level: Feature that the pyramids are made of.
        low_levels: Features whose detail is added, from the coarsest; outputs are at
            the stride of the last. Where a backbone lacks a "C{k}_depthwise", "C{k}"
            stands for it.
        rates: Dilations. DeepLab2 has 3, 6 and 9 at output stride 32 and twice that at
            16.
        pyramid: "full" (dilated 3x3 convolutions of the level, as published) or
            "separable" (the level is first reduced to the width of the pyramid;
            dilated depthwise and 1x1 convolutions follow). Quantization-aware training
            wants "separable".
        pooling: Whether the mean of the image is a branch of the pyramids.
        dropout: Behind the pyramids, in training.
        semantic: Widths of the decoder for classes.
        instance: Widths of that for centers and offsets.
        semantic_width: Channels before the logits.
        instance_width: Channels before the heatmap, and before the offsets.
        kernel: Side of the depthwise kernels of decoders and outputs.
        offset_scale: Pixels that the offsets' convolution begins to count in; its
            weights need not grow for what is hundreds of pixels away. It is trained
            with them and part of the convolution in a file; 1 is DeepLab2's.
        activation: One of `convolutions.RELUS`.
        norm: Batch normalization.
    """

    high_level: str = "C5"
    low_levels: tuple[str, ...] = ("C3_depthwise", "C2_depthwise")
    rates: tuple[int, ...] = (3, 6, 9)
    pyramid: str = "separable"
    pooling: bool = True
    dropout: float = 0.1
    semantic: Decoder = Decoder(pyramid=128, low_levels=(48, 24), fused=128)
    instance: Decoder = Decoder(pyramid=96, low_levels=(32, 16), fused=64)
    semantic_width: int = 128
    instance_width: int = 32
    kernel: int = 5
    offset_scale: float = 32.0
    activation: str = "relu"
    norm: convolutions.Norm = convolutions.Norm()

    def __post_init__(self) -> None:
        fields.check_choice(self, "pyramid", PYRAMIDS)
        fields.check_choice(self, "activation", convolutions.RELUS)
        fields.check_rate(self, "dropout")
        for name in ("semantic_width", "instance_width", "kernel", "offset_scale"):
            fields.check_positive(self, name)
        if not self.rates or min(self.rates) < 1:
            raise ValueError(
                f"PanopticDeepLab.rates = {self.rates!r}: must be dilations from 1"
            )
        for name in ("semantic", "instance"):
            widths = getattr(self, name).low_levels
            if not widths or len(widths) != len(self.low_levels):
                raise ValueError(
                    f"PanopticDeepLab.{name}.low_levels = {widths!r}: must have a "
                    f"width for each of the {len(self.low_levels)} low levels"
                )

    @property
    def needed(self) -> tuple[str, ...]:
        return ("logits", "center_heatmap", "offsets")

    @property
    def stride(self) -> int:
        return predictors.tap_stride(
            self.low_levels[-1], owner="PanopticDeepLab.low_levels"
        )

    def __call__(
        self, features: backbones_base.Features, num_classes: int
    ) -> base.Outputs:
        """Adds the head.

        Raises:
            ValueError: If a level is not among the features.
        """
        classes = self._decoded(features, self.semantic, "semantic")
        classes = self._separable(classes, self.semantic_width, "semantic_output")
        things = self._decoded(features, self.instance, "instance")
        heatmap = self._separable(things, self.instance_width, "center")
        heatmap = maps.classify(heatmap, 1, name="center_heatmap")
        offsets = self._separable(things, self.instance_width, "offset")
        offsets = maps.classify(offsets, 2, name="offset_conv")
        offsets = layer_scale.LayerScale(initial=self.offset_scale, name="offsets")(
            offsets
        )
        return {
            "logits": maps.classify(classes, num_classes, name="logits"),
            "center_heatmap": heatmap,
            "offsets": offsets,
        }

    def _decoded(
        self, features: backbones_base.Features, widths: Decoder, name: str
    ) -> keras.KerasTensor:
        x = maps.feature(features, self.high_level, owner="PanopticDeepLab.high_level")
        x = self._pyramid(x, widths.pyramid, f"{name}_pyramid")
        for number, level in enumerate(self.low_levels, 1):
            low = maps.tap(features, level, owner="PanopticDeepLab.low_levels")
            low = self._conv(low, widths.low_levels[number - 1], f"{name}_low{number}")
            x = maps.resize(x, maps.size(low), name=f"{name}_resize{number}")
            # A depthwise convolution of joined maps is that of each, joined. Joined
            # before it, the enlarged map would have the range of both in a file, and
            # its peaks, which enlarging lowers, might lie outside.
            parts = [
                self._depthwise(x, f"{name}_fuse{number}_high_depthwise"),
                self._depthwise(low, f"{name}_fuse{number}_low_depthwise"),
            ]
            x = keras.layers.Concatenate(name=f"{name}_concat{number}")(parts)
            x = self._conv(x, widths.fused, f"{name}_fuse{number}_project")
        return x

    def _pyramid(
        self, level: keras.KerasTensor, width: int, name: str
    ) -> keras.KerasTensor:
        if self.pyramid == "separable":
            # Two pyramids on one map would share ops in TensorFlow's graph, which the
            # converter then makes no dilated convolutions of.
            level = self._conv(level, width, f"{name}_reduce")
        branches = [self._conv(level, width, f"{name}_point")]
        for rate in self.rates:
            end = f"{name}_rate{rate}"
            if self.pyramid == "full":
                branch = self._conv(level, width, end, kernel=3, dilation=rate)
            else:
                branch = self._separable(level, width, end, kernel=3, dilation=rate)
            branches.append(branch)
        if self.pooling:
            mean = keras.layers.GlobalAveragePooling2D(
                keepdims=True, name=f"{name}_pool"
            )(level)
            mean = self._conv(mean, width, f"{name}_pool")
            branches.append(
                maps.resize(mean, maps.size(level), name=f"{name}_pool_resize")
            )
        x = keras.layers.Concatenate(name=f"{name}_concat")(branches)
        x = self._conv(x, width, f"{name}_project")
        if not self.dropout:
            return x
        return keras.layers.Dropout(self.dropout, name=f"{name}_dropout")(x)

    def _separable(
        self,
        x: keras.KerasTensor,
        filters: int,
        name: str,
        *,
        kernel: int | None = None,
        dilation: int = 1,
    ) -> keras.KerasTensor:
        x = self._depthwise(x, f"{name}_depthwise", kernel=kernel, dilation=dilation)
        return self._conv(x, filters, f"{name}_project")

    def _depthwise(
        self,
        x: keras.KerasTensor,
        name: str,
        *,
        kernel: int | None = None,
        dilation: int = 1,
    ) -> keras.KerasTensor:
        return convolutions.depthwise_norm(
            x,
            kernel or self.kernel,
            norm=self.norm,
            dilation=dilation,
            activation=self.activation,
            name=name,
        )

    def _conv(
        self,
        x: keras.KerasTensor,
        filters: int,
        name: str,
        *,
        kernel: int = 1,
        dilation: int = 1,
    ) -> keras.KerasTensor:
        return convolutions.conv_norm(
            x,
            filters,
            kernel=kernel,
            dilation=dilation,
            norm=self.norm,
            activation=self.activation,
            name=name,
        )


PUBLISHED = PanopticDeepLab(
    rates=(6, 12, 18),
    pyramid="full",
    semantic=Decoder(pyramid=256, low_levels=(64, 32), fused=256),
    instance=Decoder(pyramid=256, low_levels=(32, 16), fused=128),
    semantic_width=256,
    offset_scale=1.0,
)
"""DeepLab2's for MobileNetV3 of output stride 16, `configs/cityscapes` there."""
