"""LR-ASPP."""

import dataclasses

import keras

from official.backbones import base as backbones_base
from official.backbones import convolutions, fields
from official.heads import base, maps
from official.layers import hard_swish

POOLINGS = ("paper", "global")
GATES = ("hard_sigmoid", "sigmoid")

# The paper pools 49x49 with stride 16x20 on features of stride 16. In pixels: a window
# whose first and last position are 768 apart, at every 256x320.
WINDOW = 768
STRIDES = (256, 320)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LRASPP(base.Head):
    """LR-ASPP, the lite segmentation head of MobileNetV3.

    Howard et al., 2019, https://arxiv.org/abs/1905.02244, section 6.4 and Figure 10.
    Output: "logits" `[B, H, W, num_classes]` at the size of the low level.

    torchvision's `lraspp_mobilenet_v3_large` is `pooling="global", gate="sigmoid"` on
    a MobileNetV3 of output stride 16, but taps the first block of C3, not the last.

    Attributes:
        low_level: Feature whose detail is added at the end.
        high_level: Feature that is pooled and gated.
        filters: Channels of both branches on the high level.
        pooling: "paper": average of 49x49 at every 16x20, for features of stride 16;
            at other strides the same in pixels (25x25 at every 8x10 for stride 32), and
            the window is cut to the size of the feature where that is smaller.
            "global": one window, as torchvision.
        gate: "hard_sigmoid", or "sigmoid", as torchvision.
        norm: Batch normalization.
    """

    low_level: str = "C3"
    high_level: str = "C5"
    filters: int = 128
    pooling: str = "paper"
    gate: str = "hard_sigmoid"
    norm: convolutions.Norm = convolutions.Norm()

    def __post_init__(self) -> None:
        fields.check_positive(self, "filters")
        fields.check_choice(self, "pooling", POOLINGS)
        fields.check_choice(self, "gate", GATES)

    def __call__(
        self, features: backbones_base.Features, num_classes: int
    ) -> base.Outputs:
        """Adds the head.

        Raises:
            ValueError: If a level is not among the features.
        """
        low = maps.feature(features, self.low_level, owner="LRASPP.low_level")
        high = maps.feature(features, self.high_level, owner="LRASPP.high_level")
        branch = convolutions.conv_norm(
            high, self.filters, norm=self.norm, activation="relu", name="lraspp_branch"
        )
        gate = self._gate(high, maps.stride(features, high))
        branch = keras.layers.Multiply(name="lraspp_multiply")([branch, gate])
        branch = maps.resize(branch, maps.size(low), name="lraspp_resize")
        logits = keras.layers.Add(name="lraspp_logits")(
            [
                maps.classify(low, num_classes, name="lraspp_low_logits_conv"),
                maps.classify(branch, num_classes, name="lraspp_high_logits_conv"),
            ]
        )
        return {"logits": logits}

    def _gate(self, high: keras.KerasTensor, stride: int) -> keras.KerasTensor:
        """A factor for each channel, `[B, 1, 1, F]` or of the size of `high`."""
        gate = keras.layers.Conv2D(
            self.filters,
            1,
            use_bias=False,
            kernel_initializer=convolutions.kernel_initializer(),
            name="lraspp_gate_conv",
        )(self._pool(high, stride))
        if self.gate == "sigmoid":
            gate = keras.layers.Activation("sigmoid", name="lraspp_gate")(gate)
        else:
            gate = hard_swish.HardSigmoid(name="lraspp_gate")(gate)
        if maps.size(gate) == (1, 1):  # the product broadcasts it
            return gate
        return maps.resize(gate, maps.size(high), name="lraspp_gate_resize")

    def _pool(self, high: keras.KerasTensor, stride: int) -> keras.KerasTensor:
        size = maps.size(high)
        side = WINDOW // stride + 1
        window = (min(side, size[0]), min(side, size[1]))
        if self.pooling == "global" or window == size:
            return keras.layers.GlobalAveragePooling2D(
                keepdims=True, name="lraspp_pool"
            )(high)
        return keras.layers.AveragePooling2D(
            window,
            strides=(STRIDES[0] // stride, STRIDES[1] // stride),
            name="lraspp_pool",
        )(high)
