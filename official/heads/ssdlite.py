"""SSDLite."""

import dataclasses

import keras

from official.backbones import base as backbones_base
from official.backbones import convolutions, fields
from official.heads import anchors as anchor_kinds
from official.heads import base, predictors


@dataclasses.dataclass(frozen=True, kw_only=True)
class SSDLite(base.DetectionHead):
    """SSDLite: SSD with separable convolutions.

    Sandler et al., 2018, https://arxiv.org/abs/1801.04381, section 6.2, and Howard et
    al., 2019, https://arxiv.org/abs/1905.02244, section 6.3. The first level is tapped
    at the expansion before the stride of 32, the second at the last feature; each
    further one is the level before through a 1x1 convolution to half its width and a
    separable one of stride 2. Each level has a depthwise and a 1x1 convolution for the
    boxes, and other two for the classes.

    Where a backbone has no "C{k}_expand" (MobileNetV1), the last output of the level
    before stands for it. A network of one resolution (IsometricMobileNetV3) is tapped
    once, `taps=("C4",), extra=(512, 512, 256, 256, 128)`.

    The convolutions before a norm start like all others of this project, not from a
    normal distribution of 0.03 as in both references; a norm undoes the difference.

    Presets, of which the last two are in this module:
    * the V2 paper's is `SSDLite()`, scores by sigmoid, hard negatives; its published
      training has a momentum of the norms of 0.9997, which wants long trainings,
    * `MOBILENET_V3`, for the focal loss, on a backbone with
      `reduced_tail="outputs"`,
    * `TORCHVISION`, `ssdlite320_mobilenet_v3_large` with scores by softmax, on
      MobileNetV3 with that tail and `padding="symmetric"`.

    Attributes:
        anchors: What the boxes are measured from.
        taps: Features of the first levels, by ascending stride.
        extra: Channels of the levels after them.
        activation: One of `convolutions.ACTIVATIONS`.
        class_prior: What scores by sigmoid begin at, by the bias of the logits: 0.01
            for the focal loss (Lin et al., 2017, https://arxiv.org/abs/1708.02002,
            section 3.3; the Object Detection API's bias of -4.6).
        padding: One of `convolutions.PADDINGS`.
        norm: Batch normalization; the momentum is that of the V3 paper's training.
    """

    anchors: anchor_kinds.Anchors = anchor_kinds.SSDAnchors()
    taps: tuple[str, ...] = ("C5_expand", "C5")
    extra: tuple[int, ...] = (512, 256, 256, 128)
    activation: str = "relu6"
    class_prior: float = 0.5
    padding: str = "same"
    norm: convolutions.Norm = convolutions.Norm(momentum=0.97)

    def __post_init__(self) -> None:
        fields.check_choice(self, "activation", convolutions.ACTIVATIONS)
        fields.check_choice(self, "padding", convolutions.PADDINGS)
        predictors.check_prior(self.class_prior, owner="SSDLite.class_prior")
        predictors.check_taps(self.taps, owner="SSDLite.taps")
        if not all(filters > 1 for filters in self.extra):
            raise ValueError(f"SSDLite.extra = {self.extra!r}: must be above 1 each")
        self.anchors.counts(self.strides)

    @property
    def strides(self) -> tuple[int, ...]:
        return predictors.strides(self.taps, len(self.extra), owner="SSDLite.taps")

    def __call__(
        self, features: backbones_base.Features, num_classes: int
    ) -> base.Outputs:
        """Adds the head.

        Raises:
            ValueError: If a tap is not among the features, or has another stride than
                its name says.
        """
        levels = [
            predictors.tap(features, name, owner="SSDLite.taps") for name in self.taps
        ]
        for number, filters in enumerate(self.extra, start=1):
            levels.append(self._next(levels[-1], filters, f"ssdlite_extra{number}"))
        bias = predictors.bias(self.class_prior)
        boxes, logits = [], []
        counts = self.anchors.counts(self.strides)
        for number, (level, shapes) in enumerate(zip(levels, counts, strict=True), 1):
            name = f"ssdlite_level{number}"
            boxes.append(self._predict(level, shapes, 4, f"{name}_boxes"))
            logits.append(
                self._predict(level, shapes, num_classes, f"{name}_logits", bias)
            )
        return predictors.join(boxes, logits, name="ssdlite")

    def _next(
        self, features: keras.KerasTensor, filters: int, name: str
    ) -> keras.KerasTensor:
        reduced = convolutions.conv_norm(
            features,
            filters // 2,
            norm=self.norm,
            activation=self.activation,
            name=f"{name}_reduce",
        )
        smaller = convolutions.depthwise_norm(
            reduced,
            3,
            stride=2,
            padding=self.padding,
            norm=self.norm,
            activation=self.activation,
            name=f"{name}_depthwise",
        )
        return convolutions.conv_norm(
            smaller,
            filters,
            norm=self.norm,
            activation=self.activation,
            name=f"{name}_project",
        )

    def _predict(
        self,
        features: keras.KerasTensor,
        shapes: int,
        values: int,
        name: str,
        bias: float = 0.0,
    ) -> keras.KerasTensor:
        x = convolutions.depthwise_norm(
            features,
            3,
            norm=self.norm,
            activation=self.activation,
            name=f"{name}_depthwise",
        )
        return predictors.predict(x, shapes, values, name=name, bias=bias)


MOBILENET_V3 = SSDLite(class_prior=0.01)
TORCHVISION = SSDLite(anchors=anchor_kinds.TorchvisionAnchors(), padding="symmetric")
