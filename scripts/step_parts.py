"""A training step of an experiment, taken apart; for `benchmark.py train`.

    python scripts/step_parts.py --help

No program of its own.
"""

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from official import experiment as experiment_lib
    from official.training import trainable

PEAK_SIDE = 2048
PARTS = ("input", "forward", "backward", "update", "host")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
    """Medians, in milliseconds unless they say otherwise.

    Attributes:
        input: Of a batch from the input pipeline, while nothing trains.
        forward: Of network and losses.
        backward: Of the gradients beyond that.
        update: Of optimizer, averages and metrics beyond that.
        host: Of `fit` beyond that, on a batch that is in memory.
        step: Of `fit` on a batch that is in memory.
        fed: Of `fit` on the input pipeline.
        batch_size: Images.
        multiply_adds: Of an image, forward.
        peak: Multiply-adds per second of a product of two matrices on this machine.
    """

    input: float
    forward: float
    backward: float
    update: float
    host: float
    step: float
    fed: float
    batch_size: int
    multiply_adds: int
    peak: float

    @property
    def images_per_second(self) -> float:
        return 1e3 * self.batch_size / self.fed

    @property
    def multiply_adds_per_second(self) -> float:
        """Of a step, each counted once forward and twice backward."""
        return 3 * self.multiply_adds * self.batch_size / (self.step / 1e3)

    @property
    def share_of_peak(self) -> float:
        return self.multiply_adds_per_second / self.peak


def measure(
    experiment: "experiment_lib.Experiment",
    model: "trainable.Trainable",
    *,
    fit: Callable[..., Callable[[int], list[float]]],
    rounds: int,
    steps: int,
) -> Parts:
    """Takes the parts in turns, so that what else the machine does falls on all alike.

    Args:
        model: From `preparation.model`.
        fit: `peer_steps.fitting`.
        rounds: Turns of each part.
        steps: Steps in a turn.
    """
    import tensorflow as tf

    from official.layers import cost
    from official.training import session

    batches = session.training_batches(experiment, start_step=0)
    feed = iter(batches)
    batch = next(feed)
    in_memory = tf.data.Dataset.from_tensors(batch).repeat()
    forward, gradients = _functions(model, batch)
    model.make_train_function()
    repeated = iter(in_memory)
    left, right = (tf.random.normal([PEAK_SIDE, PEAK_SIDE]) for _ in range(2))

    def train() -> None:
        logs = model.train_function(repeated)
        for value in logs.values():
            float(value)

    turns: dict[str, Callable[[int], list[float]]] = {
        "peak": _times(lambda: tf.linalg.matmul(left, right)[0, 0].numpy()),
        "forward": _times(forward),
        "gradients": _times(gradients),
        "train": _times(train),
        "step": fit(model, in_memory),
        "input": _times(lambda: next(feed)),
        "fed": fit(model, batches),
    }
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    for run in turns.values():
        run(1)
    for _ in range(rounds):
        for name, run in turns.items():
            seconds[name] += run(steps)
    found = {name: 1e3 * statistics.median(taken) for name, taken in seconds.items()}
    return Parts(
        input=found["input"],
        forward=found["forward"],
        backward=found["gradients"] - found["forward"],
        update=found["train"] - found["gradients"],
        host=found["step"] - found["train"],
        step=found["step"],
        fed=found["fed"],
        batch_size=experiment.train.batch_size,
        multiply_adds=cost.multiply_adds(model.network),
        peak=PEAK_SIDE**3 / min(seconds["peak"]),
    )


def _functions(
    model: "trainable.Trainable", batch: tuple[Any, Any]
) -> tuple[Callable[[], None], Callable[[], None]]:
    """The losses of a batch, and their gradients, compiled."""
    import tensorflow as tf

    images, targets = batch

    @tf.function
    def loss() -> Any:
        outputs = model(images, training=True)
        return model.compute_loss(images, dict(targets), outputs, training=True)

    @tf.function
    def gradients() -> Any:
        with tf.GradientTape() as tape:
            total = loss()
        found = tape.gradient(total, model.trainable_variables)
        # So that none is left out, and few bytes come back.
        return [tf.reshape(gradient, [-1])[0] for gradient in found]

    return lambda: float(loss()), lambda: gradients()[0].numpy()


def _times(call: Callable[[], Any]) -> Callable[[int], list[float]]:
    def run(count: int) -> list[float]:
        taken = []
        for _ in range(count):
            begun = time.perf_counter()
            call()
            taken.append(time.perf_counter() - begun)
        return taken

    return run


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()


if __name__ == "__main__":
    main()
