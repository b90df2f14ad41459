"""The network whose scores another one learns."""

import pathlib
from typing import TYPE_CHECKING

import keras

from official import failures
from official.training import checkpoints
from official.weights import published

if TYPE_CHECKING:
    from official import experiment as experiment_lib

NETWORK = "model.keras"
"""The file in a run folder that holds its network, in the inference form."""


def load(experiment: "experiment_lib.Experiment") -> keras.Model | None:
    """The experiment's teacher, its weights fixed; None where it has none.

    Raises:
        RequestError: If it cannot be read, has other classes than the data, or the
            task has no loss that would use it, or one that lacks it.
    """
    weight = getattr(experiment.task, "distillation_weight", 0.0)
    if experiment.teacher is None:
        if weight:
            raise failures.RequestError(
                f"task.distillation_weight = {weight:g} needs a teacher: set teacher "
                "to a run folder or to published weights"
            )
        return None
    if not weight:
        raise failures.RequestError(
            f"teacher = {experiment.teacher!r}: no loss of this task uses it; set "
            "task.distillation_weight, or teacher = None"
        )
    folder = pathlib.Path(experiment.teacher)
    if folder.is_dir():
        network = _of_run(folder, experiment.dataset.class_names)
    else:
        network = _of_publisher(experiment.teacher, experiment.dataset.num_classes)
    if not isinstance(network.output, dict) or "logits" not in network.output:
        raise failures.RequestError(
            f"teacher {experiment.teacher}: its network has no output 'logits'"
        )
    network.trainable = False
    return network


def _of_run(folder: pathlib.Path, classes: tuple[str, ...]) -> keras.Model:
    file = checkpoints.path(folder, "best")
    for wanted in (folder / NETWORK, file):
        if not wanted.is_file():
            raise failures.RequestError(
                f"teacher {folder}: {wanted.relative_to(folder)} is not in this "
                "folder; give the folder of a finished run"
            )
    checkpoints.require_classes(file, checkpoints.state(file), classes)
    try:
        return keras.models.load_model(folder / NETWORK, compile=False)
    except (ValueError, OSError) as error:
        raise failures.RequestError(
            f"teacher {folder / NETWORK}: cannot be read ({error})"
        ) from error


def _of_publisher(name: str, num_classes: int) -> keras.Model:
    # Before anything is downloaded; what is no name at all, `network` refuses.
    if published.is_named(name) and published.find(name).classes != num_classes:
        raise failures.RequestError(
            f"teacher {name}: scores {published.find(name).classes} classes, the data "
            f"set has {num_classes}; fine-tune it on this data first (init_from takes "
            "these weights too) and give that run folder"
        )
    return published.network(name)
