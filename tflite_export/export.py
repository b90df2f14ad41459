"""From a trained run to verified .tflite files and a report on them."""

import dataclasses
import json
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from official import atomic, export_spec, failures
from official import experiment as experiment_lib
from official.quantization import rewrite
from official.report import extremes, html, predictions, terminal
from official.tasks import evaluation
from official.training import checkpoints
from tflite_export import (
    android,
    benchmark,
    check,
    conversion,
    detection_op,
    examples,
    findings,
    flatbuffer,
    inference,
    interpreter,
    metadata,
    mixed,
    model_card,
    parity,
    ports,
    sidecar,
    split,
)
from tflite_export import results as results_lib
from tflite_export.targets import base as targets_base


def run(
    experiment: experiment_lib.Experiment,
    *,
    run_dir: pathlib.Path,
    checkpoint: str = "best",
    precisions: Sequence[str] | None = None,
    target: str | None = None,
) -> None:
    """Writes `run_dir/export` and renews the results and the report of the run.

    Args:
        checkpoint: "best" or "last".
        precisions: Instead of the experiment's.
        target: Instead of the experiment's.

    Raises:
        RequestError: If the run has no checkpoint, or a setting does not exist.
        RunError: If the converter fails.
        GateError: If a file is not what its precision promises (it is not written
            then), or outside its parity gate (it is, and the report says so).
    """
    experiment = _with(experiment, precisions, target)
    network = checkpoints.inference_network(experiment, run_dir, checkpoint)
    shown = parity.KERAS
    if experiment.quantization is not None and not _as_trained(experiment):
        shown = f"{parity.KERAS}, float form"
        network = rewrite.without_ranges(network, rounded=False)
        experiment = dataclasses.replace(experiment, quantization=None)
    _remove_stale(run_dir / "export", checkpoints.path(run_dir, checkpoint))
    files = write(experiment, network, folder=run_dir / "export")
    ranking = extremes.Ranking(experiment.task)
    results = parity.measure(
        experiment.task,
        network,
        files,
        spec=experiment.export,
        batches=examples.evaluation_batches(experiment),
        class_names=experiment.dataset.class_names,
        watch=ranking.watch,
    )
    verdicts = parity.judge(
        results,
        dict(zip(files, experiment.export.precisions, strict=True)),
        metric=experiment.task.metric,
        spec=experiment.export,
    )
    terminal.console.print("measuring latency ...")
    figures = dict(zip(files, benchmark.measure(list(files.values())), strict=True))
    made = findings.for_hardware(files, figures, experiment.export.target)
    rows = results_lib.rows(results, verdicts, figures, reference=shown)
    results_lib.add_calibration(rows, results, experiment.task)
    results_lib.add_mapping(rows, findings.on_edgetpu(files))
    reference = results[parity.KERAS]
    results_lib.write(
        experiment,
        run_dir,
        checkpoint,
        rows=rows,
        reference=reference,
        hardware={name: facts for name, (facts, _) in made.items()},
    )
    model_card.write(experiment, files, run_dir=run_dir, rows=rows, results=results)
    terminal.console.print("comparing layer by layer ...")
    findings.measure_layers(experiment, network, files, run_dir)
    complaints = findings.compare_ops(experiment, network, files)
    terminal.console.print("drawing predictions ...")
    report = _draw(experiment, network, files, run_dir, ranking=ranking)
    results_lib.show(rows, experiment.task.metric)
    for line in (line for _, lines in made.values() for line in lines):
        terminal.console.print(line, soft_wrap=True)
    for path in [*files.values(), report]:
        terminal.console.print(str(path))
    # First what training longer would not mend.
    if complaints:
        raise failures.GateError("; ".join(complaints))
    parity.require(verdicts)


