"""FPN-lite."""

import dataclasses

import keras

from official.backbones import base as backbones_base
from official.backbones import convolutions, fields
from official.heads import anchors as anchor_kinds
from official.heads import base, maps, predictors


@dataclasses.dataclass(frozen=True, kw_only=True)
class FPNLite(base.DetectionHead):
    """A feature pyramid of separable convolutions, for small objects.

    Lin et al., 2016, https://arxiv.org/abs/1612.03144, with the levels, widths and
    anchors of the "fpnlite" detectors of TensorFlow's Object Detection API. Each tap
    goes through a 1x1 convolution, the coarser levels are added to it, enlarged by the
    nearest neighbour (to the size of the finer one, also where that is odd), and a
    separable convolution follows. Each level then has a tower of separable
    convolutions and, at its end, a 1x1 convolution for the boxes and one for the
    classes.

    In that code all levels share the kernels of the towers, each with norms of its own.
    Here each has its own: in an integer file a norm is part of the kernel, so that
    there would be one for each level anyway. All depthwise convolutions have a norm and
    an activation, there the one before a 1x1 convolution has none.

    Attributes:
        anchors: What the boxes are measured from.
        taps: Features of the first levels, by ascending stride.
        coarse: Number of levels after them, each from the one before by a separable
            convolution of stride 2.
        filters: Channels of all levels.
        depth: Convolutions of a tower.
        activation: One of `convolutions.ACTIVATIONS`.
        class_prior: What scores by sigmoid begin at; 0.5 for scores by softmax.
        padding: One of `convolutions.PADDINGS`.
        norm: Batch normalization.
    """

    anchors: anchor_kinds.Anchors = anchor_kinds.PyramidAnchors()
    taps: tuple[str, ...] = ("C3", "C4", "C5")
    coarse: int = 2
    filters: int = 128
    depth: int = 4
    activation: str = "relu6"
    class_prior: float = 0.01
    padding: str = "same"
    norm: convolutions.Norm = convolutions.Norm(momentum=0.97)

    def __post_init__(self) -> None:
        fields.check_positive(self, "filters")
        fields.check_choice(self, "activation", convolutions.ACTIVATIONS)
        fields.check_choice(self, "padding", convolutions.PADDINGS)
        for name in ("coarse", "depth"):
            if getattr(self, name) < 0:
                raise ValueError(
                    f"FPNLite.{name} = {getattr(self, name)!r}: must not be below 0"
                )
        predictors.check_prior(self.class_prior, owner="FPNLite.class_prior")
        predictors.check_taps(self.taps, owner="FPNLite.taps")
        self.anchors.counts(self.strides)

    @property
    def strides(self) -> tuple[int, ...]:
        return predictors.strides(self.taps, self.coarse, owner="FPNLite.taps")

    def __call__(
        self, features: backbones_base.Features, num_classes: int
    ) -> base.Outputs:
        """Adds the head.

        Raises:
            ValueError: If a tap is not among the features, or has another stride than
                its name says.
        """
        tapped = [
            predictors.tap(features, name, owner="FPNLite.taps") for name in self.taps
        ]
        boxes, logits = [], []
        bias = predictors.bias(self.class_prior)
        counts = self.anchors.counts(self.strides)
        levels = self._levels(tapped)
        for number, (level, shapes) in enumerate(zip(levels, counts, strict=True), 1):
            name = f"fpnlite_level{number}"
            for layer in range(1, self.depth + 1):
                level = self._separable(level, f"{name}_tower{layer}")
            boxes.append(predictors.predict(level, shapes, 4, name=f"{name}_boxes"))
            logits.append(
                predictors.predict(
                    level, shapes, num_classes, name=f"{name}_logits", bias=bias
                )
            )
        return predictors.join(boxes, logits, name="fpnlite")

    def _levels(self, tapped: list[keras.KerasTensor]) -> list[keras.KerasTensor]:
        """The levels from the finest: from the top down, then those beyond the top."""
        merged = self._lateral(tapped[-1], len(tapped))
        levels = [merged]
        for number in range(len(tapped) - 1, 0, -1):
            name = f"fpnlite_lateral{number}"
            level = self._lateral(tapped[number - 1], number)
            enlarged = maps.resize(
                merged,
                maps.size(level),
                interpolation="nearest",
                name=f"{name}_enlarge",
            )
            merged = keras.layers.Add(name=f"{name}_add")([level, enlarged])
            levels.insert(0, self._separable(merged, f"{name}_smooth"))
        for number in range(1, self.coarse + 1):
            levels.append(
                self._separable(levels[-1], f"fpnlite_coarse{number}", stride=2)
            )
        return levels

    def _lateral(self, tapped: keras.KerasTensor, number: int) -> keras.KerasTensor:
        return convolutions.conv_norm(
            tapped, self.filters, norm=self.norm, name=f"fpnlite_lateral{number}"
        )

    def _separable(
        self, features: keras.KerasTensor, name: str, *, stride: int = 1
    ) -> keras.KerasTensor:
        x = convolutions.depthwise_norm(
            features,
            3,
            stride=stride,
            padding=self.padding,
            norm=self.norm,
            activation=self.activation,
            name=f"{name}_depthwise",
        )
        return convolutions.conv_norm(
            x,
            self.filters,
            norm=self.norm,
            activation=self.activation,
            name=f"{name}_project",
        )
