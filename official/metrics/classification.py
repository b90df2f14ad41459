"""How often the class of an image is right."""

from collections.abc import Iterator

import keras
import numpy as np

from official.metrics import calibration

_FEW = 5  # of up to this many classes, the five best always hold the right one


class ClassificationMetrics(keras.metrics.Metric):
    """Top-1, top-5, accuracy of each class and their mean; the confusion matrix.

    All is counted in NumPy, in int64. Images without a label (-1) do not count.

    - `top1`: share of the images whose class is right.
    - `top5`: share of those among whose five largest scores the right class is, for
      more than five classes. Equal scores count against it. Predictions without scores
      have none.
    - `mean_accuracy`: mean of the classes' accuracies, over those that occur.
    - `accuracy/<class>`: share of the images of a class that are found.
    """

    def __init__(self, *, class_names: tuple[str, ...], name: str = "classification"):
        super().__init__(name=name)
        self.class_names = class_names
        self.reset_state()

    def reset_state(self) -> None:
        classes = len(self.class_names)
        self.confusion = np.zeros((classes, classes), np.int64)
        self._among_five: int | None = 0
        self.calibration = calibration.Calibration("classes")

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        """Counts a batch.

        Args:
            y_true: Holds "label", `[B]`, class ids or -1.
            y_pred: Holds "class_ids", `[B]`, and may hold "scores", `[B, C]`.
            sample_weight: Not supported; part of Keras's signature.

        Raises:
            ValueError: If an id is outside the classes.
        """
        if sample_weight is not None:
            raise ValueError("images cannot be weighted here")
        truth = np.asarray(y_true["label"]).astype(np.int64)
        labelled = truth != -1
        truth = truth[labelled]
        guess = np.asarray(y_pred["class_ids"])[labelled]
        classes = len(self.class_names)
        for ids, what in ((truth, "truth"), (guess, "prediction")):
            if ids.size and not 0 <= ids.min() <= ids.max() < classes:
                raise ValueError(
                    f"class ids of the {what} run from {ids.min()} to {ids.max()}, "
                    f"outside 0..{classes - 1}"
                )
        np.add.at(self.confusion, (truth, guess), 1)
        if "scores" not in y_pred:
            self._among_five = None
        elif self._among_five is not None:
            scores = np.asarray(y_pred["scores"])[labelled]
            said = np.take_along_axis(scores, guess[:, None].astype(np.int64), axis=1)
            self.calibration.add(said[:, 0], guess == truth)
            # The right class is among those not below it.
            rivals = scores >= np.take_along_axis(scores, truth[:, None], axis=1)
            among_five = (guess == truth) | (rivals.sum(axis=1) <= _FEW)
            self._among_five += int(among_five.sum())

    def result(self) -> dict[str, float]:
        """The values named above; a class's for each that occurs."""
        hits, truth = np.diag(self.confusion), self.confusion.sum(axis=1)
        total = max(int(truth.sum()), 1)
        accuracy = hits / np.maximum(truth, 1)
        values = {"top1": float(hits.sum() / total)}
        if len(self.class_names) > _FEW and self._among_five is not None:
            values["top5"] = self._among_five / total
        values["mean_accuracy"] = _mean(accuracy[truth > 0])
        names = distinct(self.class_names)
        for class_id in np.flatnonzero(truth):
            values[f"accuracy/{names[class_id]}"] = float(accuracy[class_id])
        return values

    def constant_top1(self) -> float:
        """`top1` of giving every image the class that is most frequent."""
        truth = self.confusion.sum(axis=1)
        return float(truth.max() / max(truth.sum(), 1))


class MultiLabelMetrics(keras.metrics.Metric):
    """Average precision of each class, and its mean over the classes that occur.

    Average precision is the sum of precisions, each times the gain of recall, over all
    thresholds, without interpolation, as scikit-learn's `average_precision_score`; of
    equal scores all are above a threshold or none. Truths that are not known (negative)
    do not count.

    - `mean_average_precision`
    - `average_precision/<class>`: for each class that occurs.
    """

    def __init__(self, *, class_names: tuple[str, ...], name: str = "multi_label"):
        super().__init__(name=name)
        self.class_names = class_names
        self.reset_state()

    def reset_state(self) -> None:
        self._truths: list[np.ndarray] = []
        self._scores: list[np.ndarray] = []

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        """Keeps a batch.

        Args:
            y_true: Holds "labels", `[B, C]`: 0, 1, or negative where not known.
            y_pred: Holds "scores", `[B, C]`.
            sample_weight: Not supported; part of Keras's signature.

        Raises:
            ValueError: If the number of classes is another.
        """
        if sample_weight is not None:
            raise ValueError("images cannot be weighted here")
        truth, scores = np.asarray(y_true["labels"]), np.asarray(y_pred["scores"])
        classes = len(self.class_names)
        for values, what in ((truth, "labels"), (scores, "scores")):
            if values.shape[1:] != (classes,):
                raise ValueError(
                    f"{what} have shape {values.shape}, want [B, {classes}]"
                )
        self._truths.append(truth.astype(np.float32))
        self._scores.append(scores.astype(np.float32))

    def result(self) -> dict[str, float]:
        precisions = {
            name: average_precision(truth, scores)
            for name, truth, scores in self._occurring()
        }
        values = {"mean_average_precision": _mean(np.array([*precisions.values()]))}
        return values | {f"average_precision/{k}": v for k, v in precisions.items()}

    def constant_mean_average_precision(self) -> float:
        """Of scores that are the same for every image: the mean share of positives."""
        return _mean(np.array([truth.mean() for _, truth, _ in self._occurring()]))

    def _occurring(self) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Name, truths and scores of each class with a positive, where known."""
        if not self._truths:
            return
        truths, scores = np.concatenate(self._truths), np.concatenate(self._scores)
        for class_id, name in enumerate(distinct(self.class_names)):
            known = truths[:, class_id] >= 0
            truth = truths[known, class_id] > 0.5
            if truth.any():
                yield name, truth, scores[known, class_id]


def average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Of one class.

    Args:
        truth: bool `[N]`, of which one is True at least.
        scores: float `[N]`.
    """
    order = np.argsort(-scores, kind="stable")
    truth, scores = truth[order], scores[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    hits = np.cumsum(truth)[last]
    gains = np.diff(hits, prepend=0) / hits[-1]
    return float((gains * hits / (last + 1)).sum())


def distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, with the class id where classes share one, as ImageNet's cranes."""
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return tuple(
        name if counts[name] == 1 else f"{name} ({class_id})"
        for class_id, name in enumerate(names)
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else 0.0
