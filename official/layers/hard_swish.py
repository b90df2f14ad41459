"""Hard-swish and hard-sigmoid, as layers: an export target can choose their form.

Howard et al., 2019, https://arxiv.org/abs/1905.02244, section 5.2.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import keras

from official.layers import depthwise

FORMS = ("fused", "split")

# The next float32 above 1/6. The TFLite converter turns x * relu6(x + 3) * (1/6) into
# one HARD_SWISH op; with this constant it keeps the ops apart.
_SIXTH_UNFUSED = 0.16666669

# Values in a tensor from which a loop compiled with XLA pays: it saves 2 ns a value and
# step, and takes 0.3 s to compile, forward and backward, before the first step.
_LEAST_FOR_XLA = 2**18


class _Elementwise(keras.layers.Layer):
    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None
    ) -> keras.KerasTensor:
        del training
        # Spelled out, because Keras 3 marks `x * constant` as sparse and tracing
        # `call` on such an input fails.
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)


@keras.saving.register_keras_serializable(package="mobile_vision")
class HardSwish(_Elementwise):
    """`x * relu6(x + 3) / 6`.

    In training on CPUs, XLA makes one loop of it and one of its gradient for a large
    tensor: 2.4 ms of a core's time against 10.1 ms of TensorFlow's ops, which go over
    it four and six times, forward and backward at [16, 28, 28, 240]. Results and
    gradients are those of the ops but for rounding.

    Args:
        form: "fused", which the TFLite converter writes as one HARD_SWISH op, or
            "split", ADD, RELU6 and two MULs. The two differ by at most 2e-7 of x.
    """

    def __init__(self, *, form: str = "fused", **settings: Any) -> None:
        super().__init__(**settings)
        if form not in FORMS:
            raise ValueError(
                f"HardSwish.form = {form!r}: must be one of "
                + ", ".join(repr(known) for known in FORMS)
            )
        self.form = form

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if training and _is_large(inputs) and depthwise.on_cpu():
            return _one_loop()(inputs)
        if self.form == "fused":
            return keras.ops.hard_swish(inputs)
        return inputs * (keras.ops.relu6(inputs + 3.0) * _SIXTH_UNFUSED)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "form": self.form}


@keras.saving.register_keras_serializable(package="mobile_vision")
class HardSigmoid(_Elementwise):
    """`relu6(x + 3) / 6`, the gate of squeeze-and-excite."""

    def call(self, inputs: Any) -> Any:
        return keras.ops.relu6(inputs + 3.0) * (1.0 / 6.0)


def _is_large(inputs: Any) -> bool:
    known = None not in inputs.shape
    return known and math.prod(inputs.shape) >= _LEAST_FOR_XLA


@functools.cache
def _one_loop() -> Callable[[Any], Any]:
    """Hard-swish of a TensorFlow tensor, compiled with XLA, and its gradient."""
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def swish(inputs: Any) -> Any:
        return inputs * (tf.nn.relu6(inputs + 3.0) * (1.0 / 6.0))

    @tf.function(jit_compile=True)
    def gradient(inputs: Any, outer: Any) -> Any:
        opened = tf.nn.relu6(inputs + 3.0)
        slope = tf.where((opened > 0.0) & (opened < 6.0), inputs, 0.0)
        return outer * ((opened + slope) * (1.0 / 6.0))

    @tf.custom_gradient
    def swished(inputs: Any) -> Any:
        return swish(inputs), lambda outer: gradient(inputs, outer)

    return swished
