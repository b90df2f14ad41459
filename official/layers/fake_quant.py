"""Fake quantization: float values on the grid that an integer file has.

Jacob et al., 2018, https://arxiv.org/abs/1712.05877, section 3.
"""

from collections.abc import Callable
from typing import Any

import keras

from official.layers import tfmot_ranges

MODES = ("quantize", "observe")
LEVELS = 127
"""Of an int8 weight on either side of zero: the range is narrow, -128 is not used."""

# Pretrained networks have channels whose kernel is zero, and whose norm has an offset
# still: in steps of a scale made of such a kernel it would not fit into 32 bits.
_DEAD = 1e-4
_SMALLEST_KERNEL = 1e-7
_NO_RANGE = 1e-6

Rounding = Callable[..., Any]
"""Called as `straight_through` is."""


def straight_through(
    values: Any, low: Any, high: Any, *, bits: int, narrow: bool, axis: int | None
) -> Any:
    """Rounds to the `2**bits` levels between two bounds; the gradient passes within.

    Args:
        values: Of any shape.
        low: Scalar or, with an axis, `[C]`; moved with `high` so that zero is a level.
        high: Likewise.
        narrow: Leave out the lowest level.
        axis: Of the channels that have bounds of their own.
    """
    return keras.quantizers.fake_quant_with_min_max_vars(
        values, low, high, num_bits=bits, narrow_range=narrow, axis=axis
    )


@keras.saving.register_keras_serializable(package="mobile_vision")
class FakeQuant(keras.layers.Layer):
    """Rounds activations to the levels of one range for the whole tensor.

    In training the range follows the extremes of the batches: at first their plain
    mean, later an exponential average. On TensorFlow the range is kept by
    `tensorflow-model-optimization`, elsewhere by the same function of Keras alone.

    Args:
        bits: Of the integers.
        symmetric: A range around zero.
        decay: Share of the range that a batch leaves as it was.
        fixed: Low and high, where the values are known; there are no weights then.

    Attributes:
        mode: "quantize", or "observe": the range moves, values pass as they are.
        frozen: The range stays as it is, in training too.
        rounding: Gives gradients to rounding in training. Neither of the three is
            saved: they belong to a training, not to the network.
    """

    def __init__(
        self,
        *,
        bits: int = 8,
        symmetric: bool = False,
        decay: float = 0.99,
        fixed: tuple[float, float] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.bits = bits
        self.symmetric = symmetric
        self.decay = decay
        self.fixed = None if fixed is None else (float(fixed[0]), float(fixed[1]))
        self.mode = "quantize"
        self.frozen = False
        self.rounding: Rounding = straight_through
        self.range_min: Any = None
        self.range_max: Any = None
        self.range_count: Any = None

    def build(self, input_shape: Any) -> None:
        if self.fixed is not None:
            return
        self._moving = None
        if keras.backend.backend() == "tensorflow":
            self._moving = tfmot_ranges.MovingRange(
                self, bits=self.bits, symmetric=self.symmetric
            )
            self.range_min, self.range_max = self._moving.low, self._moving.high
        else:
            self.range_min = self._scalar("range_min", -6.0)
            self.range_max = self._scalar("range_max", 6.0)
        self.range_count = self._scalar("range_count", 0.0)

    def _scalar(self, name: str, initial: float) -> keras.Variable:
        return self.add_weight(
            name=name,
            shape=(),
            initializer=keras.initializers.Constant(initial),
            trainable=False,
            dtype="float32",
            autocast=False,
            aggregation="mean",
        )

    @property
    def limits(self) -> tuple[Any, Any]:
        """Low and high, as they are now; zero may be moved onto a level still.

        Of values that have always been zero (a squeeze of two channels, both dead) any
        range will do: the one here has a width of 1. Without it the converter takes
        steps so small that XNNPACK refuses the file.
        """
        if self.fixed:
            return self.fixed
        low = keras.ops.convert_to_tensor(self.range_min)
        high = keras.ops.convert_to_tensor(self.range_max)
        return low, keras.ops.where(high - low > _NO_RANGE, high, low + 1.0)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        values = keras.ops.cast(inputs, "float32")
        if training and self.fixed is None and not self.frozen:
            self._follow(values)
        if self.mode == "observe":
            return inputs
        rounding = self.rounding if training else straight_through
        low, high = self.limits
        rounded = rounding(values, low, high, bits=self.bits, narrow=False, axis=None)
        return keras.ops.cast(rounded, self.compute_dtype)

    def _follow(self, values: Any) -> None:
        values = keras.ops.stop_gradient(values)
        count = keras.ops.convert_to_tensor(self.range_count)
        decay = keras.ops.minimum(self.decay, count / (count + 1.0))
        if self._moving is not None:
            self._moving.move(values, decay=decay)
        else:
            for limit, extreme in zip(
                (self.range_min, self.range_max),
                extremes(values, bits=self.bits, symmetric=self.symmetric),
                strict=True,
            ):
                limit.assign(limit - (limit - extreme) * (1.0 - decay))
        self.range_count.assign(count + 1.0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:
        del training
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "bits": self.bits,
            "symmetric": self.symmetric,
            "decay": self.decay,
            "fixed": self.fixed,
        }


def is_range(variable: keras.Variable) -> bool:
    """Whether it is a weight of a `FakeQuant`."""
    return variable.name in ("range_min", "range_max", "range_count")


def extremes(values: Any, *, bits: int, symmetric: bool) -> tuple[Any, Any]:
    """Smallest and largest value of a tensor, and zero between them.

    Args:
        symmetric: Widen to integers around zero, of which there is one more below.
    """
    low, high = keras.ops.min(values), keras.ops.max(values)
    if not symmetric:
        return keras.ops.minimum(low, 0.0), keras.ops.maximum(high, 0.0)
    ratio = (2**bits - 2) / 2**bits
    return keras.ops.minimum(low, -high / ratio), keras.ops.maximum(high, -low * ratio)


def kernel(weights: Any, *, bits: int, rounding: Rounding = straight_through) -> Any:
    """A kernel on the grid of int8, each output channel with a scale of its own.

    With fewer bits than 8 only every n-th level is used, which an int8 file can hold.
    The range is that of the weights as they are: no variable to keep, and none that
    lags behind at export. A channel with next to nothing in it has the scale of the
    largest one.

    Args:
        weights: `[..., C]`.
        bits: 2 to 8.
        rounding: Gives it gradients.
    """
    values = keras.ops.cast(weights, "float32")
    axes = tuple(range(len(values.shape) - 1))
    largest = keras.ops.max(keras.ops.abs(keras.ops.stop_gradient(values)), axis=axes)
    whole = keras.ops.maximum(keras.ops.max(largest), _SMALLEST_KERNEL)
    largest = keras.ops.where(largest > _DEAD * whole, largest, whole)
    bound = largest * (LEVELS / (2 ** (bits - 1) - 1))
    rounded = rounding(values, -bound, bound, bits=8, narrow=True, axis=-1)
    return keras.ops.cast(rounded, weights.dtype)
