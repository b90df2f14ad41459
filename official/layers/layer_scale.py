"""A factor for each channel of a residual branch."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="mobile_vision")
class LayerScale(keras.layers.Layer):
    """Multiplies each channel by a trained factor.

    Touvron et al., 2021, https://arxiv.org/abs/2103.17239, section 2.2. Behind a
    convolution (and its norm) it costs nothing in a file: the converter folds it into
    the kernel.

    Args:
        initial: All factors at the start.
    """

    def __init__(self, *, initial: float = 1e-5, **settings: Any) -> None:
        super().__init__(**settings)
        self.initial = initial

    def build(self, input_shape: Any) -> None:
        self.gamma = self.add_weight(
            name="gamma",
            shape=(input_shape[-1],),
            initializer=keras.initializers.Constant(self.initial),
        )

    def call(self, inputs: Any) -> Any:
        return inputs * self.gamma

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "initial": self.initial}
