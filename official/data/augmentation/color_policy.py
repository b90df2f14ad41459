"""A policy of image operations that move no pixel."""

import dataclasses
from typing import TYPE_CHECKING

from official.data.augmentation import auto_augment, base

if TYPE_CHECKING:
    import tensorflow as tf

_ROWS: auto_augment.Policy = (
    (("sharpness", 0.4, 7), ("brightness", 0.2, 10)),
    (("equalize", 0.0, 9), ("contrast", 0.2, 10)),
    (("sharpness", 0.2, 9), ("color", 0.2, 9)),
    (("solarize", 0.2, 7), ("equalize", 0.6, 9)),
    (("sharpness", 0.2, 1), ("equalize", 0.2, 7)),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ColorPolicy(base.Augmentation):
    """One of five pairs of operations on the colors; label maps stay true.

    The "simple_classification_policy" with which kMaX-DeepLab is trained on COCO and
    ADE20K; on Cityscapes with `strength` 0.2:
    https://github.com/google-research/deeplab2, `data/preprocessing/
    autoaugment_policy.py`. Magnitudes become arguments as there ("model_garden", see
    `magnitudes.Scale`): brightness, contrast, color and sharpness change nothing at
    magnitude 5, so that a `strength` below 1 is not the weaker one. Contrast is about
    the mean gray, as PIL has it; deeplab2's is about white.

    Attributes:
        strength: A factor on all magnitudes, 0 to 1.
    """

    strength: float = 1.0

    def __post_init__(self):
        base.require_share("strength", self.strength)

    def __call__(self, image: "tf.Tensor", *, seed: "tf.Tensor") -> "tf.Tensor":
        return auto_augment.follow(
            _ROWS,
            image,
            strength=self.strength,
            translate=0.0,  # no row has it
            seed=seed,
        )