def write(
    experiment: experiment_lib.Experiment,
    network: keras.Model,
    *,
    folder: pathlib.Path,
) -> dict[str, pathlib.Path]:
    """Converts, checks and writes every file of an experiment, with its description.

    Returns:
        The files by name: "int8", and what differs from the usual beside it, such as
        "int8 class_ids"; so a file never takes the place of another variant.

    Raises:
        RunError: If the converter fails.
        GateError: If a file is not what its precision promises.
    """
    spec = experiment.export
    target = targets_base.of(spec)
    images = None
    if set(spec.precisions) & _calibrated(experiment):
        images = examples.calibration_images(experiment)
    files, warnings = {}, []
    for precision in spec.precisions:
        terminal.console.print(f"converting to {precision} ...")
        rewritten, graph = findings.graph(experiment, network, precision)
        for change in rewritten.changes:
            terminal.console.print(f"target {spec.target}: {change}")
        float_layers: tuple[str, ...] = ()
        if precision == "mixed":
            found = _search(experiment, network, graph, images)
            content, float_layers = found.content, found.float_layers
            atomic.write(folder / "sensitivity.json", mixed.record(found))
        else:
            content = conversion.convert(
                graph, precision, spec=spec, calibration=images
            )
        if spec.output == "detections":
            content = detection_op.append(content, experiment.task.detector)
        names = _variant(spec, precision)
        path = folder / f"model_{'_'.join(names)}.tflite"
        file = flatbuffer.parse(content, path)
        check.require(
            file, precision=precision, target=target, float_layers=float_layers
        )
        told = android.describe(
            content,
            file,
            task=experiment.task,
            class_names=experiment.dataset.class_names,
        )
        content = metadata.attach(content, told)
        file = flatbuffer.parse(content, path)
        description = sidecar.describe(
            file,
            graph,
            task=experiment.task,
            precision=precision,
            class_names=experiment.dataset.class_names,
            palette=experiment.dataset.palette,
            float_layers=float_layers,
        )
        reader = experiment.task.segment_reader(tuple(experiment.dataset.thing_ids))
        description |= {
            "segments": reader.settings() if reader else None,
            "target": spec.target,
            "changes": list(rewritten.changes),
            "quantization": _quantization(experiment, precision),
        }
        split.remove(path, path.parent)
        atomic.write(path, content)
        description["parts"] = _parts(path, target) if spec.split else None
        results_lib.write_json(sidecar.path_of(path), description)
        if warning := description["mediapipe"]["warning"]:
            warnings.append(warning)
        files[" ".join(names)] = path
    for warning in dict.fromkeys(warnings):
        terminal.console.print(f"for MediaPipe Tasks: {warning}")
    labels = "".join(f"{name}\n" for name in experiment.dataset.class_names)
    atomic.write(folder / metadata.LABELS, labels)
    if source := ports.postprocessing(file.outputs):
        atomic.write(folder / source.name, source.read_text(encoding="utf-8"))
    return files


def _parts(path: pathlib.Path, target: targets_base.Target) -> dict[str, Any] | None:
    """Divides a file; what the description says of it, None if one part is all."""
    try:
        parts = split.divide(path, target=target, folder=path.parent)
    except split.NothingToDivide as error:
        terminal.console.print(f"not divided: {error}")
        return None
    for line in parts.lines():
        terminal.console.print(line)
    return parts.as_json()


def _calibrated(experiment: experiment_lib.Experiment) -> set[str]:
    """Precisions whose files are made with calibration images."""
    found = set(export_spec.INTEGER)
    return found if experiment.quantization is None else found - {"int8"}


def _search(
    experiment: experiment_lib.Experiment,
    network: keras.Model,
    graph: inference.Graph,
    images: np.ndarray | None,
) -> mixed.Mixed:
    """The mixed file of an experiment, its loss measured on the evaluation set."""
    task, spec = experiment.task, experiment.export
    metric = task.metric

    def value(predictor: evaluation.Predictor) -> float:
        results = evaluation.evaluate(
            task,
            {"mixed": predictor},
            examples.evaluation_batches(experiment),
            class_names=experiment.dataset.class_names,
        )
        return 100 * results["mixed"].metrics[metric]

    reference = value(parity.keras_predictor(network, task=task, spec=spec))

    def drop(content: bytes) -> float:
        with tempfile.TemporaryDirectory(prefix="tflite_export_") as folder:
            path = pathlib.Path(folder) / "model_mixed.tflite"
            path.write_bytes(content)
            return reference - value(interpreter.Runner(path))

    found = mixed.search(graph, spec=spec, calibration=images, drop=drop)
    mixed.show(found)
    return found


