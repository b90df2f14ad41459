"""The results of an export: in the run folder, and for a person."""

import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any

from official import atomic
from official import experiment as experiment_lib
from official.report import result, terminal
from official.tasks import base as tasks_base
from official.tasks import evaluation
from official.training import checkpoints
from tflite_export import benchmark, parity


def rows(
    results: Mapping[str, evaluation.Result],
    verdicts: Mapping[str, parity.Verdict],
    figures: Mapping[str, benchmark.Figures],
    *,
    reference: str,
) -> list[result.Row]:
    """A row for the Keras model, then one for each file.

    Args:
        reference: Name of the first row.
    """
    return [_keras_row(reference, results[parity.KERAS])] + [
        _file_row(name, results[name], verdicts[name], figures[name])
        for name in verdicts
    ]


def add_calibration(
    rows: list[result.Row],
    results: Mapping[str, evaluation.Result],
    task: tasks_base.Task,
) -> None:
    """Adds to each row how often the scores are right, where there are scores.

    Args:
        rows: From `rows`; the first is that of the Keras model.
    """
    for place, row in enumerate(rows):
        judges = results[row["name"] if place else parity.KERAS].judges
        if found := task.calibration(judges):
            row["calibration"] = found.as_json()


def add_mapping(rows: list[result.Row], found: Mapping[str, Any]) -> None:
    """Adds to the rows of files what the EdgeTPU takes of them."""
    for row in rows:
        if row["name"] in found:
            row["edgetpu"] = found[row["name"]]


def finite(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """For JSON, which has no NaN: the IoU of a class that does not occur is None."""
    return {k: v if math.isfinite(v) else None for k, v in metrics.items()}


def write(
    experiment: experiment_lib.Experiment,
    run_dir: pathlib.Path,
    checkpoint: str,
    *,
    rows: list[result.Row],
    reference: evaluation.Result,
    hardware: Mapping[str, Any],
) -> None:
    """Writes `export/report.json` and renews `result.json` of a run.

    Args:
        checkpoint: Which one was exported.
        rows: From `rows`.
        reference: Of the Keras model.
        hardware: For each file, what the target changed, and what it takes of the file.
    """
    facts = {
        "metric": experiment.task.metric,
        "constant": reference.constant,
        "examples": reference.examples,
        "split": experiment.eval.split,
        "classes": list(experiment.dataset.class_names),
        "weights": checkpoints.digest(checkpoints.path(run_dir, checkpoint)),
    }
    export = {
        "checkpoint": checkpoint,
        "target": experiment.export.target,
        "hardware": hardware,
    }
    write_json(run_dir / "export" / "report.json", facts | export | {"rows": rows})
    result.update(run_dir, facts, rows)


def show(rows: list[result.Row], metric: str) -> None:
    """Prints a table."""
    cells = []
    for row in rows:
        value = row["metrics"][metric]
        cell = [row["name"], "-" if value is None else f"{100 * value:.2f}"]
        if "file" in row:
            cell += [
                f"{100 * row['agreement']:.2f} %",
                f"{row['size_bytes'] / 1e6:.2f} MB",
                f"{row['latency_ms']:.2f} ms",
                row["gate"],
            ]
        cells.append(cell + [""] * (6 - len(cell)))
    title = (
        "Keras model and exported files, on the same 8-bit pixels (latency: 1 thread)"
    )
    columns = ("model", f"{metric}, %", "agreement", "size", "latency", "gate")
    terminal.console.print(terminal.table(title, columns, cells))


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes a file whole or not at all."""
    atomic.write(path, json.dumps(content, indent=1) + "\n")


def _keras_row(name: str, result: evaluation.Result) -> result.Row:
    return {"name": name, "metrics": finite(result.metrics)}


def _file_row(
    name: str,
    result: evaluation.Result,
    verdict: parity.Verdict,
    figures: benchmark.Figures,
) -> result.Row:
    return {
        "name": name,
        "file": figures.path.name,
        "metrics": finite(result.metrics),
        "agreement": result.agreement,
        "drop_points": verdict.drop,
        "size_bytes": figures.size,
        "latency_ms": figures.latency_ms,
        "threads": figures.threads,
        "ops": figures.ops,
        "partitions": figures.partitions,
        "outside": figures.outside,
        "peak_memory_bytes": figures.peak_memory,
        "gate": "passed" if verdict.passed else "failed",
        "problems": list(verdict.problems),
        "max_drop_points": verdict.max_drop,
        "min_agreement": verdict.min_agreement,
    }
