"""Keras against the exported files on the evaluation set, and the gate."""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from official import export_spec, failures
from official.tasks import base as tasks_base
from official.tasks import evaluation
from tflite_export import calibration, interpreter

KERAS = "Keras"

# Precisions with 8-bit weights, which the wider bounds are for.
_EIGHT_BIT = ("dynamic", *export_spec.INTEGER)

_UNTRAINED = "the Keras model is untrained"

_REMEDIES = {
    "int8": "train quantization-aware (docs/qat.md) or longer, evaluate on more images",
    "float": "evaluate on more images",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a file stands against its gate.

    Attributes:
        drop: The Keras model's metric less the file's, in points (hundredths).
        agreement: Share of decisions equal to the Keras model's.
        max_drop: Bound in points.
        min_agreement: Bound as a share.
        kind: "int8" or "float": how the fields of both bounds end in the experiment.
        problems: What failed, each with figure and bound; empty if it passed.
    """

    drop: float
    agreement: float
    max_drop: float
    min_agreement: float
    kind: str
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.problems


def measure(
    task: tasks_base.Task,
    network: keras.Model,
    files: Mapping[str, pathlib.Path],
    *,
    spec: export_spec.Export,
    batches: Iterable[tuple[Any, tasks_base.Targets]],
    class_names: tuple[str, ...],
    watch: evaluation.Watch | None = None,
) -> dict[str, evaluation.Result]:
    """Results of the Keras model (as `KERAS`) and of every file, in one pass.

    Args:
        network: Float, inference form.
        files: By name.
        spec: Of the files.
        batches: Of the evaluation set.
        watch: Is shown what the Keras model makes of every batch.
    """
    reference = keras_predictor(network, task=task, spec=spec)
    predictors: dict[str, evaluation.Predictor] = {KERAS: reference}
    for name, path in files.items():
        predictors[name] = interpreter.Runner(path)
    return evaluation.evaluate(
        task, predictors, batches, class_names=class_names, watch=watch
    )


def keras_predictor(
    network: keras.Model, *, task: tasks_base.Task, spec: export_spec.Export
) -> evaluation.Predictor:
    """The network as a predictor: the function that a float file of `spec` is.

    It is fed the file's pixels and has the file's output, for either alone moves more
    than 0.1 % of the pixels of a segmentation to another class: rounding resized images
    to 8 bits, and enlarging class ids, which is done by the nearest one, instead of
    logits. Nor does it find what is below the threshold in a file with detections. An
    app does the same whatever it runs; what is compared is the file.
    """
    finished = task.finish(network, output=spec.output, size=spec.output_size)
    detector = task.detector

    def predict(images: np.ndarray) -> dict[str, np.ndarray]:
        if spec.input_type != "float32":
            images = calibration.to_uint8(images).astype(np.float32)
        outputs = finished.predict_on_batch(images)
        found = {name: np.asarray(value) for name, value in outputs.items()}
        if detector is not None and spec.output == "detections":
            kept = found["scores"] >= detector.file_score_threshold
            found["scores"] = np.where(kept, found["scores"], 0)
        return found

    return predict


def judge(
    results: Mapping[str, evaluation.Result],
    precisions: Mapping[str, str],
    *,
    metric: str,
    spec: export_spec.Export,
) -> dict[str, Verdict]:
    """Holds every file of `results` against the gate of its precision.

    Args:
        results: From `measure`.
        precisions: Precision of each file, by its name in `results`.
        metric: Name of the metric that counts; higher is better.
    """
    reference = results[KERAS]
    untrained = _untrained(reference, metric)
    verdicts = {}
    for name, precision in precisions.items():
        kind = "int8" if precision in _EIGHT_BIT else "float"
        max_drop = getattr(spec, f"max_drop_{kind}")
        bound = getattr(spec, f"min_agreement_{kind}")
        drop = 100 * (reference.metrics[metric] - results[name].metrics[metric])
        agreement = results[name].agreement
        problems = [*untrained]
        # Written so that a NaN fails.
        if not drop <= max_drop:
            problems.append(
                f"{metric} is {drop:.2f} points below the Keras model's "
                f"(allowed {max_drop:g}) on {results[name].examples} images"
            )
        if not agreement >= bound:
            problems.append(
                f"{100 * agreement:.2f} % of its decisions agree with the Keras "
                f"model's (wanted {100 * bound:g} %)"
            )
        verdicts[name] = Verdict(
            drop=drop,
            agreement=agreement,
            max_drop=max_drop,
            min_agreement=bound,
            kind=kind,
            problems=tuple(problems),
        )
    return verdicts


def require(verdicts: Mapping[str, Verdict]) -> None:
    """Ends the command if a file did not pass.

    Raises:
        GateError: With what failed, for every file that failed.
    """
    lines: list[str] = []
    remedies: list[str] = []
    for name, verdict in verdicts.items():
        # Of all files alike, and not for want of precision: said once.
        own = [p for p in verdict.problems if not p.startswith(_UNTRAINED)]
        lines += [p for p in verdict.problems if p not in own + lines]
        lines += [f"{name}: {' and '.join(own)}"] if own else []
        if len(own) < len(verdict.problems):
            remedies.append("train longer or start from trained weights")
        if own:
            remedies += [
                _REMEDIES[verdict.kind],
                f"set other bounds: {_bounds(verdict)}",
            ]
    if lines:
        raise failures.GateError(
            f"outside the parity gate: {'; '.join(lines)} (the files are written; "
            f"{', or '.join(dict.fromkeys(remedies))})"
        )


def _bounds(verdict: Verdict) -> str:
    return f"export.max_drop_{verdict.kind}, export.min_agreement_{verdict.kind}"


def _untrained(reference: evaluation.Result, metric: str) -> list[str]:
    value, constant = reference.metrics[metric], reference.constant
    if value > constant:
        return []
    return [
        f"{_UNTRAINED}: its {metric} of {100 * value:.2f} is not above "
        f"the best constant prediction's {100 * constant:.2f}"
    ]
