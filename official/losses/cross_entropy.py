"""Cross-entropy over pixels."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mobile_vision")
class PixelCrossEntropy(keras.losses.Loss):
    """Softmax cross-entropy of each pixel, averaged over each image, then the batch.

    Dividing by the pixels of an image rather than of a batch makes the loss of one
    replica with a whole batch equal to that of two replicas with half a batch each.
    Keeping only the hardest pixels is the bootstrapping of Wu et al., 2016,
    https://arxiv.org/abs/1605.06457, with a fixed share as in DeepLab.

    Args:
        ignore_label: Label of pixels that do not count. An image without any other
            has a loss of zero.
        class_weights: A factor for the pixels of each class, or None.
        hardest_fraction: Share, in (0, 1], of the pixels of an image that counts,
            those with the largest loss.
    """

    def __init__(
        self,
        *,
        ignore_label: int = 255,
        class_weights: tuple[float, ...] | None = None,
        hardest_fraction: float = 1.0,
        name: str = "cross_entropy",
    ):
        super().__init__(name=name, dtype="float32")
        self.ignore_label = ignore_label
        self.class_weights = class_weights
        self.hardest_fraction = hardest_fraction

    def call(self, y_true, y_pred):
        """Loss of each image, `[B]`.

        Args:
            y_true: Holds "semantic", `[B, H, W]`, class ids or `ignore_label`.
            y_pred: Holds "logits", `[B, h, w, C]`, resized to `H, W` (bilinear).
        """
        # Keras hands integer targets on as floats.
        labels = ops.cast(y_true["semantic"], "int32")
        logits = ops.cast(y_pred["logits"], "float32")
        size = labels.shape[1:3]
        if tuple(logits.shape[1:3]) != tuple(size):
            logits = ops.image.resize(logits, size, interpolation="bilinear")
        valid = ops.not_equal(labels, self.ignore_label)
        labels = ops.where(valid, labels, 0)
        losses = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        if self.class_weights is not None:
            weights = ops.convert_to_tensor(self.class_weights, dtype="float32")
            losses = losses * ops.take(weights, labels)
        losses = ops.where(valid, losses, 0.0)
        pixels = size[0] * size[1]
        losses = ops.reshape(losses, (-1, pixels))
        valid = ops.reshape(valid, (-1, pixels))
        counted = ops.sum(ops.cast(valid, "float32"), axis=-1)
        if self.hardest_fraction < 1.0:
            kept = max(1, round(self.hardest_fraction * pixels))
            losses, _ = ops.top_k(losses, kept)
            counted = ops.minimum(counted, float(kept))
        return ops.sum(losses, axis=-1) / ops.maximum(counted, 1.0)

    def get_config(self):
        return {
            "ignore_label": self.ignore_label,
            "class_weights": self.class_weights,
            "hardest_fraction": self.hardest_fraction,
            "name": self.name,
        }
