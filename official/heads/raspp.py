"""R-ASPP."""

import dataclasses

import keras

from official.backbones import base as backbones_base
from official.backbones import convolutions, fields
from official.heads import base, maps


@dataclasses.dataclass(frozen=True, kw_only=True)
class RASPP(base.Head):
    """R-ASPP, the reduced ASPP of MobileNetV2: without dilated branches.

    Sandler et al., 2018, https://arxiv.org/abs/1801.04381, section 6.3; the layers in
    detail are recalled, and their parameters agree with Table 7 of the MobileNetV3
    paper: 2.11 M on MobileNetV2, which is tapped before its last convolution
    (`level="C5_project"`), 3.60 M on MobileNetV3-Large.

    Output: "logits" `[B, H, W, num_classes]` at the size of the level. The pooled
    branch is normalized over images alone: train with several images on each replica,
    or with synchronized norms.

    Attributes:
        level: Feature that is classified.
        filters: Channels of each branch and of their projection.
        norm: Batch normalization.
    """

    level: str = "C5"
    filters: int = 256
    norm: convolutions.Norm = convolutions.Norm()

    def __post_init__(self) -> None:
        fields.check_positive(self, "filters")

    def __call__(
        self, features: backbones_base.Features, num_classes: int
    ) -> base.Outputs:
        """Adds the head.

        Raises:
            ValueError: If the level is not among the features.
        """
        inputs = maps.feature(features, self.level, owner="RASPP.level")
        pooled = keras.layers.GlobalAveragePooling2D(keepdims=True, name="raspp_pool")(
            inputs
        )
        pooled = self._conv(pooled, "raspp_pool")
        pooled = maps.resize(pooled, maps.size(inputs), name="raspp_pool_resize")
        joined = keras.layers.Concatenate(name="raspp_concat")(
            [self._conv(inputs, "raspp_branch"), pooled]
        )
        projected = self._conv(joined, "raspp_project")
        logits = maps.classify(projected, num_classes, name="raspp_logits_conv")
        return {"logits": logits}

    def _conv(self, features: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return convolutions.conv_norm(
            features, self.filters, norm=self.norm, activation="relu", name=name
        )
