"""Hard-swish and hard-sigmoid, as layers: an export target can choose their form.

Howard et al., 2019, https://arxiv.org/abs/1905.02244, section 5.2.
"""

from typing import Any

import keras

FORMS = ("fused", "split")

# The next float32 above 1/6. The TFLite converter turns x * relu6(x + 3) * (1/6) into
# one HARD_SWISH op; with this constant it keeps the ops apart.
_SIXTH_UNFUSED = 0.16666669


class _Elementwise(keras.layers.Layer):
    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        # Spelled out, because Keras 3 marks `x * constant` as sparse and tracing
        # `call` on such an input fails.
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)


@keras.saving.register_keras_serializable(package="mobile_vision")
class HardSwish(_Elementwise):
    """`x * relu6(x + 3) / 6`.

    A gradient of its own (one select instead of a chain of products) was tried and is
    no faster: 5.2 ms against 3.9 ms forward and backward at [16, 56, 56, 64].

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

    def call(self, inputs: Any) -> Any:
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
