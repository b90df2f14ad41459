"""Self-attention along one axis of a map, with learned relative positions."""

import math
from typing import Any

import keras

from official.layers import batch_norm

AXES = ("height", "width")


@keras.saving.register_keras_serializable(package="mobile_vision")
class AxialAttention(keras.layers.Layer):
    """Attention of each place to those in its column ("height") or row ("width").

    Wang et al., 2020, https://arxiv.org/abs/2003.07853, section 3.2, in the form of
    DeepLab2: positions are added to queries, keys and values; each of the three terms
    of the logits and each of the two of the output has a norm, which takes the place of
    1 / sqrt(C); the softmax is float32 at any precision.

    Called with the joint projection `[B, H, W, 2 * key_width + value_width]` (queries,
    keys, values, heads one after another in each); gives `[B, H, W, value_width]`.

    Args:
        axis: One of `AXES`.
        heads: Number of heads.
        key_width: Channels of queries and of keys, over all heads.
        value_width: Channels of values, over all heads.
        span: Largest distance along the axis of which a position is learned, plus 1.
        momentum: Of the norms.
        epsilon: Of the norms.
        synchronized: As in `batch_norm.BatchNormalization`.
    """

    def __init__(
        self,
        *,
        axis: str,
        heads: int,
        key_width: int,
        value_width: int,
        span: int = 255,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        synchronized: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if axis not in AXES:
            raise ValueError(f"AxialAttention.axis = {axis!r}: must be one of {AXES}")
        self.axis = axis
        self.heads = heads
        self.key_width = key_width
        self.value_width = value_width
        self.span = span
        self._norm: dict[str, Any] = {
            "momentum": momentum,
            "epsilon": epsilon,
            "synchronized": synchronized,
        }
        norm = batch_norm.BatchNormalization
        self.norms = [
            norm(**self._norm, name=f"{term}_norm")
            for term in ("content", "query_position", "key_position")
        ]
        self.output_norms = [
            norm(**self._norm, name=f"{term}_norm")
            for term in ("value", "value_position")
        ]

    def build(self, input_shape: Any) -> None:
        length = input_shape[1 if self.axis == "height" else 2]
        if length > self.span:
            raise ValueError(
                f"layer {self.name!r}: {length} places along its {self.axis}, it knows "
                f"positions of {self.span}: set a larger span"
            )
        for name, width in (
            ("query_positions", self.key_width),
            ("key_positions", self.key_width),
            ("value_positions", self.value_width),
        ):
            table = self.add_weight(
                name=name,
                shape=(2 * self.span - 1, width // self.heads),
                initializer=keras.initializers.TruncatedNormal(stddev=1.0),
            )
            setattr(self, name, table)
        for layer in self.norms:
            layer.build((None, length, length, self.heads))
        for layer in self.output_norms:
            layer.build((None, None, length, self.value_width))

    def call(self, joined: Any, training: bool | None = None) -> Any:
        ops, heads = keras.ops, self.heads
        if self.axis == "height":
            joined = ops.swapaxes(joined, 1, 2)
        rows, length, width = joined.shape[1:]
        lines = ops.reshape(joined, (-1, length, width))
        queries, keys, values = ops.split(
            lines, (self.key_width, 2 * self.key_width), axis=-1
        )
        queries, keys, values = (
            ops.reshape(x, (-1, length, heads, x.shape[-1] // heads))
            for x in (queries, keys, values)
        )
        of_queries, of_keys, of_values = (
            self._relative(table, length)
            for table in (
                self.query_positions,
                self.key_positions,
                self.value_positions,
            )
        )
        terms = (
            ops.einsum("bihd,bjhd->bijh", queries, keys),
            ops.einsum("bihd,ijd->bijh", queries, of_queries),
            ops.einsum("bjhd,ijd->bijh", keys, of_keys),
        )
        logits = sum(
            layer(term, training=training)
            for layer, term in zip(self.norms, terms, strict=True)
        )
        shares = ops.softmax(ops.cast(logits, "float32"), axis=2)
        shares = ops.cast(shares, self.compute_dtype)
        outputs = (
            ops.einsum("bijh,bjhd->bihd", shares, values),
            ops.einsum("bijh,ijd->bihd", shares, of_values),
        )
        shape = (-1, rows, length, self.value_width)
        total = sum(
            layer(ops.reshape(term, shape), training=training)
            for layer, term in zip(self.output_norms, outputs, strict=True)
        )
        return ops.swapaxes(total, 1, 2) if self.axis == "height" else total

    def _relative(self, table: Any, length: int) -> Any:
        """`[length, length, C]`: what the table has for j - i."""
        places = keras.ops.arange(length)
        distances = places[None, :] - places[:, None] + self.span - 1
        return keras.ops.cast(
            keras.ops.take(table, distances, axis=0), self.compute_dtype
        )

    def compute_output_spec(self, joined: Any, training: Any = None) -> Any:
        del training
        shape = (*joined.shape[:3], self.value_width)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "heads": self.heads,
            "key_width": self.key_width,
            "value_width": self.value_width,
            "span": self.span,
            **self._norm,
        }

    def multiply_adds(self) -> int:
        """Of one image: the products, those with positions among them."""
        _, height, width, _ = self.input.shape
        length = height if self.axis == "height" else width
        return math.prod((height, width, length)) * (
            3 * self.key_width + 2 * self.value_width
        )
