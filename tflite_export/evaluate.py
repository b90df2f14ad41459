"""Metrics of a .tflite file itself."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping

from official import experiment as experiment_lib
from official import failures
from official.report import terminal
from official.report.panels import base as panels
from official.tasks import base as tasks_base
from official.tasks import evaluation
from tflite_export import examples, interpreter, probe, results

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
    _require_outputs(runner, experiment.task)
    _require_classes(runner, experiment.dataset.num_classes)
    result = evaluation.evaluate(
        experiment.task,
        {model.name: runner},
        examples.evaluation_batches(experiment),
        class_names=experiment.dataset.class_names,
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
    print(json.dumps(content))


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
    values = runner.outputs.get("logits") or runner.outputs.get("scores")
    if "count" in runner.outputs:
        return  # of a detector these are scores of objects
    if values and values.shape[-1] != classes:
        raise failures.RequestError(
            f"{runner.file.path}: tells {values.shape[-1]} classes apart, the data set "
            f"of the experiment has {classes}"
        )
