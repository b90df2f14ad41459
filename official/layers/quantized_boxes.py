"""The decoding of boxes on the grids of an integer file."""

from typing import Any

import keras

from official.layers import box_decoding, quantized


@keras.saving.register_keras_serializable(package="mobile_vision")
class QuantizedBoxDecoding(quantized.Inside, box_decoding.BoxDecoding):
    """As `BoxDecoding`; what is inside has ranges that are known beforehand.

    Sides of more than the image's are cut to it, about the center: boxes that the
    images of training cannot hold.

    Args:
        bits: Of the integers.
    """

    def __init__(self, *, bits: int = 8, **settings: Any) -> None:
        super().__init__(**settings)
        self.bits = bits

    @property
    def limits_inside(self) -> dict[str, tuple[float, float]]:  # type: ignore[override]
        return box_decoding.LIMITS[self.form]

    def rounded_factor(self, kernel: Any) -> Any:
        channels = kernel.shape[2]
        rounded = self.rounded_kernel(
            keras.ops.convert_to_tensor(kernel.reshape(1, 1, 1, channels)), 8
        )
        return keras.ops.reshape(rounded, kernel.shape)
