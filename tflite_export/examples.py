"""The images of an experiment that an export needs."""

import contextlib
import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from official import experiment as experiment_lib
from official.data import base as data_base
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
    size = _size(experiment.dataset, experiment.eval)
    total = math.ceil(size / experiment.eval.batch_size)
    with _clear_errors():
        yield from terminal.track(batches, "comparing", total=total)


def calibration_images(experiment: experiment_lib.Experiment) -> np.ndarray:
    """uint8 `[N, H, W, 3]`: training images, prepared as for evaluation.

    Raises:
        DataError: If the data is missing or wrong.
    """
    size = _size(experiment.dataset, experiment.train)
    count = min(experiment.export.calibration_examples, size)
    images = pipeline.calibration_images(
        experiment.dataset,
        experiment.train,
        experiment.task.preprocess,
        count=count,
        seed=experiment.seed,
    )
    with _clear_errors():
        shown = terminal.track(images, "reading calibration images", total=count)
        return calibration.collect(itertools.islice(shown, count))


def _size(dataset: data_base.Dataset, source: pipeline.Input) -> int:
    size = dataset.size(source.split)
    return size if source.limit is None else min(size, source.limit)


@contextlib.contextmanager
def _clear_errors() -> Iterator[None]:
    """Finds the line about the data again in what `tf.data` makes of it."""
    try:
        yield
    except Exception as error:
        found = errors.as_data_error(error)
        if found is None:
            raise
        raise found from error
