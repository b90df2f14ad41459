"""What is known of a run when its training starts."""

import datetime
import importlib.metadata
import platform
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras

from official.report import machine
from official.training import fine_tuning, trainable
from official.training import strategy as strategies

if TYPE_CHECKING:
    from official import experiment as experiment_lib

_PACKAGES = ("tensorflow", "keras", "jax", "numpy")


def facts(
    experiment: "experiment_lib.Experiment", model: trainable.Trainable
) -> dict[str, Any]:
    """What is trained on what; see `official.report.facts`."""
    task, dataset = experiment.task, experiment.dataset
    trainer, scheme = experiment.trainer, experiment.quantization
    head = getattr(task, "head", None)
    network = {
        "task": type(task).__name__,
        "backbone": type(task.backbone).__name__,
        "head": type(head).__name__ if head is not None else None,
        "parameters": fine_tuning.count(model.network.weights),
        "trained": fine_tuning.count(model.network.trainable_variables),
        "input": list(task.scaled(task.image_size)),
    }
    data = {
        "kind": type(dataset).__name__,
        "where": getattr(dataset, "data_dir", None) or getattr(dataset, "name", None),
        "classes": dataset.num_classes,
        "training": experiment.train.count(dataset),
        "evaluation": experiment.eval.count(dataset),
    }
    training = {
        "weights": experiment.init_from,
        "epochs": trainer.epochs,
        "batch": experiment.train.batch_size,
        "optimizer": type(experiment.optimizer).__name__,
        "precision": trainer.precision,
        "seed": experiment.seed,
        "quantization": f"trained for {scheme.precision}" if scheme else None,
    }
    return {"network": network, "data": data, "training": training}


def circumstances(
    experiment: "experiment_lib.Experiment", arguments: Sequence[str] | None
) -> dict[str, Any]:
    """Where and when a training starts.

    Args:
        arguments: Of the command `train.py`; None where it was none.
    """
    strategy = strategies.connect(experiment.trainer.strategy)
    kinds = {name.partition(":")[0] for name in keras.distribution.list_devices()}
    # Of all that this process sees, a replica has one.
    kind = next((each.upper() for each in ("gpu", "tpu") if each in kinds), "replicas")
    replicas = strategy.num_replicas_in_sync
    used = replicas > 1 or kind != "replicas"
    now = datetime.datetime.now(datetime.UTC)
    return {
        "arguments": None if arguments is None else list(arguments),
        "date": now.strftime("%Y-%m-%d %H:%M UTC"),
        "processor": machine.processor(),
        "cores": machine.cores(),
        "devices": f"{replicas} {kind}" if used else "",
        "versions": _versions(),
        "commit": machine.commit(),
    }


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    used = {"keras", "numpy", keras.backend.backend()}
    for name in _PACKAGES:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # of another name, such as tensorflow-cpu
        if name in used:
            found.append(f"{name} {version}")
    return ", ".join(found)
