"""A model card beside each file: what it is, how good, and what it is not."""

import os
import pathlib
import platform
from collections.abc import Iterator, Mapping
from typing import Any

from official import atomic
from official import experiment as experiment_lib
from official.report import machine, result
from official.tasks import base as tasks_base
from official.tasks import evaluation
from official.training import checkpoints
from tflite_export import parity, sidecar


def path_of(model: pathlib.Path) -> pathlib.Path:
    """Where the card of a file lies."""
    return model.with_suffix(".md")


def write(
    experiment: experiment_lib.Experiment,
    files: Mapping[str, pathlib.Path],
    *,
    run_dir: pathlib.Path,
    rows: list[result.Row],
    results: Mapping[str, evaluation.Result],
) -> None:
    """Writes the card of every file.

    Args:
        files: By name, their descriptions beside them.
        run_dir: Says what the weights started from.
        rows: Of the table, by the names of the files.
        results: Of the Keras model and the files.
    """
    by_name = {row["name"]: row for row in rows}
    provenance = checkpoints.provenance(run_dir)
    for name, path in files.items():
        parts = (
            _head(experiment, sidecar.read(path)),
            _measured(experiment, by_name[name], results),
            _interface(sidecar.read(path)),
            _origin(experiment, provenance),
            _limits(experiment.task, by_name[name], results[parity.KERAS]),
        )
        text = "\n\n".join("\n".join(part) for part in parts)
        atomic.write(path_of(path), text + "\n")


def _head(
    experiment: experiment_lib.Experiment, description: Mapping[str, Any]
) -> Iterator[str]:
    names = description["class_names"]
    task = experiment.task
    yield f"# {description['model']}"
    yield ""
    yield (
        f"{type(task).__name__} with {type(task.backbone).__name__} into "
        f"{len(names)} classes, as a LiteRT (TFLite) file of precision "
        f"{description['precision']} ({_integers(description)}). Classes: "
        f"{_listed(names)}."
    )
    yield ""
    taker = description["mediapipe"]["task"]
    yield f"MediaPipe Tasks: {taker or 'none takes this file'}."
    if warning := description["mediapipe"]["warning"]:
        yield f"Mind: {warning}."
    yield from (f"- {note}." for note in description["mediapipe"]["notes"])
    if parts := description["parts"]:
        yield ""
        trunk, rest = (parts[name]["model"] for name in ("trunk", "rest"))
        yield (
            f"The same in two files, for {parts['target']}: `{trunk}`, then `{rest}`; "
            "`parts` in the `.json` has what passes from one to the other."
        )


def _measured(
    experiment: experiment_lib.Experiment,
    row: result.Row,
    results: Mapping[str, evaluation.Result],
) -> Iterator[str]:
    metric, reference = experiment.task.metric, results[parity.KERAS]
    data = f"{reference.examples} images of `{experiment.eval.split}`"
    partitions, outside = row["partitions"], row["outside"]
    rest = ", ".join(f"{count} {op}" for op, count in outside.items()) or "none"
    yield "## Measured"
    yield ""
    yield f"| on {data} | {metric}, % |"
    yield "|---|---|"
    yield f"| Keras model | {100 * reference.metrics[metric]:.2f} |"
    yield f"| **this file** | {100 * results[row['name']].metrics[metric]:.2f} |"
    yield f"| best constant prediction | {100 * reference.constant:.2f} |"
    yield ""
    yield (
        f"- Equal decisions of file and Keras model: {100 * row['agreement']:.2f} %; "
        f"gate {row['gate']} (at most {row['max_drop_points']:g} points below, at "
        f"least {100 * row['min_agreement']:g} % equal)"
    )
    yield f"- Size: {row['size_bytes'] / 1e6:.2f} MB, {row['ops']} ops"
    yield (
        f"- Latency: {row['latency_ms']:.2f} ms, the median with {row['threads']} "
        f"thread of {processor()}; parts that XNNPACK runs: {partitions}, ops outside: "
        f"{rest}"
    )
    memory = row["peak_memory_bytes"] / 1e6
    yield f"- Memory: {memory:.0f} MB at most, the file included"


