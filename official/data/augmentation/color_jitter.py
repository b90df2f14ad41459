"""Random changes of brightness, contrast, saturation and hue."""

import dataclasses
from typing import TYPE_CHECKING

from official.data import transforms
from official.data.augmentation import base

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True, kw_only=True)
class ColorJitter(base.Augmentation):
    """All four drawn uniformly; see `transforms.color_jitter`.

    The defaults are those of the Inception preprocessing in TensorFlow's "slim" models.

    Attributes:
        brightness: Largest shift, as a share of 255.
        contrast: Largest change of the factor 1 on the distance to the mean gray.
        saturation: Largest change of the factor 1 on the distance to a pixel's gray.
        hue: Largest turn, as a share of the circle.
    """

    brightness: float = 32 / 255
    contrast: float = 0.5
    saturation: float = 0.5
    hue: float = 0.2

    def __post_init__(self):
        for name in ("brightness", "contrast", "saturation", "hue"):
            base.require_share(name, getattr(self, name))

    def __call__(self, image: "tf.Tensor", *, seed: "tf.Tensor") -> "tf.Tensor":
        return transforms.color_jitter(
            image,
            brightness=self.brightness,
            contrast=self.contrast,
            saturation=self.saturation,
            hue=self.hue,
            seed=seed,
        )
