"""Evaluation of one or several predictors over the same images, in one pass."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from official.tasks import base

Predictor = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Images `[B, H, W, 3]` float32, pixels 0..255, to raw outputs by name."""

Watch = Callable[[np.ndarray, base.Targets, base.Predictions], None]
"""Is shown a batch of images, its targets and predictions."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """What one predictor reached.

    Attributes:
        metrics: Every value of every metric of the task.
        agreement: Share of decisions equal to the first predictor's.
        examples: Number of images.
        constant_of: Gives `constant`.
        judges: The metrics of the task themselves, which tell more; see
            `Task.confusion` and what follows it.
    """

    metrics: dict[str, float]
    agreement: float
    examples: int
    constant_of: Callable[[], float]
    judges: base.Judges = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def constant(self) -> float:
        """The task's main metric for the best constant prediction.

        Computed when it is asked for: on a large set it takes as long as the metric.
        """
        return self.constant_of()


def evaluate(
    task: base.Task,
    predictors: Mapping[str, Predictor],
    batches: Iterable[tuple[Any, base.Targets]],
    *,
    class_names: tuple[str, ...],
    watch: Watch | None = None,
) -> dict[str, Result]:
    """Runs every predictor over every batch.

    Args:
        predictors: By name; agreement is counted against the first.
        batches: Images float32 `[B, H, W, 3]` and the task's targets.
        watch: Called for every batch with what the first predictor makes of it.

    Raises:
        ValueError: If there is no example.
    """
    metrics = {name: task.metrics(class_names) for name in predictors}
    equal = dict.fromkeys(predictors, 0)
    decisions = dict.fromkeys(predictors, 0)
    examples = 0
    for images, targets in _numpy_batches(batches):
        examples += len(images)
        reference = None
        for name, predictor in predictors.items():
            predictions = task.postprocess(predictor(images), targets)
            for metric in metrics[name].values():
                metric.update_state(targets, predictions)
            if reference is None:
                reference = predictions
                if watch is not None:
                    watch(images, targets, predictions)
            same, total = task.agreement(reference, predictions, targets)
            equal[name] += same
            decisions[name] += total
    if not examples:
        raise ValueError("the evaluation set has no example")
    return {
        name: Result(
            metrics=_values(metrics[name]),
            agreement=equal[name] / max(decisions[name], 1),
            examples=examples,
            constant_of=functools.partial(task.constant_metric, metrics[name]),
            judges=metrics[name],
        )
        for name in predictors
    }


def watched_by(*watches: Watch) -> Watch:
    """One that shows each of several what it is shown."""

    def watch(
        images: np.ndarray, targets: base.Targets, predictions: base.Predictions
    ) -> None:
        for each in watches:
            each(images, targets, predictions)

    return watch


def _values(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {
        key: float(value)
        for metric in metrics.values()
        for key, value in metric.result().items()
    }


def _numpy_batches(
    batches: Iterable[tuple[Any, base.Targets]],
) -> Iterator[tuple[np.ndarray, base.Targets]]:
    for images, targets in batches:
        yield (
            np.asarray(images),
            {name: np.asarray(value) for name, value in targets.items()},
        )
