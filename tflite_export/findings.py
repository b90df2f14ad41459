"""What is found out about the files of an export, besides metric and latency."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import keras

from official import experiment as experiment_lib
from official import export_spec
from official.quantization import rewrite
from official.report import layer_errors as errors_report
from official.report import terminal
from official.training import networks
from tflite_export import (
    benchmark,
    check,
    compilation,
    examples,
    flatbuffer,
    inference,
    layer_errors,
    mapping,
    op_parity,
    sidecar,
)
from tflite_export.targets import base as targets_base

_LAYER_IMAGES = 8
_COMPARED_IMAGES = 2
_SHOWN_LAYERS = 3


def graph(
    experiment: experiment_lib.Experiment, network: keras.Model, precision: str
) -> tuple[targets_base.Rewritten, inference.Graph]:
    """The network for its target, and what the file of a precision is made from."""
    spec = experiment.export
    target = targets_base.find(spec.target)
    finished = _finished(experiment, network)
    if experiment.quantization is None:
        rewritten = target.rewrite(finished, precision)
    else:
        # It was rewritten before its training, but for what makes the outputs.
        before = networks.build_float(experiment, training=False)
        changes = target.rewrite(_finished(experiment, before), precision).changes
        rewritten = targets_base.Rewritten(
            target.rewrite(finished, precision).model, changes
        )
    built = inference.build(rewritten.model, spec=spec, precision=precision)
    return rewritten, built


def _finished(
    experiment: experiment_lib.Experiment, network: keras.Model
) -> keras.Model:
    spec = experiment.export
    return experiment.task.finish(network, output=spec.output, size=spec.output_size)


def for_hardware(
    files: Mapping[str, pathlib.Path],
    figures: Mapping[str, benchmark.Figures],
    name: str,
) -> dict[str, tuple[dict[str, Any], list[str]]]:
    """What the target's hardware takes of each file: facts, and lines for people.

    Runs the compiler of the hardware, where there is one and it is installed. Nothing
    of it keeps a file from being exported: what does not map runs on the CPU.
    """
    target = targets_base.find(name)
    found = {}
    for variant, path in files.items():
        described = sidecar.read(path)
        assessed = check.assess(
            flatbuffer.read(path),
            target=target,
            float_layers=described.get("float_layers", ()),
        )
        parts = described["parts"]
        compiled = path.with_name(parts["trunk"]["model"]) if parts else path
        outcomes = compilation.run(compiled, target)
        lines = assessed.lines() + ([] if parts else assessed.dividing(path))
        lines += [outcome.line for outcome in outcomes]
        if target.ops is None and figures[variant].partitions > 1:
            lines.append(benchmark.describe_split(figures[variant]))
        facts = assessed.as_json() | {
            "changes": described["changes"],
            "compiled": [outcome.as_json() for outcome in outcomes],
        }
        found[variant] = (facts, [f"{variant}: {line}" for line in lines])
    return found


def on_edgetpu(files: Mapping[str, pathlib.Path]) -> dict[str, dict[str, Any]]:
    """What Coral's EdgeTPU would take of each integer file, whatever its target.

    By the rules of `check`; the compiler itself is not run.
    """
    target = targets_base.find("edgetpu")
    found = {}
    for variant, path in files.items():
        described = sidecar.read(path)
        if described["precision"] not in export_spec.INTEGER:
            continue
        file = flatbuffer.read(path)
        layers = described.get("float_layers", ())
        assessed = check.assess(file, target=target, float_layers=layers)
        mapped = assessed.mapped
        first = None
        if mapped.first_outside >= 0:
            one = assessed.verdicts[mapped.first_outside]
            first = {
                "number": mapped.first_outside,
                "op": one.op,
                "layer": one.layer,
                "reason": one.reason,
            }
        behind = [v for v in assessed.verdicts if v.reason == mapping.SECOND_SUBGRAPH]
        found[variant] = {
            "ops": mapped.ops,
            "total_ops": mapped.total_ops,
            "share": mapped.share,
            "behind": len(behind),
            "first": first,
        }
    return found


def measure_layers(
    experiment: experiment_lib.Experiment,
    network: keras.Model,
    files: Mapping[str, pathlib.Path],
    run_dir: pathlib.Path,
) -> None:
    """Writes `layer_errors.json` anew and prints the worst layers of integer files."""
    found = {}
    for (name, path), precision in zip(
        files.items(), experiment.export.precisions, strict=True
    ):
        if precision not in export_spec.INTEGER:
            continue
        _, built = graph(experiment, network, precision)
        if rewrite.is_quantized(built.model):
            # Against the network without any rounding.
            plain = rewrite.without_ranges(built.model, rounded=False)
            built = dataclasses.replace(built, model=plain)
        images = examples.evaluation_images(experiment, count=_LAYER_IMAGES)
        report = layer_errors.measure(
            path, built, images, calibration=experiment.export.calibration
        )
        if experiment.quantization is not None:
            # The advice is for files that are quantized after training.
            layers = tuple(dataclasses.replace(x, advice="") for x in report.layers)
            report = dataclasses.replace(report, layers=layers)
        found[name] = dataclasses.asdict(report)
        for row in report.worst[:_SHOWN_LAYERS]:
            terminal.console.print(
                f"{name}: {row.layer} adds error ({row.own_snr_db:.1f} dB): "
                f"{row.advice}"
            )
    if found:
        kept = errors_report.read(run_dir)
        errors_report.write(run_dir, kept | found)


def compare_ops(
    experiment: experiment_lib.Experiment,
    network: keras.Model,
    files: Mapping[str, pathlib.Path],
) -> list[str]:
    """Prints how a quantization-aware network's file follows it, op by op.

    Returns:
        What is off by more than a step, a line for each file.
    """
    scheme = experiment.quantization
    if scheme is None or scheme.precision != "int8":
        return []
    _, built = graph(experiment, network, "int8")
    complaints = []
    for name, path in files.items():
        images = examples.evaluation_images(experiment, count=_COMPARED_IMAGES)
        found = op_parity.compare(path, built, images)
        terminal.console.print(
            f"{name}: {len(found.comparisons)} of {found.ops} ops compared with the "
            "Keras model (the others only move values), each on the file's own inputs: "
            f"{100 * found.exact:.2f} % of the values equal, the others off by "
            f"{found.worst} of 255 steps at most"
        )
        bad = [c for c in found.comparisons if c.worst > 1]
        if bad:
            worst = max(bad, key=lambda c: c.worst)
            complaints.append(
                f"{path}: {worst.op} of layer {worst.layer!r} is off by {worst.worst} "
                f"steps from the network that was trained ({len(bad)} such ops): the "
                "converter has built something else; report it with the run's config"
            )
    return complaints
