"""A few image operations, drawn anew for every image."""

import dataclasses

import tensorflow as tf

from official import spelling
from official.data.augmentation import base, magnitudes


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandAugment(base.Augmentation):
    """RandAugment: `layers` operations in a row, all of one magnitude.

    Cubuk et al., 2019, https://arxiv.org/abs/1909.13719. Operations and numbers are
    those of TensorFlow Model Garden, which writes `cutout` and `translate` in pixels
    of an image of 224; here they are shares, and follow the image's size.

    Attributes:
        layers: Operations on each image.
        magnitude: Strength, 0 to 10; recipes for larger networks go up to 15.
        magnitude_std: Deviation of the magnitude, drawn for each operation from a
            normal distribution and kept at 0 or more.
        probability: Of each operation to be applied.
        scale: How magnitudes become arguments, see `magnitudes.Scale`. Recipes of
            Model Garden are meant with its own.
        cutout: Half of the side of Cutout's square at magnitude 10, as a share of the
            image's shorter side.
        translate: Way of a translation at magnitude 10, as a share of the image's side.
        exclude: Operations that are never drawn; of `magnitudes.NAMES`.
    """

    layers: int = 2
    magnitude: float = 10.0
    magnitude_std: float = 0.0
    probability: float = 1.0
    scale: magnitudes.Scale = "increasing"
    cutout: float = 40 / 224
    translate: float = 10 / 224
    exclude: tuple[str, ...] = ()

    def __post_init__(self):
        base.require_share("probability", self.probability)
        for name, least in (
            ("layers", 1),
            ("magnitude", 0),
            ("magnitude_std", 0),
            ("cutout", 0),
            ("translate", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} {getattr(self, name)}: want {least} or more")
        for name in self.exclude:
            if name not in magnitudes.NAMES:
                raise ValueError(
                    f"exclude: no operation {name!r}"
                    f"{spelling.hint(name, magnitudes.NAMES)} "
                    f"(there are: {', '.join(magnitudes.NAMES)})"
                )
        if not self._names():
            raise ValueError("exclude leaves no operation: take one out")

    def __call__(self, image: tf.Tensor, *, seed: tf.Tensor) -> tf.Tensor:
        seeds = tf.unstack(tf.random.split(seed, self.layers))
        for own_seed in seeds:
            image = self._one(image, own_seed)
        return image

    def _one(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        names = self._names()
        draws = tf.random.stateless_uniform([2], seed)
        drawn = tf.cast(draws[0] * len(names), tf.int32)
        first, second = tf.unstack(tf.random.split(seed, 2))
        deviation = 0.0
        if self.magnitude_std:
            deviation = self.magnitude_std * tf.random.stateless_normal([], first)
        return magnitudes.perform(
            tf.where(draws[1] < self.probability, drawn, len(names)),
            image,
            names=names,
            magnitude=tf.maximum(self.magnitude + deviation, 0.0),
            scale=self.scale,
            cutout=self.cutout,
            translate=self.translate,
            seed=second,
        )

    def _names(self) -> tuple[str, ...]:
        return tuple(name for name in magnitudes.NAMES if name not in self.exclude)
