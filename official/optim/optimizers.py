"""Optimizers: specs that build Keras optimizers."""

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from official.optim import clipping, fused, rates, schedules


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer(abc.ABC):
    """An update rule with its schedule.

    Attributes:
        schedule: Learning rate over time.
        weight_decay: Decoupled decay (AdamW's), times the learning rate. Spares biases
            and norms.
        l2: Adds `l2 / 2 * sum(w**2)` of the convolution and dense kernels to the loss
            (not of depthwise kernels, biases and norms).
        clip_norm: Largest global norm of the gradient, or None.
        ema_decay: Decay of the moving average of the weights that evaluation and
            export use; 0.0 is none. The average covers about `1 / (1 - ema_decay)`
            steps, and in short trainings no more than the last ninth of them.
    """

    schedule: schedules.Schedule
    weight_decay: float = 0.0
    l2: float = 0.0
    clip_norm: float | None = None
    ema_decay: float = 0.0

    def __post_init__(self):
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay {self.ema_decay}: want at least 0, below 1")

    @abc.abstractmethod
    def rule(
        self, learning_rate: keras.optimizers.schedules.LearningRateSchedule
    ) -> keras.optimizers.Optimizer:
        """The Keras optimizer."""

    def build(
        self,
        variables: Sequence[keras.Variable],
        *,
        total_steps: int,
        steps_per_epoch: int,
        factors: Sequence[float] = (),
    ) -> keras.optimizers.Optimizer:
        """The optimizer for the trainable variables of a network.

        Args:
            factors: Of the learning rate, one for each variable; empty is 1 for all.
        """
        optimizer = self.rule(
            self.schedule.build(
                total_steps=total_steps, steps_per_epoch=steps_per_epoch
            )
        )
        spared = [v for v in variables if not v.name.endswith("kernel")]
        optimizer.exclude_from_weight_decay(var_list=spared)
        fused.fuse(optimizer)
        if self.clip_norm is not None:
            clipping.clip_over_replicas(optimizer)
        if any(factor != 1.0 for factor in factors):
            rates.scale(optimizer, factors)
        if self.ema_decay:
            rates.ramp_average(optimizer)
            rates.spare_frozen(optimizer)
            rates.keep_weights(optimizer)
        return optimizer

    def _shared(self) -> dict[str, Any]:
        return {
            "weight_decay": self.weight_decay or None,
            "global_clipnorm": self.clip_norm,
            "use_ema": self.ema_decay > 0,
            "ema_momentum": self.ema_decay or 0.99,
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum."""

    momentum: float = 0.9
    nesterov: bool = False

    def rule(self, learning_rate):
        return keras.optimizers.SGD(
            learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            **self._shared(),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RMSProp(Optimizer):
    """RMSProp with momentum; the MobileNet papers' choice, with epsilon 0.002."""

    rho: float = 0.9
    momentum: float = 0.9
    epsilon: float = 0.002

    def rule(self, learning_rate):
        return keras.optimizers.RMSprop(
            learning_rate,
            rho=self.rho,
            momentum=self.momentum,
            epsilon=self.epsilon,
            **self._shared(),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019, 1711.05101)."""

    weight_decay: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    def rule(self, learning_rate):
        shared = self._shared() | {"weight_decay": self.weight_decay}
        return keras.optimizers.AdamW(
            learning_rate,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            **shared,
        )
