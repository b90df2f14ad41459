"""Images that are made of two, with the labels of both."""

import dataclasses
from typing import Any

import tensorflow as tf

Targets = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixing:
    """Mixup and CutMix: each image of a batch is mixed with the one before it.

    Mixup blends the two (Zhang et al., 2017, https://arxiv.org/abs/1710.09412); CutMix
    pastes a rectangle of the other (Yun et al., 2019, https://arxiv.org/abs/1905.04899).
    Every image draws for itself whether, how and how much. The defaults are those of
    TensorFlow Model Garden.

    Attributes:
        mixup_alpha: The image's share in Mixup is drawn from Beta(alpha, alpha); 0
            leaves CutMix alone.
        cutmix_alpha: The same for CutMix; 0 leaves Mixup alone.
        probability: Of an image to be mixed.
        switch_probability: Of CutMix where both are on.
    """

    mixup_alpha: float = 0.8
    cutmix_alpha: float = 1.0
    probability: float = 1.0
    switch_probability: float = 0.5

    def __post_init__(self):
        for name in ("mixup_alpha", "cutmix_alpha"):
            if getattr(self, name) < 0.0:
                raise ValueError(f"{name} {getattr(self, name)}: want 0 or more")
        for name in ("probability", "switch_probability"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} {getattr(self, name)}: want 0..1")
        if not self.mixup_alpha and not self.cutmix_alpha:
            raise ValueError(
                "mixup_alpha and cutmix_alpha are 0: nothing is mixed; set one of "
                "them, or use None in place of Mixing"
            )

    def __call__(
        self, images: tf.Tensor, targets: Targets, *, seed: tf.Tensor
    ) -> tuple[tf.Tensor, Targets]:
        """The mixed batch; runs in `tf.data`.

        Args:
            images: float32 `[B, H, W, 3]`.
            targets: With "label" int32 `[B]` or "labels" float32 `[B, N]`, or both;
                others are left as they are.
            seed: int32 `[2]`, what all that is random depends on.

        Returns:
            images: float32 `[B, H, W, 3]`.
            targets: Beside "label" there are "other_label" int32 `[B]` and "share"
                float32 `[B]`, how much of the image is its own; "labels" are the
                mean of both images' weighted by it.
        """
        weights, shares = self._weights(tf.shape(images)[:3], seed)
        # A batch comes in random order: the image before is a random one.
        others = tf.roll(images, 1, axis=0)
        mixed = weights * images + (1.0 - weights) * others
        return tf.ensure_shape(mixed, images.shape), _mixed(targets, shares)

    def _weights(self, size: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Of the own pixels `[B, H, W, 1]`, and their means `[B]`; size is B, H, W."""
        first, second, third, fourth = tf.unstack(tf.random.split(seed, 4))
        chances = tf.random.stateless_uniform([2, size[0]], first)
        mixes = chances[0] < self.probability
        cuts = chances[1] < self._cutmix_probability()
        blended = _beta(self.mixup_alpha, size[0], second)
        outside, remaining = _boxes(
            _beta(self.cutmix_alpha, size[0], third), size, fourth
        )
        weights = tf.where(cuts[:, None, None], outside, blended[:, None, None])
        weights = tf.where(mixes[:, None, None], weights, 1.0)
        shares = tf.where(mixes, tf.where(cuts, remaining, blended), 1.0)
        return weights[..., None], shares

    def _cutmix_probability(self) -> float:
        if not (self.mixup_alpha and self.cutmix_alpha):
            return float(self.cutmix_alpha > 0)
        return self.switch_probability


def _beta(alpha: float, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws from Beta(alpha, alpha), float32 `[count]`; ones where alpha is 0."""
    if not alpha:
        return tf.ones([count])
    # float64: with a small alpha both draws would often be 0 in float32.
    draws = tf.random.stateless_gamma([2, count], seed, alpha, dtype=tf.float64)
    return tf.cast(draws[0] / tf.reduce_sum(draws, axis=0), tf.float32)


def _boxes(
    shares: tf.Tensor, size: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Rectangles of the image's shape around any pixel, cut off at its edges.

    Args:
        shares: float32 `[B]`, of the image that an uncut rectangle leaves.
        size: B, H, W.

    Returns:
        float32 `[B, H, W]`, 0 in the rectangles and 1 around; and its means `[B]`: what
        the cut off rectangles leave.
    """
    sides = tf.cast(size[1:], tf.float32)
    reach = 0.5 * tf.sqrt(1.0 - shares)[:, None] * sides
    center = tf.random.stateless_uniform([size[0], 2], seed) * sides
    start = tf.maximum(tf.round(center - reach), 0.0)
    end = tf.minimum(tf.round(center + reach), sides)
    area = tf.reduce_prod(end - start, axis=1)
    rows = _within(start[:, 0], end[:, 0], size[1])
    columns = _within(start[:, 1], end[:, 1], size[2])
    inside = rows[:, :, None] & columns[:, None, :]
    return tf.where(inside, 0.0, 1.0), 1.0 - area / tf.reduce_prod(sides)


def _within(start: tf.Tensor, end: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Which of `length` places lie in each interval `[B]`; bool `[B, length]`."""
    places = tf.range(length, dtype=tf.float32)[None]
    return (start[:, None] <= places) & (places < end[:, None])


def _mixed(targets: Targets, shares: tf.Tensor) -> Targets:
    mixed = dict(targets)
    if "label" in targets:
        mixed["other_label"] = tf.roll(targets["label"], 1, axis=0)
        mixed["share"] = shares
    if "labels" in targets:
        others = tf.roll(targets["labels"], 1, axis=0)
        own = shares[:, None]
        mixed["labels"] = own * targets["labels"] + (1.0 - own) * others
    return mixed
