"""Draws what predictors make of the first evaluation images into the run folder."""

import io
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from official import atomic
from official.data import base as data_base
from official.data import pipeline
from official.report import pictures
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
    """Writes `0.png`, `1.png`, ...: input, truth, and each predictor's classes.

    Args:
        experiment: Says which images, classes and colors.
        predictors: By caption.
        folder: Is made if need be.
        count: Number of pictures, spread over the evaluation set.

    Raises:
        DataError: If an example cannot be read.
    """
    dataset = experiment.dataset
    files = []
    for number, example in enumerate(pipeline.picked(dataset, experiment.eval, count)):
        image, targets = experiment.task.preprocess(example, training=False)
        batch = {name: np.asarray(value)[None] for name, value in targets.items()}
        maps = {"truth": np.asarray(example["semantic"])}
        for caption, predictor in predictors.items():
            outputs = predictor(np.asarray(image)[None])
            predictions = experiment.task.postprocess(outputs, batch)
            maps[caption] = predictions["class_ids"][0]
        files.append(_write(example, maps, dataset, folder / f"{number}.png"))
    return files


def _write(
    example: data_base.Example,
    maps: Mapping[str, np.ndarray],
    dataset: data_base.Dataset,
    file: pathlib.Path,
) -> pathlib.Path:
    panel = pictures.segmentation_panel(
        np.asarray(example["image"]),
        maps,
        class_names=dataset.class_names,
        palette=dataset.palette,
    )
    content = io.BytesIO()
    panel.save(content, "PNG")
    atomic.write(file, content.getvalue())
    return file