def _interface(description: Mapping[str, Any]) -> Iterator[str]:
    yield "## Input and output"
    yield ""
    yield "| | name | type | shape | scale | zero point |"
    yield "|---|---|---|---|---|---|"
    for kind in ("inputs", "outputs"):
        for tensor in description[kind]:
            shape = " x ".join(map(str, tensor["shape"]))
            scale, zero = tensor.get("scale", "-"), tensor.get("zero_point", "-")
            yield (
                f"| {kind[:-1]} | {tensor['name']} | {tensor['dtype']} | {shape} | "
                f"{scale} | {zero} |"
            )
    fed = description["preprocessing"]
    yield ""
    yield f"- Image: {fed['image']}"
    yield f"- Resize: {fed['resize']}"
    yield f"- Values: {fed['values']}; the normalization is {fed['normalization']}"
    for name, meaning in description["postprocessing"].items():
        yield f"- {name}: {meaning}"


def _origin(
    experiment: experiment_lib.Experiment, provenance: Mapping[str, str]
) -> Iterator[str]:
    dataset, split = experiment.dataset, experiment.train.split
    count = experiment.train.count(dataset)
    yield "## Data and starting weights"
    yield ""
    yield (
        f"- Trained on {count} images, `{split}` of {type(dataset).__name__}; its "
        "licence and its people's consent are for its owner to state"
    )
    if not provenance:
        yield "- Started from random weights"
        return
    yield f"- Started from {provenance.get('source', 'weights of unknown origin')}"
    if "url" in provenance:
        yield f"- Fetched from {provenance['url']}"
    yield f"- Licence of these weights: {provenance.get('licence', 'not known')}"
    yield f"- They were trained on: {provenance.get('training_data', 'not known')}"
    if "sha256" in provenance:
        yield f"- SHA-256 of their file: {provenance['sha256']}"


def _limits(
    task: tasks_base.Task, row: result.Row, reference: evaluation.Result
) -> Iterator[str]:
    yield "## Limits"
    yield ""
    yield from (f"- **Failed its gate**: {problem}" for problem in row["problems"])
    yield (
        f"- The metric is of {reference.examples} images like those of training, so "
        "one image more or less is "
        f"{100 / reference.examples:.2g} % of them; of other cameras, places and "
        "light nothing is known"
    )
    yield from (f"- {line}" for line in _unknown(task))
    yield "- Latency and memory are this computer's; measure on the phone that counts"


def _unknown(task: tasks_base.Task) -> Iterator[str]:
    """What becomes of things that the task was not made for."""
    detector = task.detector
    if task.segment_reader(()) is not None:
        yield (
            "What is none of its classes is left out, or taken for one that looks like "
            "it; things that are smaller than the least area in the description, too"
        )
        return
    if detector is None:
        yield "What is none of its classes is called one of them all the same"
        return
    height, width = task.scaled(task.image_size)
    yield (
        "What is none of its classes is passed over, or taken for one that looks like "
        "it; so may be a place where nothing is"
    )
    yield (
        "A score is no probability: from which one on a box is shown is for the app to "
        "choose, by the precision and recall in `report.html`"
    )
    yield (
        f"Of two boxes of a class that overlap by more than "
        f"{100 * detector.iou_threshold:g} % one is dropped, so objects close together "
        f"may be found as one; at most {detector.total} are found in an image"
    )
    yield (
        f"It sees the image in {height} x {width} pixels: what is hardly seen in these "
        "is missed"
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 20} more, in `labels.txt`" if len(names) > 20 else ""
    return ", ".join(names[:20]) + more


def processor() -> str:
    """The CPU's name, as far as the system tells it, and how many threads it runs."""
    name = machine.processor()
    return f"{name} ({platform.machine()}, {os.cpu_count()} threads in all)"


def _integers(description: Mapping[str, Any]) -> str:
    """How integers came into the file."""
    return {
        "none": "no quantization",
        "post-training": "quantized after training",
        "trained with it": "trained quantization-aware",
    }[description["quantization"]]
