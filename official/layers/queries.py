"""Learned queries: what a mask transformer starts from."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="mobile_vision")
class LearnedQueries(keras.layers.Layer):
    """One vector for each slot, the same for every image.

    Called with features `[B, ...]`, of which only the size of the batch counts; gives
    `[B, N, 1, width]`: a map of one column, so that convolutions of 1x1 and norms of
    images do for queries, too, in training and in integer files.

    Args:
        count: N, the number of slots.
        width: Channels.
    """

    def __init__(self, *, count: int, width: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.count = count
        self.width = width

    def build(self, input_shape: Any) -> None:
        self.values = self.add_weight(
            name="values",
            shape=(1, self.count, 1, self.width),
            initializer=keras.initializers.TruncatedNormal(stddev=1.0),
        )

    def call(self, features: Any) -> Any:
        values = keras.ops.cast(self.values, self.compute_dtype)
        batch = features.shape[0] or keras.ops.shape(features)[0]
        if isinstance(batch, int) and batch == 1:
            return values
        return keras.ops.broadcast_to(values, (batch, self.count, 1, self.width))

    def compute_output_spec(self, features: Any) -> keras.KerasTensor:
        shape = (features.shape[0], self.count, 1, self.width)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "count": self.count, "width": self.width}
