"""The images of an experiment that an export needs."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from official import experiment as experiment_lib
from official.data import errors, pipeline
from official.report import terminal
from tflite_export import calibration


def evaluation_batches(
    experiment: experiment_lib.Experiment,
) -> Iterator[tuple[Any, Any]]:
    """Images and targets of the evaluation set, with a progress bar.

    Raises:
        DataError: If the data is missing or wrong.
    """
    batches = pipeline.evaluation_batches(
        experiment.dataset, experiment.eval, experiment.task.preprocess
    )
    count = experiment.eval.count(experiment.dataset)
    total = math.ceil(count / experiment.eval.batch_size)
    with errors.clear():
        yield from terminal.track(batches, "comparing", total=total)


def evaluation_images(
    experiment: experiment_lib.Experiment, *, count: int
) -> Iterator[np.ndarray]:
    """The first images of the evaluation set, float32 `[H, W, 3]`, pixels 0..255.

    Raises:
        DataError: If the data is missing or wrong.
    """
    source = dataclasses.replace(
        experiment.eval, limit=min(count, experiment.eval.count(experiment.dataset))
    )
    batches = pipeline.evaluation_batches(
        experiment.dataset, source, experiment.task.preprocess
    )
    with errors.clear():
        for images, _ in batches:
            yield from np.asarray(images)


def calibration_images(experiment: experiment_lib.Experiment) -> np.ndarray:
    """uint8 `[N, H, W, 3]`: training images, prepared as for evaluation.

    Raises:
        DataError: If the data is missing or wrong.
    """
    count = min(
        experiment.export.calibration_examples,
        experiment.train.count(experiment.dataset),
    )
    images = pipeline.calibration_images(
        experiment.dataset,
        experiment.train,
        experiment.task.preprocess,
        count=count,
        seed=experiment.seed,
    )
    shown = terminal.track(images, "reading calibration images", total=count)
    return calibration.collect(shown)
