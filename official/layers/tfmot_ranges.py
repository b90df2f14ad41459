"""Activation ranges kept by TensorFlow Model Optimization's quantizers.

The package accepts no Keras 3 models, but its quantizers are functions of tensors and
of two variables. This is the only module that imports it: on import it puts
`TF_USE_LEGACY_KERAS=1` into the environment, which would turn `tf.keras` of every child
process into Keras 2.
"""

import functools
import os
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

_LEGACY = "TF_USE_LEGACY_KERAS"


@functools.cache
def tfmot() -> ModuleType:
    """The package, imported without a trace in the environment."""
    before = os.environ.get(_LEGACY)
    try:
        import tensorflow_model_optimization
    finally:
        if before is None:
            os.environ.pop(_LEGACY, None)
        else:
            os.environ[_LEGACY] = before
    return tensorflow_model_optimization


class _Host:
    """Takes the quantizers' `add_weight` calls, whose form Keras 3 refuses."""

    def __init__(self, layer: "keras.layers.Layer"):
        self._layer = layer

    def add_weight(
        self, name: str, *, initializer: Any, trainable: bool, shape: Any = None
    ) -> "keras.Variable":
        import keras

        # The initializer is one of Keras 2.
        value = initializer.get_config()["value"]
        return self._layer.add_weight(
            name=name,
            shape=shape or (),
            initializer=keras.initializers.Constant(value),
            trainable=trainable,
            dtype="float32",
            autocast=False,
            aggregation="mean",
        )


class MovingRange:
    """A range that follows the smallest and the largest value of each batch.

    Args:
        layer: Gets two scalar weights, "range_min" and "range_max".
        bits: Of the integers.
        symmetric: Around zero.
    """

    def __init__(self, layer: "keras.layers.Layer", *, bits: int, symmetric: bool):
        self._quantizer = tfmot().quantization.keras.quantizers.MovingAverageQuantizer(
            num_bits=bits, per_axis=False, symmetric=symmetric, narrow_range=False
        )
        weights = self._quantizer.build(None, "range", _Host(layer))
        self.low: keras.Variable = weights["min_var"]
        self.high: keras.Variable = weights["max_var"]

    def move(self, values: Any, *, decay: Any) -> Any:
        """Moves the range by one batch; gives the values rounded within it.

        Args:
            values: float32, of any shape.
            decay: Share of the old range that is kept; the quantizer's own is 0.999.
        """
        ops = _quant_ops()
        quantizer = self._quantizer
        return ops.MovingAvgQuantize(
            values,
            self.low.value,
            self.high.value,
            ema_decay=decay,
            is_training=True,
            num_bits=quantizer.num_bits,
            per_channel=quantizer.per_axis,
            symmetric=quantizer.symmetric,
            narrow_range=quantizer.narrow_range,
        )


@functools.cache
def _quant_ops() -> ModuleType:
    tfmot()
    # The quantizer passes a fixed decay to this function.
    from tensorflow_model_optimization.python.core.quantization.keras import quant_ops

    return quant_ops
