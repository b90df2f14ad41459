"""Losses of Panoptic-DeepLab: centres of things, and the way there from each pixel.

Cheng et al., 2020, https://arxiv.org/abs/1911.10194, section 3.3, with its weights. The
loss of an image is divided by what counts in that image (published code divides by what
counts in the batch), so that a batch weighs the same on one replica and on several.
"""

import abc

import keras
from keras import ops


class _PixelLoss(keras.losses.Loss, abc.ABC):
    def __init__(self, *, weight: float, name: str):
        super().__init__(name=name, dtype="float32")
        self.weight = weight

    @abc.abstractmethod
    def call(self, y_true, y_pred):
        """Loss of each image, `[B]`."""

    def _errors(self, name: str, weights, y_true, y_pred):
        """Of an output, `[B, h, w, D]`; what has no weight may hold anything."""
        errors = y_pred[name] - y_true[name]
        return ops.where((weights > 0)[..., None], errors, 0.0)

    def _mean(self, losses, weights):
        """Of `[B, h, w]`, over the pixels of an image by their weights; 0 of none."""
        total = ops.sum(weights, axis=(1, 2))
        losses = ops.sum(weights * losses, axis=(1, 2))
        return self.weight * losses / ops.where(total > 0, total, 1.0)

    def get_config(self):
        return {"weight": self.weight, "name": self.name}


@keras.saving.register_keras_serializable(package="mobile_vision")
class CenterLoss(_PixelLoss):
    """Squared error of the heatmap of centres.

    Args:
        weight: Factor of the loss.
    """

    def __init__(self, *, weight: float = 200.0, name: str = "centers"):
        super().__init__(weight=weight, name=name)

    def call(self, y_true, y_pred):
        """Loss of each image, `[B]`.

        Args:
            y_true: Holds "center_heatmap", `[B, h, w, 1]`, from 0 to 1, and
                "center_weights", `[B, h, w]`, 0 where nothing counts.
            y_pred: Holds "center_heatmap", `[B, h, w, 1]`.
        """
        weights = y_true["center_weights"]
        errors = self._errors("center_heatmap", weights, y_true, y_pred)
        return self._mean(ops.square(errors)[..., 0], weights)


@keras.saving.register_keras_serializable(package="mobile_vision")
class OffsetLoss(_PixelLoss):
    """Absolute error of the offsets, summed over y and x.

    Args:
        weight: Factor of the loss; offsets are in pixels of the input.
    """

    def __init__(self, *, weight: float = 0.01, name: str = "offsets"):
        super().__init__(weight=weight, name=name)

    def call(self, y_true, y_pred):
        """Loss of each image, `[B]`.

        Args:
            y_true: Holds "offsets", `[B, h, w, 2]`, and "offset_weights", `[B, h, w]`,
                0 where there is no thing.
            y_pred: Holds "offsets", `[B, h, w, 2]`.
        """
        weights = y_true["offset_weights"]
        errors = self._errors("offsets", weights, y_true, y_pred)
        return self._mean(ops.sum(ops.abs(errors), axis=-1), weights)
