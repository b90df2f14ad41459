"""Estimators: what gradient rounding has."""

import abc
import dataclasses
from typing import Any

from official.layers import fake_quant


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimator(abc.ABC):
    """Rounds in training; its derivative is zero almost everywhere, so one is made up.

    In evaluation and in the file rounding is what it is.
    """

    @abc.abstractmethod
    def __call__(
        self, values: Any, low: Any, high: Any, *, bits: int, narrow: bool, axis: Any
    ) -> Any:
        """As `official.layers.fake_quant.straight_through`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StraightThrough(Estimator):
    """The gradient passes as if nothing were rounded; outside the range it is zero.

    Bengio et al., 2013, https://arxiv.org/abs/1308.3432; with the clipping of Jacob et
    al., 2018, https://arxiv.org/abs/1712.05877.
    """

    def __call__(self, values, low, high, *, bits, narrow, axis):
        return fake_quant.straight_through(
            values, low, high, bits=bits, narrow=narrow, axis=axis
        )
