"""Metrics of a .tflite file itself."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from official import experiment as experiment_lib
from official import failures
from official.report import terminal
from official.report.panels import base as panels
from official.tasks import base as tasks_base
from official.tasks import detections, evaluation
from tflite_export import (
    detector_files,
    examples,
    interpreter,
    labels,
    probe,
    results,
    sidecar,
)

_MOST_CLASSES = 40


def run(
    model: pathlib.Path,
    experiment: experiment_lib.Experiment,
    *,
    limit: int | None = None,
) -> None:
    """Prints the metrics on the evaluation set of an experiment; last a line of JSON.

    Args:
        limit: Only the first examples.

    Raises:
        RequestError: If the file is no model, or does not fit the experiment.
        DataError: If the data is missing or wrong.
    """
    probe.run(model)
    runner = interpreter.Runner(model)
    if limit is not None:
        source = dataclasses.replace(experiment.eval, limit=limit)
        experiment = dataclasses.replace(experiment, eval=source)
    experiment = _sized(experiment, runner)
    _require_outputs(runner, experiment.task)
    class_names = experiment.dataset.class_names
    _require_classes(runner, len(class_names))
    result = evaluation.evaluate(
        experiment.task,
        {model.name: _predictor(runner, experiment)},
        examples.evaluation_batches(experiment),
        class_names=class_names,
    )[model.name]
    shown = _shown(result.metrics)
    rows = [[name, f"{100 * value:.2f}"] for name, value in shown.items()]
    title = f"{model} on {result.examples} images"
    terminal.console.print(terminal.table(title, ("metric", "%"), rows))
    content = {
        "model": str(model),
        "examples": result.examples,
        "metric": experiment.task.metric,
        "constant": result.constant,
        "metrics": results.finite(result.metrics),
    }
    terminal.last_line(content)


def _shown(metrics: Mapping[str, float]) -> dict[str, float]:
    """What fits a screen: values of single classes only where they are few."""
    overall = {name: value for name, value in metrics.items() if "/" not in name}
    few = len(metrics) - len(overall) <= _MOST_CLASSES
    return dict(metrics) if few else overall


def _require_outputs(runner: interpreter.Runner, task: tasks_base.Task) -> None:
    """What draws the outputs of a task knows which they are."""
    panel = panels.of_task(task)
    if panel is not None and panel.classes(runner.shapes) is None:
        raise failures.RequestError(
            f"{runner.file.path}: gives {runner.shapes}, which is no "
            f"{type(task).__name__}; name an experiment of the task it was made for"
        )


def _require_classes(runner: interpreter.Runner, classes: int) -> None:
    """A file of logits or scores tells how many classes it knows."""
    if "class_ids" in runner.outputs:
        return  # class ids, or detections: how many classes there are is not told
    values = runner.outputs.get("logits") or runner.outputs.get("scores")
    if "count" in runner.outputs:
        return  # of a detector these are scores of objects
    if values and values.shape[-1] != classes:
        raise failures.RequestError(
            f"{runner.file.path}: tells {values.shape[-1]} classes apart, the data set "
            f"of the experiment has {classes}"
        )


def _sized(
    experiment: experiment_lib.Experiment, runner: interpreter.Runner
) -> experiment_lib.Experiment:
    """The experiment at the image size of a file, which is what it is judged at."""
    task = experiment.task
    wanted, given = task.scaled(task.image_size), runner.image_size
    if wanted == given:
        return experiment
    terminal.console.print(
        f"{runner.file.path.name} takes images of {given[0]}x{given[1]} (height x "
        f"width), the experiment's are {wanted[0]}x{wanted[1]}: evaluated at the file's"
    )
    task = dataclasses.replace(task, image_size=given, resolution_multiplier=1.0)
    return dataclasses.replace(experiment, task=task)


def _predictor(
    runner: interpreter.Runner, experiment: experiment_lib.Experiment
) -> evaluation.Predictor:
    """The file; a detector's as it says that its boxes are to be read.

    Raises:
        RequestError: If it gives encoded boxes of other anchors than it has.
    """
    usual, given = experiment.task.detector, set(runner.outputs)
    if usual is None or given == detector_files.DETECTIONS:
        return _renumbered(runner, experiment.dataset.class_names)
    path = runner.file.path
    said = detector_files.detector(path, sidecar.read(path), usual=usual)
    anchors = runner.shapes["scores"][1]
    if given == detector_files.RAW and len(said.anchors) != anchors:
        raise failures.RequestError(
            f"{path}: gives {anchors} encoded boxes, and there are {len(said.anchors)} "
            "anchors in its metadata or, failing that, the experiment: name the "
            "experiment it was exported from"
        )

    def predict(images: np.ndarray) -> dict[str, np.ndarray]:
        return detections.read(runner(images), said)

    return predict


def _renumbered(
    runner: interpreter.Runner, class_names: Sequence[str]
) -> evaluation.Predictor:
    """Detections of a file that counts classes otherwise, by the names that it brings.

    Published detectors of COCO have 90 classes, ten of which are never used. What is
    called by no name of the data set is left out.
    """
    names = [name.strip().casefold() for name in labels.read(runner.file.path)]
    wanted = [name.strip().casefold() for name in class_names]
    if set(runner.outputs) != detector_files.DETECTIONS or names in ([], wanted):
        return runner
    ids = {name: place for place, name in enumerate(wanted)}
    if missing := [name for name in wanted if name not in names]:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        terminal.console.print(
            f"{runner.file.path.name} knows {len(wanted) - len(missing)} of the "
            f"{len(wanted)} classes of the data set by name (not: {shown})"
        )
    table = np.array([ids.get(name, -1) for name in names])

    def predict(images: np.ndarray) -> dict[str, np.ndarray]:
        outputs = runner(images)
        theirs = np.rint(np.nan_to_num(outputs["class_ids"])).astype(np.int64)
        ours = np.where(
            (theirs >= 0) & (theirs < len(table)),
            table[np.clip(theirs, 0, len(table) - 1)],
            -1,
        )
        # Those of no class go to the end, and are not counted.
        count = np.nan_to_num(outputs["count"]).reshape(-1, 1)
        known = (ours >= 0) & (np.arange(ours.shape[1]) < count)
        order = np.argsort(~known, axis=1, kind="stable")
        return {
            "boxes_yxyx": np.take_along_axis(
                outputs["boxes_yxyx"], order[..., None], axis=1
            ),
            "class_ids": np.take_along_axis(ours, order, axis=1),
            "scores": np.take_along_axis(outputs["scores"], order, axis=1),
            "count": known.sum(axis=1),
        }

    return predict
