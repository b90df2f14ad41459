"""How long, where and how a training runs."""

import dataclasses

from official.training import strategy as strategy_lib

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trainer:
    """Settings of the training loop.

    Attributes:
        epochs: Number of epochs; each ends with an evaluation and a checkpoint. With 0
            nothing is trained: what `init_from` gives is evaluated and exported.
        steps_per_epoch: Steps of one epoch; None is one pass over the training data.
        strategy: Devices.
        precision: "float32", "mixed_bfloat16" or "mixed_float16".
        steps_per_loop: Steps that the host starts with one call, where TensorFlow
            trains: a TPU, or a GPU with little to do in a step, need not wait for it
            after each. Signals, checkpoints, and a loss that is not a number are minded
            after each such loop.
        jit_compile: Compile the step with XLA; for GPUs (on CPUs it is far slower), and
            with `deterministic = False`. Keras on JAX always does.
        deterministic: Use deterministic kernels, so that equal seeds give equal
            weights to the bit, also across an interruption.
        evaluate_every: Epochs between evaluations; the last epoch always ends in one.
        evaluate_batches: Batches of the evaluation set that these look at, the first;
            None is all. The evaluation after the training sees the whole set.
        checkpoint_steps: Steps between checkpoints within an epoch.
        patience: Stop when the metric has not risen for so many epochs; None is never.
    """

    epochs: int
    steps_per_epoch: int | None = None
    strategy: strategy_lib.Strategy = strategy_lib.OneDevice()
    precision: str = "float32"
    steps_per_loop: int = 1
    jit_compile: bool = False
    deterministic: bool = True
    evaluate_every: int = 1
    evaluate_batches: int | None = None
    checkpoint_steps: int = 500
    patience: int | None = None

    def __post_init__(self):
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision {self.precision!r}: want one of {PRECISIONS}")
        if self.epochs < 0:
            raise ValueError(f"epochs {self.epochs}: want 0 or more")
        for field in ("evaluate_every", "checkpoint_steps"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} {getattr(self, field)}: want 1 or more")
        for field in ("steps_per_epoch", "patience", "evaluate_batches"):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise ValueError(f"{field} {value}: want 1 or more, or None")
