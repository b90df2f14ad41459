"""The network of an experiment, as it trains and as it is evaluated."""

from typing import TYPE_CHECKING

import keras

from official import failures
from tflite_export.targets import base as targets

if TYPE_CHECKING:
    from official import experiment as experiment_lib


def build(experiment: "experiment_lib.Experiment", *, training: bool) -> keras.Model:
    """The task's network; under a quantization scheme, on the grids of its file.

    Args:
        training: The training form, or the inference form; see `Task.build`.

    Raises:
        RequestError: If it cannot be built or quantized as asked for.
    """
    network = build_float(experiment, training=training)
    return quantized(experiment, network, training=training)


def build_float(
    experiment: "experiment_lib.Experiment", *, training: bool
) -> keras.Model:
    """As `build`, before any quantization."""
    classes = experiment.dataset.num_classes
    try:
        return experiment.task.build(num_classes=classes, training=training)
    except failures.Failure:
        raise
    except ValueError as error:
        raise failures.RequestError(f"task: {error}") from error


def quantized(
    experiment: "experiment_lib.Experiment", network: keras.Model, *, training: bool
) -> keras.Model:
    """A network from `build_float` on the grids of its file, weights included.

    Without a scheme it is the network itself.

    Raises:
        RequestError: If it cannot be quantized as asked for.
    """
    scheme = experiment.quantization
    if scheme is None:
        return network
    rewritten = targets.find(scheme.target).rewrite(network, scheme.precision)
    try:
        return scheme.apply(rewritten.model, training=training)
    except ValueError as error:
        raise failures.RequestError(f"quantization: {error}") from error
