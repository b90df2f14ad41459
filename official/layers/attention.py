"""Attention of many queries over few keys."""

import math
import warnings
from typing import Any

import keras

FORMS = ("batched", "single")


@keras.saving.register_keras_serializable(package="mobile_vision")
class MultiQueryAttention(keras.layers.Layer):
    """Multi-query attention without its projections, which are layers of their own.

    Shazeer, 2019, https://arxiv.org/abs/1911.02150: all heads share keys and values. So
    the queries of all heads are the rows of one matrix.

    Called with, where N and M stand for one or more dimensions:
        queries: `[B, N, heads * C]`, heads one after another.
        keys: `[B, M, C]`.
        values: `[B, M, C]`.

    Gives `[B, N, heads * C]`: for each query and head the mean of the values by the
    softmax over M of queries * keys / sqrt(C), which is float32 at any precision.

    The mean is taken of what values differ from their plain mean, and that is added
    after, which is the same, as the softmax sums to 1. In an int8 file it does not: the
    step of SOFTMAX is 1/256, and shares below a half of it are lost. Signal to noise of
    an int8 file, normal random logits (deviation 1.5) and values, in dB:

    | keys | as it is | centered |
    |---|---|---|
    | 64 (256x256 pixels) | 35 | 37 |
    | 144 (384x384) | 30 | 35 |
    | 1024 | 10 | 31 |

    Args:
        form: "batched" for BATCH_MATMUL, or "single", whose products are of matrices
            and become FULLY_CONNECTED where the batch is statically 1; elsewhere it is
            "batched". One thread (x86-64 with AVX512-VNNI, LiteRT 2.3), 256 queries, 4
            heads, 64 keys of 64 channels:

            | form | float32 | int8 |
            |---|---|---|
            | batched | 0.09 ms | 1.2 ms (XNNPACK has no int8 BATCH_MATMUL) |
            | single | 0.40 ms | 0.21 ms |
    """

    def __init__(self, *, form: str = "batched", **settings: Any) -> None:
        super().__init__(**settings)
        if form not in FORMS:
            raise ValueError(
                f"MultiQueryAttention.form = {form!r}: must be one of "
                + ", ".join(repr(known) for known in FORMS)
            )
        self.form = form

    def call(self, queries: Any, keys: Any, values: Any) -> Any:
        channels = keys.shape[-1]
        # Right behind the projection, where the converter folds it into the kernel.
        scaled = self.rounded(queries * self.scale(channels, queries), "scaled")
        places = tuple(range(1, len(values.shape) - 1))
        center = keras.ops.mean(values, axis=places, keepdims=True)
        center = self.rounded(center, "center")
        centered = self.rounded(values - center, "values")
        means = self._means(
            _rows(scaled, channels), _rows(keys, channels), _rows(centered, channels)
        )
        # `[rows, C]` of one image gets its batch back by broadcasting.
        means = self.rounded(means + _rows(center, channels), "sum")
        return keras.ops.reshape(means, keras.ops.shape(queries))

    def rounded(self, values: Any, name: str) -> Any:
        """A seam for integer arithmetic: the values of one op, as they are here.

        Args:
            name: "scaled" queries, "center" and centered "values", "logits", "shares"
                by the softmax, "means" of centered values, their "sum" with the center.
        """
        del name
        return values

    def scale(self, channels: int, queries: Any) -> Any:
        """What queries are multiplied with: 1 / sqrt(C)."""
        del queries
        return channels**-0.5

    def _means(self, queries: Any, keys: Any, values: Any) -> Any:
        """Attention, `[B, rows, C]`; of a single image `[rows, C]`.

        Args:
            queries: `[B, rows, C]`.
            keys: `[B, M, C]`.
            values: `[B, M, C]`.
        """
        # [B, C, M]: of rank 3 for "single" too, because the converter makes one
        # BATCH_MATMUL of a product and the rank 2 transpose in front of it.
        values = keras.ops.swapaxes(values, 1, 2)
        if self.form == "single" and queries.shape[0] == 1:
            queries, keys, values = (
                keras.ops.reshape(x, x.shape[1:]) for x in (queries, keys, values)
            )
        logits = self.rounded(_product(queries, keys), "logits")
        shares = self.rounded(self._softmax(logits), "shares")
        return self.rounded(_product(shares, values), "means")

    def _softmax(self, logits: Any) -> Any:
        with warnings.catch_warnings():
            # There is a single key where images are tiny.
            warnings.filterwarnings("ignore", "You are using a softmax over axis")
            shares = keras.ops.softmax(keras.ops.cast(logits, "float32"), axis=-1)
        return keras.ops.cast(shares, self.compute_dtype)

    def compute_output_spec(
        self, queries: Any, keys: Any, values: Any
    ) -> keras.KerasTensor:
        if queries.shape[-1] % keys.shape[-1] or keys.shape != values.shape:
            raise ValueError(
                f"layer {self.name!r}: queries {queries.shape}, keys {keys.shape}, "
                f"values {values.shape}: keys and values must have one shape, and "
                "queries a multiple of their channels"
            )
        return keras.KerasTensor(queries.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "form": self.form}

    def multiply_adds(self) -> int:
        """Multiply-adds of one image through both products.

        Raises:
            ValueError: If a size is unknown.
        """
        queries, keys, _ = self.input
        sizes = (*queries.shape[1:], *keys.shape[1:-1])
        if None in sizes:
            raise ValueError(
                f"layer {self.name!r} has queries {queries.shape} and keys "
                f"{keys.shape}: build the model with a static input size to count its "
                "multiply-adds"
            )
        return 2 * math.prod(sizes)


def _rows(features: Any, channels: int) -> Any:
    """`[B, rows, channels]`."""
    return keras.ops.reshape(features, (keras.ops.shape(features)[0], -1, channels))


def _product(left: Any, right: Any) -> Any:
    """`[..., N, C]` and `[..., M, C]` to `[..., N, M]`."""
    return keras.ops.matmul(left, keras.ops.swapaxes(right, -1, -2))
