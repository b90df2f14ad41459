"""Self-attention among queries, with norms in the place of scales."""

from typing import Any

import keras

from official.layers import batch_norm


@keras.saving.register_keras_serializable(package="mobile_vision")
class QueryAttention(keras.layers.Layer):
    """Multi-head attention whose logits are normalized over the batch, head by head.

    As DeepLab2's kMaX decoder has it: a norm in the place of 1 / sqrt(C), another on
    the values. The softmax is float32 at any precision.

    Called with the joint projection `[B, N, 1, 2 * key_width + value_width]` (queries,
    keys, values, heads one after another in each); gives `[B, N, 1, value_width]`.

    Args:
        heads: Number of heads.
        key_width: Channels of queries and of keys, over all heads.
        momentum: Of the norm.
        epsilon: Of the norm.
        synchronized: As in `batch_norm.BatchNormalization`.
    """

    def __init__(
        self,
        *,
        heads: int,
        key_width: int,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        synchronized: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.heads = heads
        self.key_width = key_width
        self._norm: dict[str, Any] = {
            "momentum": momentum,
            "epsilon": epsilon,
            "synchronized": synchronized,
        }
        self.norm = batch_norm.BatchNormalization(**self._norm, name="norm")

    def build(self, input_shape: Any) -> None:
        self.norm.build((None, input_shape[1], input_shape[1], self.heads))

    def call(self, joined: Any, training: bool | None = None) -> Any:
        ops, heads = keras.ops, self.heads
        count, width = joined.shape[1], joined.shape[3]
        rows = ops.reshape(joined, (-1, count, width))
        queries, keys, values = (
            ops.reshape(x, (-1, count, heads, x.shape[-1] // heads))
            for x in ops.split(rows, (self.key_width, 2 * self.key_width), axis=-1)
        )
        logits = ops.einsum("bihd,bjhd->bijh", queries, keys)
        logits = self.norm(logits, training=training)
        shares = ops.softmax(ops.cast(logits, "float32"), axis=2)
        shares = ops.cast(shares, self.compute_dtype)
        means = ops.einsum("bijh,bjhd->bihd", shares, values)
        return ops.reshape(means, (-1, count, 1, width - 2 * self.key_width))

    def compute_output_spec(self, joined: Any, training: Any = None) -> Any:
        del training
        shape = (*joined.shape[:3], joined.shape[3] - 2 * self.key_width)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "heads": self.heads,
            "key_width": self.key_width,
            **self._norm,
        }

    def multiply_adds(self) -> int:
        """Of one image: both products."""
        _, count, _, width = self.input.shape
        return count * count * (width - self.key_width)
