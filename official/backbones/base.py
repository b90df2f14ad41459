"""What a backbone is."""

import abc
import dataclasses

import keras

Features = dict[str, keras.KerasTensor]
"""Named feature maps `[B, H / stride, W / stride, C]`.

`C1` to `C5`: the last output of level k, whose stride is `min(2**k, output_stride)`.
`C5` is the last feature map before global pooling (after the last 1x1 convolution).
`C{k}_expand`: the expansion of the first block of level k, before its depthwise
convolution, thus at the stride of level k - 1 (SSDLite taps `C5_expand`).
`C{k}_depthwise`: the depthwise output (after norm and activation, before
squeeze-excite) of the last block of level k that has one between expansion and
projection (the panoptic heads' tap).
`C5_project`: the output of the last block, before the last 1x1 convolution.
`embedding`: `[B, 1, 1, C]`, what the architecture's classifier reads: C5 pooled and,
where it has one, through the 1x1 convolution that follows.

A tap that an architecture does not have (an expansion, where its blocks have none) is
absent.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Backbone(abc.ABC):
    """Maps images to features; called on a Keras tensor, it adds layers to a graph."""

    @abc.abstractmethod
    def __call__(self, images: keras.KerasTensor) -> Features:
        """Adds the network.

        Args:
            images: `[B, H, W, 3]`, RGB scaled to [-1, 1].

        Raises:
            ValueError: If a field holds a value that the architecture does not have.
        """
