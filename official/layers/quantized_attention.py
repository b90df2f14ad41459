"""Attention on the grids of an integer file."""

from typing import Any

import keras

from official.layers import attention, fake_quant

# The quantization that TFLite's SOFTMAX has in every int8 file.
_SHARES = (0.0, 255 / 256)
_RANGES = ("scaled", "center", "values", "logits", "shares", "means", "sum")


@keras.saving.register_keras_serializable(package="mobile_vision")
class QuantizedMultiQueryAttention(attention.MultiQueryAttention):
    """Multi-query attention with a range wherever an integer file has a tensor.

    The output lies on its grid. The queries are to come unrounded, since their division
    by sqrt(C) becomes part of the convolution that made them.

    Args:
        bits: Of the integers.
        symmetric: Ranges around zero.
        decay: As of `fake_quant.FakeQuant`.
    """

    def __init__(
        self,
        *,
        bits: int = 8,
        symmetric: bool = False,
        decay: float = 0.99,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.bits = bits
        self.symmetric = symmetric
        self.decay = decay
        self._ranges = [
            fake_quant.FakeQuant(
                bits=bits,
                symmetric=symmetric,
                decay=decay,
                fixed=_SHARES if name == "shares" else None,
                name=f"{name}_range",
                dtype=self.dtype_policy,
            )
            for name in _RANGES
        ]

    @property
    def limits_inside(self) -> dict[str, tuple[Any, Any]]:
        """Low and high of what is rounded inside, by name."""
        return {
            name: layer.limits
            for name, layer in zip(_RANGES, self._ranges, strict=True)
        }

    def build(self, queries_shape: Any, keys_shape: Any, values_shape: Any) -> None:
        del queries_shape, keys_shape, values_shape  # a range is a range at any size
        for layer in self._ranges:
            layer.build(())
            layer.built = True

    def rounded(self, values: Any, name: str) -> Any:
        # Whether this is training, Keras hands on by itself.
        return self._ranges[_RANGES.index(name)](values)

    def scale(self, channels: int, queries: Any) -> Any:
        # A vector: the converter folds no scalar into a convolution that is on a grid.
        return keras.ops.full((queries.shape[-1],), channels**-0.5, queries.dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "bits": self.bits,
            "symmetric": self.symmetric,
            "decay": self.decay,
        }
