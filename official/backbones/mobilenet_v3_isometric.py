"""Isometric MobileNetV3."""

import dataclasses

import keras

from official.backbones import base, blocks, mobilenet_v3

STRIDES = (2, 4, 8, 16, 32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class IsometricMobileNetV3(base.Backbone):
    """MobileNetV3 with all blocks at one resolution.

    Sandler et al., 2019, https://arxiv.org/abs/1909.03205: what counts is the
    resolution inside a network, not that of the image; so the image is cut at once to
    the internal resolution, where the whole network stays. No feature map is large.

    Unverified, from memory of the paper: the image is cut into squares whose pixels
    become channels (space-to-depth), and the blocks are those of MobileNetV3 without
    their strides. Here space-to-depth and the 1x1 convolution after it are one
    convolution whose kernel is as large as its stride, which is the same function.
    Ours: a row of the table that MobileNetV3 has at a finer resolution gets the width
    of MobileNetV3's first row at the internal one, since 16 channels could not hold
    what is in a square.

    There are features of one level alone, that of the internal stride s, named as in
    other backbones: "C4" for 16. "C4_project" is the output of the last block, before
    the last 1x1 convolution.

    Attributes:
        variant: "large" or "small".
        width_multiplier: Factor of all widths; below 1 the convolution after pooling
            keeps its channels.
        input_resolution: Side of an image, in pixels.
        internal_resolution: Side of the feature maps of such an image; the input
            resolution divided by one of `STRIDES`. Other images, of sides that the
            stride divides, give maps in proportion.
        activation: Stands for both non-linearities of the table; "relu6" suits
            accelerators without hard-swish. None keeps the table's.
        stochastic_depth: Drop rate of the last block in training.
        norm: Batch normalization.
    """

    variant: str = "large"
    width_multiplier: float = 1.0
    input_resolution: int = 224
    internal_resolution: int = 14
    activation: str | None = None
    stochastic_depth: float = 0.0
    norm: blocks.Norm = blocks.Norm()

    def __post_init__(self) -> None:
        blocks.check_choice(self, "variant", tuple(mobilenet_v3.TABLES))
        blocks.check_positive(self, "width_multiplier")
        blocks.check_positive(self, "input_resolution")
        internal = tuple(
            self.input_resolution // stride
            for stride in STRIDES
            if self.input_resolution % stride == 0
        )
        blocks.check_choice(self, "internal_resolution", internal)
        blocks.check_choice(self, "activation", (None, *blocks.ACTIVATIONS))
        blocks.check_rate(self, "stochastic_depth")

    @property
    def stride(self) -> int:
        """Of all feature maps."""
        return self.input_resolution // self.internal_resolution

    def __call__(self, images: keras.KerasTensor) -> base.Features:
        """As every backbone.

        Raises:
            ValueError: If the stride does not divide the sides of the images.
        """
        self._check_size(images)
        stem = blocks.conv_norm(
            images,
            blocks.make_divisible(self._finest_width() * self.width_multiplier),
            kernel=self.stride,
            stride=self.stride,
            norm=self.norm,
            activation=self._activation(mobilenet_v3.HS),
            name="stem",
        )
        placed = blocks.place(
            self.inverted_residuals(),
            self.stride,
            norm=self.norm,
            stochastic_depth=self.stochastic_depth,
            stem_stride=self.stride,
        )
        number = STRIDES.index(self.stride) + 1
        level = f"C{number}"
        features = blocks.add_blocks(stem, placed, level=number)
        features[f"{level}_project"] = features[level]
        features[level] = blocks.conv_norm(
            features[level],
            blocks.make_divisible(mobilenet_v3.LAST_EXPAND * features[level].shape[-1]),
            norm=self.norm,
            activation=self._activation(mobilenet_v3.HS),
            name="last",
        )
        filters = mobilenet_v3.EMBEDDING[self.variant] * max(1.0, self.width_multiplier)
        features["embedding"] = blocks.embedding(
            features[level],
            blocks.make_divisible(filters),
            activation=self._activation(mobilenet_v3.HS),
        )
        return features

    def inverted_residuals(self) -> tuple[blocks.InvertedResidual, ...]:
        """The blocks, with their widths."""
        finest = self._finest_width()
        built = []
        channels = blocks.make_divisible(finest * self.width_multiplier)
        nominal_channels = mobilenet_v3.STEM_FILTERS
        for row in mobilenet_v3.TABLES[self.variant]:
            expanded = blocks.make_divisible(channels * row.expanded / nominal_channels)
            squeezed = blocks.make_divisible(expanded * mobilenet_v3.SQUEEZE)
            block = blocks.InvertedResidual(
                kernel=row.kernel,
                stride=1,
                expanded=expanded,
                filters=blocks.make_divisible(
                    max(row.filters, finest) * self.width_multiplier
                ),
                activation=self._activation(row.activation),
                squeezed=squeezed if row.squeeze_excite else 0,
            )
            built.append(block)
            channels, nominal_channels = block.filters, row.filters
        return tuple(built)

    def _finest_width(self) -> int:
        """Channels of MobileNetV3's first output of the stride, at width 1."""
        stride, filters = 2, mobilenet_v3.STEM_FILTERS
        for row in mobilenet_v3.TABLES[self.variant]:
            if stride == self.stride:
                break
            stride, filters = stride * row.stride, row.filters
        return filters

    def _activation(self, activation: str) -> str:
        return self.activation if self.activation is not None else activation

    def _check_size(self, images: keras.KerasTensor) -> None:
        sides = [side for side in images.shape[1:3] if side is not None]
        if any(side % self.stride for side in sides):
            raise ValueError(
                f"images of {' x '.join(map(str, sides))} pixels: "
                f"IsometricMobileNetV3 cuts them into squares of {self.stride}, "
                "which must divide both sides (input_resolution / "
                "internal_resolution)"
            )
