"""Losses of whole images: one class of several, or each class for itself."""

import abc

import keras
from keras import ops


class _ImageCrossEntropy(keras.losses.Loss, abc.ABC):
    def __init__(
        self,
        *,
        label_smoothing: float = 0.0,
        class_weights: tuple[float, ...] | None = None,
        weight: float = 1.0,
        name: str = "cross_entropy",
    ):
        super().__init__(name=name, dtype="float32")
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing {label_smoothing}: want [0, 1)")
        self.label_smoothing = label_smoothing
        self.class_weights = class_weights
        self.weight = weight

    @abc.abstractmethod
    def call(self, y_true, y_pred):
        """Loss of each image, `[B]`."""

    def get_config(self):
        return {
            "label_smoothing": self.label_smoothing,
            "class_weights": self.class_weights,
            "weight": self.weight,
            "name": self.name,
        }


@keras.saving.register_keras_serializable(package="mobile_vision")
class SoftmaxCrossEntropy(_ImageCrossEntropy):
    """Cross-entropy of the one class of each image, averaged over the batch.

    An unlabelled image (label -1) has a loss of zero and counts in the average, so that
    a batch weighs the same on one replica and on several.

    Args:
        label_smoothing: Share of the target that is spread evenly over all classes
            (Szegedy et al., 2015, https://arxiv.org/abs/1512.00567, section 7).
        class_weights: A factor for the images of each class, or None.
        weight: Factor of the loss.
    """

    def call(self, y_true, y_pred):
        """Loss of each image, `[B]`.

        Args:
            y_true: Holds "label", `[B]`. For mixed images also "other_label", `[B]`,
                and "share", `[B]`: what part of the image is that of "label".
            y_pred: Holds "logits", `[B, C]`.
        """
        log_scores = ops.log_softmax(ops.cast(y_pred["logits"], "float32"), axis=-1)
        losses = self._of_label(y_true["label"], log_scores)
        if "share" in y_true:
            share = ops.cast(y_true["share"], "float32")
            others = self._of_label(y_true["other_label"], log_scores)
            losses = share * losses + (1 - share) * others
        return self.weight * losses

    def _of_label(self, labels, log_scores):
        # Keras hands integer targets on as floats.
        labels = ops.cast(labels, "int32")
        labelled = ops.cast(labels >= 0, "float32")
        labels = ops.maximum(labels, 0)
        hits = ops.one_hot(labels, log_scores.shape[-1], dtype="float32")
        smoothing = self.label_smoothing
        losses = -(1 - smoothing) * ops.sum(hits * log_scores, axis=-1)
        losses = losses - smoothing * ops.mean(log_scores, axis=-1)
        if self.class_weights is not None:
            weights = ops.convert_to_tensor(self.class_weights, dtype="float32")
            labelled = labelled * ops.take(weights, labels)
        return labelled * losses


@keras.saving.register_keras_serializable(package="mobile_vision")
class SigmoidCrossEntropy(_ImageCrossEntropy):
    """Binary cross-entropy of each class, averaged over an image, then the batch.

    Classes that are not known of an image (negative) do not count; where none is, the
    loss of the image is zero.

    Args:
        label_smoothing: The targets 0 and 1 become half of this and 1 less half of it.
        class_weights: A factor for each class, or None.
        weight: Factor of the loss.
    """

    def call(self, y_true, y_pred):
        """Loss of each image, `[B]`.

        Args:
            y_true: Holds "labels", `[B, C]`, from 0 to 1, negative where not known.
            y_pred: Holds "logits", `[B, C]`.
        """
        labels = ops.cast(y_true["labels"], "float32")
        logits = ops.cast(y_pred["logits"], "float32")
        known = ops.cast(labels >= 0, "float32")
        targets = (1 - self.label_smoothing) * labels + self.label_smoothing / 2
        losses = -(
            targets * ops.log_sigmoid(logits) + (1 - targets) * ops.log_sigmoid(-logits)
        )
        if self.class_weights is not None:
            losses = losses * ops.convert_to_tensor(self.class_weights, "float32")
        counted = ops.maximum(ops.sum(known, axis=-1), 1.0)
        return self.weight * ops.sum(known * losses, axis=-1) / counted
