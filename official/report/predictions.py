"""Draws what predictors make of evaluation images into the run folder."""

import io
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from official import atomic
from official.data import base as data_base
from official.data import errors, pipeline
from official.report.panels import base as panels
from official.tasks import base as tasks_base
from official.tasks import evaluation

if TYPE_CHECKING:
    from official import experiment as experiment_lib


TRAINING = "training.png"
"""Training images with their labels, in the folder of predictions."""

_COLUMNS = 4
_MARGIN = 6


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
        drawn = picture(experiment, panel, example, predictors)
        files.append(write(drawn, folder / f"{number}.png"))
    return files


def picture(
    experiment: "experiment_lib.Experiment",
    panel: panels.Panel,
    example: data_base.Example,
    predictors: Mapping[str, evaluation.Predictor],
) -> Image.Image:
    """Input, truth, and what each predictor says of one example.

    Args:
        panel: Of the task.
        example: Of the evaluation set.
        predictors: By caption.
    """
    return panel.draw(
        np.asarray(example["image"]),
        panel.truth(example),
        _predictions(experiment.task, example, predictors),
        class_names=experiment.dataset.class_names,
        palette=experiment.dataset.palette,
    )


def draw_training(
    experiment: "experiment_lib.Experiment",
    batches: Iterable[tuple[Any, tasks_base.Targets]],
    folder: pathlib.Path,
    *,
    count: int = 8,
) -> pathlib.Path | None:
    """Writes `training.png`: augmented training images with their labels.

    Args:
        batches: Of training; as many are taken as are needed.
        folder: Is made if need be.

    Returns:
        The picture; None for a task whose labels nobody draws.

    Raises:
        DataError: If an example cannot be read.
    """
    panel, dataset = panels.of_task(experiment.task), experiment.dataset
    if panel is None or not panel.draws_samples:
        return None
    tiles: list[Image.Image] = []
    with errors.clear():
        for images, targets in batches:
            for row, image in enumerate(np.asarray(images)):
                of_row = {name: np.asarray(v)[row] for name, v in targets.items()}
                pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
                tiles.append(
                    panel.sample(
                        pixels,
                        of_row,
                        class_names=dataset.class_names,
                        palette=dataset.palette,
                    )
                )
            if len(tiles) >= count:
                break
    return write(_sheet(tiles[:count]), folder / TRAINING)


def _sheet(tiles: Sequence[Image.Image]) -> Image.Image:
    """Tiles of one size in rows."""
    width, height = tiles[0].size
    columns = min(_COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    step = (width + _MARGIN, height + _MARGIN)
    sheet = Image.new(
        "RGB", (columns * step[0] + _MARGIN, rows * step[1] + _MARGIN), "white"
    )
    for number, tile in enumerate(tiles):
        x, y = number % columns * step[0], number // columns * step[1]
        sheet.paste(tile, (x + _MARGIN, y + _MARGIN))
    return sheet


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
