"""Isometric MobileNetV3."""

import dataclasses

import keras

from official.backbones import (
    base,
    blocks,
    convolutions,
    fields,
    mobilenet_v3,
    tables,
    trunk,
)

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
    norm: convolutions.Norm = convolutions.Norm()

    def __post_init__(self) -> None:
        fields.check_choice(self, "variant", tuple(mobilenet_v3.TABLES))
        fields.check_positive(self, "width_multiplier")
        fields.check_positive(self, "input_resolution")
        internal = tuple(
            self.input_resolution // stride
            for stride in STRIDES
            if self.input_resolution % stride == 0
        )
        fields.check_choice(self, "internal_resolution", internal)
        fields.check_choice(self, "activation", (None, *convolutions.ACTIVATIONS))
        fields.check_rate(self, "stochastic_depth")

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
        residuals = self.inverted_residuals()
        last = mobilenet_v3.LAST_EXPAND * residuals[-1].filters
        width = max(1.0, self.width_multiplier)
        embedding = mobilenet_v3.EMBEDDING[self.variant] * width
        return trunk.Trunk(
            stem_filters=self._width(mobilenet_v3.STEM_FILTERS),
            stem_kernel=self.stride,
            stem_stride=self.stride,
            level=STRIDES.index(self.stride) + 1,
            body=residuals,
            last_filters=tables.make_divisible(last),
            embedding_filters=tables.make_divisible(embedding),
            activation=self._activation(mobilenet_v3.HS),
            norm=self.norm,
            output_stride=self.stride,
            stochastic_depth=self.stochastic_depth,
        )(images)

    def inverted_residuals(self) -> tuple[blocks.InvertedResidual, ...]:
        """The blocks, with their widths."""
        rows = (
            row._replace(stride=1, activation=self._activation(row.activation))
            for row in mobilenet_v3.TABLES[self.variant]
        )
        stem = self._width(mobilenet_v3.STEM_FILTERS)
        return mobilenet_v3.inverted_residuals(rows, stem, width=self._width)

    def _width(self, filters: int) -> int:
        filters = max(filters, self._finest_width())
        return tables.make_divisible(filters * self.width_multiplier)

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
