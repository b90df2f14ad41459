"""Intersection over union of pixels."""

import keras
import numpy as np


class SegmentationMetrics(keras.metrics.Metric):
    """Per-class IoU, mean IoU under two conventions, and accuracies.

    The confusion matrix is kept in NumPy, int64: the pixels of a data set exceed what
    a float32 variable counts exactly (2**24).

    - `mean_iou`: mean over the classes present in the truth.
    - `mean_iou_cityscapes`: over the classes present in truth or prediction, as
      cityscapesscripts does; a class that is only predicted counts with zero.
    """

    def __init__(
        self,
        *,
        class_names: tuple[str, ...],
        ignore_label: int = 255,
        name: str = "segmentation",
    ):
        super().__init__(name=name)
        self.class_names = class_names
        self.ignore_label = ignore_label
        self.reset_state()

    def reset_state(self) -> None:
        classes = len(self.class_names)
        self.confusion = np.zeros((classes, classes), np.int64)

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        """Counts a batch.

        Args:
            y_true: Holds "semantic", `[B, H, W]`, class ids or `ignore_label`.
            y_pred: Holds "class_ids", `[B, H, W]`.
            sample_weight: Not supported; part of Keras's signature.

        Raises:
            ValueError: If an id is outside the classes.
        """
        if sample_weight is not None:
            raise ValueError("pixels cannot be weighted here")
        truth = np.asarray(y_true["semantic"]).ravel()
        guess = np.asarray(y_pred["class_ids"]).ravel()
        classes = len(self.class_names)
        valid = truth != self.ignore_label
        truth, guess = truth[valid], guess[valid]
        for ids, what in ((truth, "truth"), (guess, "prediction")):
            if ids.size and not 0 <= ids.min() <= ids.max() < classes:
                raise ValueError(
                    f"class ids of the {what} run from {ids.min()} to {ids.max()}, "
                    f"outside 0..{classes - 1}"
                )
        pairs = truth.astype(np.int64) * classes + guess
        counts = np.bincount(pairs, minlength=classes**2)
        self.confusion += counts.reshape(classes, classes)

    def result(self) -> dict[str, float]:
        """The values named above, and `iou/<class>` for each class that occurs."""
        matrix = self.confusion.astype(np.float64)
        hits = np.diag(matrix)
        truth, guess = matrix.sum(axis=1), matrix.sum(axis=0)
        union = truth + guess - hits
        iou = hits / np.maximum(union, 1)
        values = {
            "mean_iou": _mean(iou[truth > 0]),
            "mean_iou_cityscapes": _mean(iou[union > 0]),
            "pixel_accuracy": float(hits.sum() / max(matrix.sum(), 1)),
            "mean_accuracy": _mean((hits / np.maximum(truth, 1))[truth > 0]),
        }
        for class_id in np.flatnonzero(union > 0):
            values[f"iou/{self.class_names[class_id]}"] = float(iou[class_id])
        return values

    def constant_mean_iou(self) -> float:
        """`mean_iou` of predicting one and the same class, the best, everywhere."""
        truth = self.confusion.sum(axis=1)
        present = int((truth > 0).sum())
        return float(truth.max() / max(truth.sum(), 1) / max(present, 1))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else 0.0


def of_image(truth: np.ndarray, guess: np.ndarray, *, ignore_label: int = 255) -> float:
    """Mean IoU of one image over the classes that are in its truth.

    Args:
        truth: Class ids `[H, W]`, or `ignore_label`.
        guess: Class ids `[H, W]`.

    Returns:
        NaN for an image without a labelled pixel.
    """
    valid = truth != ignore_label
    truth, guess = truth[valid], guess[valid]
    size = 1 + max(truth.max(initial=0), guess.max(initial=0))
    true, said, both = (
        np.bincount(ids, minlength=size)
        for ids in (truth, guess, truth[truth == guess])
    )
    there = true > 0
    shares = both[there] / (true + said - both)[there]
    return float(shares.mean()) if shares.size else float("nan")
