"""Attention on the grids of an integer file."""

from typing import Any

import keras

from official.layers import attention, fake_quant

# The quantization that TFLite's SOFTMAX has in every int8 file.
_SHARES = (0.0, 255 / 256)
_RANGES = ("scaled", "center", "values", "logits", "means", "sum")


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
                name=f"{name}_range",
                dtype=self.dtype_policy,
            )
            for name in _RANGES
        ]
        self._shares_range = fake_quant.FakeQuant(
            fixed=_SHARES, name="shares_range", dtype=self.dtype_policy
        )

    def build(self, queries: Any, keys: Any, values: Any) -> None:
        del queries, keys, values
        for layer in (*self._ranges, self._shares_range):
            layer.build(())
            layer.built = True

    def rounded(self, values: Any, name: str) -> Any:
        # Whether this is training, Keras hands on by itself.
        return self._ranges[_RANGES.index(name)](values)

    def rounded_shares(self, shares: Any) -> Any:
        return self._shares_range(shares)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "bits": self.bits,
            "symmetric": self.symmetric,
            "decay": self.decay,
        }
