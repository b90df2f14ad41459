"""Losses of detectors with anchors.

All read from the targets "anchor_classes", `[B, A]` (0 background, then the class + 1;
-1 does not count), "anchor_boxes", `[B, A, 4]` (what each matched anchor should give,
encoded) and "positives", `[B]`: the mean number of matched anchors of an image, over
the whole batch on all replicas and the same in each row. The loss of an image is the
sum over its anchors, divided by that; the mean over images is then the sum over the
batch divided by all its matched anchors, on one replica and on several.
"""

# B batch, A anchors, C classes

import abc

import keras
from keras import ops

SCORES = ("sigmoid", "softmax")


class _AnchorLoss(keras.losses.Loss, abc.ABC):
    def __init__(self, *, weight: float, name: str):
        super().__init__(name=name, dtype="float32")
        self.weight = weight

    def call(self, y_true, y_pred):
        """Loss of each image, `[B]`."""
        # Keras hands integer targets on as floats.
        classes = ops.cast(y_true["anchor_classes"], "int32")
        positives = ops.cast(y_true["positives"], "float32")
        return self.weight * self._summed(classes, y_true, y_pred) / positives

    @abc.abstractmethod
    def _summed(self, classes, y_true, y_pred):
        """The sum over the anchors of each image, `[B]`."""

    def get_config(self):
        return {"weight": self.weight, "name": self.name}


@keras.saving.register_keras_serializable(package="mobile_vision")
class FocalLoss(_AnchorLoss):
    """Focal loss of each class by itself, for scores by sigmoid.

    Lin et al., 2017, https://arxiv.org/abs/1708.02002. The weights are those of the
    detectors of MobileNetV3; the paper has an alpha of 0.25.

    Args:
        alpha: Weight of the class of a matched anchor; 1 - alpha is that of all others.
        gamma: Power of the error that weighs each term.
        weight: Factor of the loss.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.75,
        gamma: float = 2.0,
        weight: float = 1.0,
        name: str = "classes",
    ):
        super().__init__(weight=weight, name=name)
        if not 0 < alpha < 1:
            raise ValueError(f"FocalLoss.alpha = {alpha!r}: must be in (0, 1)")
        if not gamma >= 0:
            raise ValueError(f"FocalLoss.gamma = {gamma!r}: must not be below 0")
        self.alpha = alpha
        self.gamma = gamma

    def _summed(self, classes, y_true, y_pred):
        del y_true
        logits = ops.cast(y_pred["logits"], "float32")
        hits = _hits(classes, logits.shape[-1])
        # Of the right answer, so that both cases are one formula.
        right = ops.where(hits, logits, -logits)
        modulated = -ops.exp(self.gamma * ops.log_sigmoid(-right))
        losses = modulated * ops.log_sigmoid(right)
        losses = ops.where(hits, self.alpha, 1.0 - self.alpha) * losses
        losses = ops.where((classes >= 0)[..., None], losses, 0.0)
        return ops.sum(losses, axis=(1, 2))

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha, "gamma": self.gamma}


@keras.saving.register_keras_serializable(package="mobile_vision")
class HardNegativeLoss(_AnchorLoss):
    """Cross-entropy of matched anchors and of the worst of the background.

    Liu et al., 2015, https://arxiv.org/abs/1512.02325, section 2.2. Anchors are chosen
    within each image. The Object Detection API also thins the chosen by suppression at
    an overlap of 0.99 and takes at most 3000, which is not done here.

    Args:
        scores: "sigmoid": binary cross-entropies, summed over the classes. "softmax":
            the first class is the background.
        ratio: Background anchors for each matched one.
        min_negatives: Least number of background anchors of an image, also of one
            without a matched anchor: 3 in the Object Detection API, 0 in torchvision.
        weight: Factor of the loss.
    """

    def __init__(
        self,
        *,
        scores: str = "sigmoid",
        ratio: float = 3.0,
        min_negatives: int = 3,
        weight: float = 1.0,
        name: str = "classes",
    ):
        super().__init__(weight=weight, name=name)
        if scores not in SCORES:
            raise ValueError(
                f"HardNegativeLoss.scores = {scores!r}: must be one of "
                + ", ".join(map(repr, SCORES))
            )
        if ratio < 0 or min_negatives < 0:
            raise ValueError(
                f"HardNegativeLoss: ratio {ratio!r} and min_negatives "
                f"{min_negatives!r} must not be below 0"
            )
        self.scores = scores
        self.ratio = ratio
        self.min_negatives = min_negatives

    def _summed(self, classes, y_true, y_pred):
        del y_true
        losses = self._of_anchors(classes, ops.cast(y_pred["logits"], "float32"))
        matched = classes > 0
        anchors = losses.shape[-1]
        counts = ops.sum(ops.cast(matched, "float32"), axis=-1, keepdims=True)
        kept = ops.maximum(self.ratio * counts, float(self.min_negatives))
        # Losses are not negative: whatever does not count is as good as last.
        negatives = ops.where(classes == 0, losses, 0.0)
        worst, _ = ops.top_k(negatives, anchors)
        chosen = ops.arange(anchors, dtype="float32") < kept
        return ops.sum(
            ops.where(matched, losses, 0.0) + ops.where(chosen, worst, 0.0), axis=-1
        )

    def _of_anchors(self, classes, logits):
        """Cross-entropies, `[B, A]`."""
        if self.scores == "softmax":
            targets = ops.one_hot(ops.maximum(classes, 0), logits.shape[-1])
            return -ops.sum(targets * ops.log_softmax(logits, axis=-1), axis=-1)
        hits = _hits(classes, logits.shape[-1])
        return -ops.sum(ops.log_sigmoid(ops.where(hits, logits, -logits)), axis=-1)

    def get_config(self):
        return {
            **super().get_config(),
            "scores": self.scores,
            "ratio": self.ratio,
            "min_negatives": self.min_negatives,
        }


@keras.saving.register_keras_serializable(package="mobile_vision")
class BoxLoss(_AnchorLoss):
    """Huber loss of the encodings of matched anchors, summed over the coordinates.

    Args:
        delta: Error from which on the loss is linear, with a slope of delta.
        weight: Factor of the loss: 0.25 makes it the mean over the coordinates, as in
            the detectors of MobileNetV3 (`normalize_loc_loss_by_codesize`).
    """

    def __init__(self, *, delta: float = 1.0, weight: float = 1.0, name: str = "boxes"):
        super().__init__(weight=weight, name=name)
        if not delta > 0:
            raise ValueError(f"BoxLoss.delta = {delta!r}: must be above 0")
        self.delta = delta

    def _summed(self, classes, y_true, y_pred):
        wanted = ops.cast(y_true["anchor_boxes"], "float32")
        errors = ops.abs(ops.cast(y_pred["box_encodings"], "float32") - wanted)
        # Squared up to delta, and from there linear.
        near = ops.minimum(errors, self.delta)
        losses = near * (errors - 0.5 * near)
        losses = ops.where((classes > 0)[..., None], losses, 0.0)
        return ops.sum(losses, axis=(1, 2))

    def get_config(self):
        return {**super().get_config(), "delta": self.delta}


def _hits(classes, num_classes: int):
    """Whether a class is that of the anchor, bool `[B, A, C]`; none of background."""
    return (classes - 1)[..., None] == ops.arange(num_classes, dtype="int32")
