"""What an augmentation is: a random change of an image that leaves its label true."""

import abc
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

GRAY = 128
"""Pixel value of what comes into view from outside of an image."""

# Folded into the seed, far from the numbers that `transforms` and `crops` fold in.
_FIRST_SALT = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation(abc.ABC):
    """Runs in `tf.data`, on one image at its final size."""

    @abc.abstractmethod
    def __call__(self, image: "tf.Tensor", *, seed: "tf.Tensor") -> "tf.Tensor":
        """The changed image; the same for the same seed, wherever it runs.

        Args:
            image: float32 `[H, W, 3]`, RGB, 0..255.
            seed: int32 `[2]`, what all that is random depends on.

        Returns:
            float32 of the same shape, 0..255.
        """


def apply(
    augmentations: Sequence[Augmentation], image: "tf.Tensor", *, seed: "tf.Tensor"
) -> "tf.Tensor":
    """One after the other, each with a seed of its own made of `seed`."""
    import tensorflow as tf

    for number, augmentation in enumerate(augmentations):
        own_seed = tf.random.experimental.stateless_fold_in(seed, _FIRST_SALT + number)
        image = augmentation(image, seed=own_seed)
    return image


def require_share(name: str, value: float) -> None:
    """Raises ValueError unless a field's value is in 0..1."""
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} {value}: want a share in 0..1")