def _variant(spec: export_spec.Export, precision: str) -> list[str]:
    """Words that tell the files of a network apart."""
    usual = export_spec.Export()
    words = [precision] if spec.target == usual.target else [spec.target, precision]
    if spec.output != usual.output:
        words.append(spec.output)
    if spec.output_size != usual.output_size:
        words.append(f"{spec.output_size}_size")
    if spec.input_type != usual.input_type:
        words.append(f"{spec.input_type}_in")
    # Of the other precisions, of class ids and detections, the type is what it is.
    free = precision in export_spec.INTEGER and spec.output not in (
        "class_ids",
        "detections",
    )
    if free and spec.output_type != usual.output_type:
        words.append(f"{spec.output_type}_out")
    return words


def _with(
    experiment: experiment_lib.Experiment,
    precisions: Sequence[str] | None,
    target: str | None,
) -> experiment_lib.Experiment:
    spec = experiment.export
    spec = dataclasses.replace(
        spec,
        precisions=tuple(dict.fromkeys(precisions or spec.precisions)),
        target=target or spec.target,
    )
    spec, changes = targets_base.of(spec).adapt(spec)
    for change in changes:
        terminal.console.print(f"target {spec.target}: {change}")
    return dataclasses.replace(experiment, export=spec)


def _quantization(experiment: experiment_lib.Experiment, precision: str) -> str:
    """How integers came into a file, in words for people."""
    if precision not in export_spec.INTEGER:
        return "none"
    return "post-training" if experiment.quantization is None else "trained with it"


def _as_trained(experiment: experiment_lib.Experiment) -> bool:
    """Whether the files asked for are those that a network was trained for.

    Raises:
        RequestError: If files of both kinds are asked for at once.
    """
    scheme, spec = experiment.quantization, experiment.export
    if scheme is None:
        return False
    own = scheme.precision if spec.target == scheme.target else None
    if set(spec.precisions) == {own}:
        return True
    if own in spec.precisions:
        raise failures.RequestError(
            f"this network was trained for {own} on {scheme.target!r}, and other files "
            "of it are compared with its float form: export them in a command of "
            f"their own (--precision, without {own})"
        )
    terminal.console.print(
        f"trained for {scheme.precision} on {scheme.target!r}: for "
        f"{', '.join(spec.precisions)} on {spec.target!r} its float weights are "
        "converted; what is integer there is quantized after training"
    )
    return False


def _remove_stale(folder: pathlib.Path, checkpoint: pathlib.Path) -> None:
    """Deletes files that were made from other weights: they would pass for these."""
    report = folder / "report.json"
    if not report.exists():
        return
    if json.loads(report.read_text()).get("weights") == checkpoints.digest(checkpoint):
        return
    for path in sorted(folder.glob("model_*")):
        path.unlink()
        terminal.console.print(f"removed {path}: made from earlier weights")
    report.unlink()
    (folder / "layer_errors.json").unlink(missing_ok=True)


def _draw(
    experiment: experiment_lib.Experiment,
    network: keras.Model,
    files: Mapping[str, pathlib.Path],
    run_dir: pathlib.Path,
    *,
    ranking: extremes.Ranking,
) -> pathlib.Path:
    # A float file shows what Keras shows.
    floats = {p for p in experiment.export.precisions if p.startswith("float")}
    shown = {k: v for k, v in files.items() if not floats & set(k.split())} or files
    runners = {name: interpreter.Runner(path) for name, path in shown.items()}
    reference = parity.keras_predictor(
        network, task=experiment.task, spec=experiment.export
    )
    predictors: dict[str, evaluation.Predictor] = {parity.KERAS: reference, **runners}
    pictures = run_dir / "predictions"
    predictions.draw(experiment, predictors, pictures)
    extremes.draw(experiment, predictors, pictures, ranking=ranking)
    return html.write(run_dir)
