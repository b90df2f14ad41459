"""Policies of image operations that a search has found."""

import dataclasses
from typing import Literal

import tensorflow as tf

from official.data.augmentation import base, magnitudes

Step = tuple[str, float, int]
"""Operation, probability, magnitude."""

Policy = tuple[tuple[Step, Step], ...]
"""Each row is one sub-policy: its two steps follow each other."""

_V0: Policy = (
    (("equalize", 0.8, 1), ("shear_y", 0.8, 4)),
    (("color", 0.4, 9), ("equalize", 0.6, 3)),
    (("color", 0.4, 1), ("rotate", 0.6, 8)),
    (("solarize", 0.8, 3), ("equalize", 0.4, 7)),
    (("solarize", 0.4, 2), ("solarize", 0.6, 2)),
    (("color", 0.2, 0), ("equalize", 0.8, 8)),
    (("equalize", 0.4, 8), ("solarize_add", 0.8, 3)),
    (("shear_x", 0.2, 9), ("rotate", 0.6, 8)),
    (("color", 0.6, 1), ("equalize", 1.0, 2)),
    (("invert", 0.4, 9), ("rotate", 0.6, 0)),
    (("equalize", 1.0, 9), ("shear_y", 0.6, 3)),
    (("color", 0.4, 7), ("equalize", 0.6, 0)),
    (("posterize", 0.4, 6), ("autocontrast", 0.4, 7)),
    (("solarize", 0.6, 8), ("color", 0.6, 9)),
    (("solarize", 0.2, 4), ("rotate", 0.8, 9)),
    (("rotate", 1.0, 7), ("translate_y", 0.8, 9)),
    (("shear_x", 0.0, 0), ("solarize", 0.8, 4)),
    (("shear_y", 0.8, 0), ("color", 0.6, 4)),
    (("color", 1.0, 0), ("rotate", 0.6, 2)),
    (("equalize", 0.8, 4), ("equalize", 0.0, 8)),
    (("equalize", 1.0, 4), ("autocontrast", 0.6, 2)),
    (("shear_y", 0.4, 7), ("solarize_add", 0.6, 7)),
    (("posterize", 0.8, 2), ("solarize", 0.6, 10)),
    (("solarize", 0.6, 8), ("equalize", 0.6, 1)),
    (("color", 0.8, 6), ("rotate", 0.4, 5)),
)

_PAPER: Policy = (
    (("posterize", 0.4, 8), ("rotate", 0.6, 9)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, 5)),
    (("equalize", 0.8, 8), ("equalize", 0.6, 3)),
    (("posterize", 0.6, 7), ("posterize", 0.6, 6)),
    (("equalize", 0.4, 7), ("solarize", 0.2, 4)),
    (("equalize", 0.4, 4), ("rotate", 0.8, 8)),
    (("solarize", 0.6, 3), ("equalize", 0.6, 7)),
    (("posterize", 0.8, 5), ("equalize", 1.0, 2)),
    (("rotate", 0.2, 3), ("solarize", 0.6, 8)),
    (("equalize", 0.6, 8), ("posterize", 0.4, 6)),
    (("rotate", 0.8, 8), ("color", 0.4, 0)),
    (("rotate", 0.4, 9), ("equalize", 0.6, 2)),
    (("equalize", 0.0, 7), ("equalize", 0.8, 8)),
    (("invert", 0.6, 4), ("equalize", 1.0, 8)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("rotate", 0.8, 8), ("color", 1.0, 2)),
    (("color", 0.8, 8), ("solarize", 0.8, 7)),
    (("sharpness", 0.4, 7), ("invert", 0.6, 8)),
    (("shear_x", 0.6, 5), ("equalize", 1.0, 9)),
    (("color", 0.4, 0), ("equalize", 0.6, 3)),
    (("equalize", 0.4, 7), ("solarize", 0.2, 4)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, 5)),
    (("invert", 0.6, 4), ("equalize", 1.0, 8)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("equalize", 0.8, 8), ("equalize", 0.6, 3)),
)

_POLICIES = {"v0": _V0, "paper": _PAPER}


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoAugment(base.Augmentation):
    """AutoAugment for ImageNet: one of 25 pairs of operations for each image.

    Cubuk et al., 2018, https://arxiv.org/abs/1805.09501. Magnitudes become arguments as
    in TensorFlow Model Garden, see `magnitudes.Scale`.

    Attributes:
        policy: "v0" is that of the published EfficientNet training and of Model Garden;
            "paper" is the one that the paper prints (table 9), there called
            "reduced_imagenet".
        translate: Way of a translation at magnitude 10, as a share of the image's side:
            the paper's 150 of 331 pixels. (Model Garden's 250 pixels would move an
            image of 224 out of sight.)
    """

    policy: Literal["v0", "paper"] = "v0"
    translate: float = 150 / 331

    def __post_init__(self):
        if self.translate < 0:
            raise ValueError(f"translate {self.translate}: want 0 or more")

    def __call__(self, image: tf.Tensor, *, seed: tf.Tensor) -> tf.Tensor:
        return follow(
            _POLICIES[self.policy],
            image,
            strength=1.0,
            translate=self.translate,
            seed=seed,
        )


def follow(
    rows: Policy,
    image: tf.Tensor,
    *,
    strength: float,
    translate: float,
    seed: tf.Tensor,
) -> tf.Tensor:
    """One row of a policy, drawn at random, on an image.

    Args:
        rows: Of which any is as likely.
        image: float32 `[H, W, 3]`.
        strength: A factor on all magnitudes.
        translate: Way of a translation at magnitude 10, as a share of the image's side.
        seed: Of the draw, and of what the operations draw.
    """
    names = tuple(sorted({name for row in rows for name, _, _ in row}))
    draws = tf.random.stateless_uniform([3], seed)
    row = tf.cast(draws[0] * len(rows), tf.int32)
    seeds = tf.unstack(tf.random.split(seed, 2))
    for number, own_seed in enumerate(seeds):
        steps = [pair[number] for pair in rows]
        name = tf.constant([names.index(step[0]) for step in steps])[row]
        probability = tf.constant([step[1] for step in steps])[row]
        magnitude = tf.constant([strength * step[2] for step in steps])[row]
        image = magnitudes.perform(
            tf.where(draws[1 + number] < probability, name, len(names)),
            image,
            names=names,
            magnitude=magnitude,
            scale="model_garden",
            cutout=0.0,  # no policy has it
            translate=translate,
            seed=own_seed,
        )
    return image
