"""Draws what predictors make of evaluation images into the run folder."""

import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from official import atomic
from official.data import pipeline
from official.report.panels import base as panels
from official.tasks import base as tasks_base
from official.tasks import evaluation

if TYPE_CHECKING:
    from official import experiment as experiment_lib


def draw(
    experiment: "experiment_lib.Experiment",
    predictors: Mapping[str, evaluation.Predictor],
    folder: pathlib.Path,
    *,
    count: int = 8,
) -> list[pathlib.Path]:
    """Writes `0.png`, `1.png`, ...: input, truth, and what each predictor says.

    Args:
        experiment: Says which images, classes and colors.
        predictors: By caption.
        folder: Is made if need be.
        count: Number of pictures, spread over the evaluation set.

    Raises:
        DataError: If an example cannot be read.
    """
    panel, dataset = panels.of_task(experiment.task), experiment.dataset
    if panel is None:
        return []
    files = []
    for number, example in enumerate(pipeline.picked(dataset, experiment.eval, count)):
        picture = panel.draw(
            np.asarray(example["image"]),
            panel.truth(example),
            _predictions(experiment.task, example, predictors),
            class_names=dataset.class_names,
            palette=dataset.palette,
        )
        files.append(write(picture, folder / f"{number}.png"))
    return files


def mistakes(task: tasks_base.Task) -> panels.Mistakes:
    """Collects the worst predictions of a task; see `evaluation.evaluate`."""
    panel = panels.of_task(task)
    return panel.mistakes() if panel else panels.Mistakes()


def write_mistakes(
    found: panels.Mistakes, folder: pathlib.Path, *, class_names: Sequence[str]
) -> None:
    """Writes `mistakes.png`; if there are none, removes that of before."""
    file = folder / "mistakes.png"
    sheet = found.sheet(class_names)
    if sheet is None:
        file.unlink(missing_ok=True)
    else:
        write(sheet, file)


def write(picture: Image.Image, file: pathlib.Path) -> pathlib.Path:
    """Writes a PNG whole or not at all."""
    content = io.BytesIO()
    picture.save(content, "PNG")
    atomic.write(file, content.getvalue())
    return file


def _predictions(
    task: tasks_base.Task,
    example: dict,
    predictors: Mapping[str, evaluation.Predictor],
) -> dict[str, panels.Predictions]:
    image, targets = task.preprocess(example, training=False)
    batch = {name: np.asarray(value)[None] for name, value in targets.items()}
    found: dict[str, panels.Predictions] = {}
    for caption, predictor in predictors.items():
        outputs = predictor(np.asarray(image)[None])
        rows = task.postprocess(outputs, batch)
        found[caption] = {name: value[0] for name, value in rows.items()}
    return found
