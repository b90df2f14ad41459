"""The products of a mask transformer on the grids of an integer file."""

import types
from typing import Any

import keras

from official.layers import masks, quantized


@keras.saving.register_keras_serializable(package="mobile_vision")
class QuantizedKMeansUpdate(quantized.Inside, masks.KMeansUpdate):
    """As `KMeansUpdate`; what a pixel counts, 0 or 1, is on a grid that has both.

    Args:
        bits: Of the integers.
    """

    limits_inside = types.MappingProxyType({"chosen": (0.0, 1.0)})

    def __init__(self, *, bits: int = 8, **settings: Any) -> None:
        super().__init__(**settings)
        self.bits = bits
