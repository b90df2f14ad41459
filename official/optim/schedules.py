"""Learning-rate schedules: specs that build Keras schedules."""

import abc
import dataclasses
import math

import keras
from keras import ops


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule(abc.ABC):
    """Learning rate over the steps of a training.

    Attributes:
        learning_rate: Peak value.
        warmup_epochs: Epochs (or parts) of linear rise to the peak. The decay counts
            from step 0, as in DeepLab and Model Garden, not from the end of the rise.
        warmup_start: Value that the rise starts from.
    """

    learning_rate: float
    warmup_epochs: float = 0.0
    warmup_start: float = 0.0

    def __post_init__(self):
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate {self.learning_rate}: want more than 0")

    @abc.abstractmethod
    def decay(
        self, *, total_steps: int, steps_per_epoch: int
    ) -> keras.optimizers.schedules.LearningRateSchedule:
        """The schedule without its warm-up."""

    def build(
        self, *, total_steps: int, steps_per_epoch: int
    ) -> keras.optimizers.schedules.LearningRateSchedule:
        decay = self.decay(total_steps=total_steps, steps_per_epoch=steps_per_epoch)
        warmup_steps = round(self.warmup_epochs * steps_per_epoch)
        if not warmup_steps:
            return decay
        return LinearWarmup(decay, steps=warmup_steps, start=self.warmup_start)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """Stays at the peak."""

    def decay(self, *, total_steps, steps_per_epoch):
        return keras.optimizers.schedules.PolynomialDecay(
            self.learning_rate, 1, end_learning_rate=self.learning_rate
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Polynomial(Schedule):
    """`learning_rate * (1 - step / total_steps) ** power`."""

    power: float = 0.9

    def decay(self, *, total_steps, steps_per_epoch):
        return keras.optimizers.schedules.PolynomialDecay(
            self.learning_rate, total_steps, end_learning_rate=0.0, power=self.power
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """Half a cosine from the peak to `final_fraction` of it."""

    final_fraction: float = 0.0

    def decay(self, *, total_steps, steps_per_epoch):
        return keras.optimizers.schedules.CosineDecay(
            self.learning_rate, total_steps, alpha=self.final_fraction
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExponentialSteps(Schedule):
    """Multiplied by `factor` once every `every_epochs` epochs."""

    factor: float
    every_epochs: float

    def decay(self, *, total_steps, steps_per_epoch):
        return keras.optimizers.schedules.ExponentialDecay(
            self.learning_rate,
            max(1, math.ceil(self.every_epochs * steps_per_epoch)),
            self.factor,
            staircase=True,
        )


class LinearWarmup(keras.optimizers.schedules.LearningRateSchedule):
    """A straight line to where another schedule is after `steps`, then that one."""

    def __init__(
        self,
        schedule: keras.optimizers.schedules.LearningRateSchedule,
        *,
        steps: int,
        start: float,
    ):
        self.schedule = schedule
        self.steps = steps
        self.start = start

    def __call__(self, step):
        done = ops.minimum(ops.cast(step, "float32") / self.steps, 1.0)
        later = self.schedule(ops.maximum(ops.cast(step, "float32"), self.steps))
        return self.start + done * (later - self.start)

    def get_config(self):
        return {"schedule": self.schedule, "steps": self.steps, "start": self.start}
