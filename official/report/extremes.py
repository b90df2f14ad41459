"""The best and the worst predictions of an evaluation, drawn for each predictor."""

import json
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from official import atomic
from official.data import pipeline
from official.report import predictions
from official.report.panels import base as panels
from official.tasks import base as tasks_base
from official.tasks import evaluation

if TYPE_CHECKING:
    from official import experiment as experiment_lib

KINDS = ("worst", "best")
TABLE = "extremes.json"
"""What the pictures were chosen by."""

_EACH = 3


class Ranking:
    """Collects how good each prediction of an evaluation is, in its order."""

    def __init__(self, task: tasks_base.Task):
        self._task = task
        self._qualities: list[np.ndarray] = []

    def watch(
        self,
        images: np.ndarray,
        targets: tasks_base.Targets,
        predictions: tasks_base.Predictions,
    ) -> None:
        """As `evaluation.Watch`."""
        del images
        found = self._task.quality(predictions, targets)
        if found is not None:
            self._qualities.append(np.asarray(found, np.float64))

    @property
    def values(self) -> np.ndarray:
        """Of each image of the evaluation, `[N]`."""
        return np.concatenate([np.zeros(0), *self._qualities])

    def places(self, *, each: int = _EACH) -> dict[str, list[int]]:
        """Of `KINDS`, the places in the evaluation set, the most extreme first.

        No image is both; an image that nobody knows about is neither.
        """
        values = self.values
        known = np.flatnonzero(~np.isnan(values))
        order = known[np.argsort(values[known], kind="stable")].tolist()
        worst = order[: min(each, len(order) // 2)]
        best = order[len(worst) :][::-1][:each]
        return {"worst": worst, "best": best}


def draw(
    experiment: "experiment_lib.Experiment",
    predictors: Mapping[str, evaluation.Predictor],
    folder: pathlib.Path,
    *,
    ranking: Ranking,
) -> None:
    """Writes `worst_0.png`, ..., `best_0.png`, ... and `TABLE`.

    Those of before are removed.

    Args:
        predictors: By caption.
        ranking: Of the first one.

    Raises:
        DataError: If an example cannot be read.
    """
    for kind in KINDS:
        for old in folder.glob(f"{kind}_*.png"):
            old.unlink()
    (folder / TABLE).unlink(missing_ok=True)
    panel = panels.of_task(experiment.task)
    chosen = {
        place: f"{kind}_{rank}"
        for kind, places in ranking.places().items()
        for rank, place in enumerate(places)
    }
    if panel is None or not chosen:
        return
    places = sorted(chosen)
    examples = pipeline.at(experiment.dataset, experiment.eval, places)
    for place, example in zip(places, examples, strict=True):
        picture = predictions.picture(experiment, panel, example, predictors)
        predictions.write(picture, folder / f"{chosen[place]}.png")
    content = {
        "by": experiment.task.quality_name,
        "model": next(iter(predictors)),
        "values": {chosen[p]: round(float(ranking.values[p]), 4) for p in places},
    }
    atomic.write(folder / TABLE, json.dumps(content, indent=1) + "\n")


def read(folder: pathlib.Path) -> dict[str, Any]:
    """`TABLE` as `draw` left it: "by", "model", "values"; empty if there is none."""
    file = folder / TABLE
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
