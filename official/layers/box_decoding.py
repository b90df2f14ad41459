"""From encoded boxes to boxes, of ops that integers serve well.

An elementwise constant would be rounded to 8 bits, and a corner of an anchor with it.
Here each coordinate is a channel of a depthwise convolution, whose factor has a scale
of its own and whose offset has 32 bits, so that anchors are exact in an int8 file:

    center = ty / 10 * h_anchor + y_anchor
    log(h / 2) = th / 5 + log(h_anchor / 2)

The logarithm is rounded to equal shares of the size, whatever the size. All lengths
are six times too large inside: RELU6 then cuts them to the image, as a part of the op
before it, on all hardware.
"""

from typing import Any

import keras
import numpy as np

FORMS = ("exact", "logistic")

# Least of log(h / 2) in the exact form: a side of 0.5 % of the image's.
_SMALLEST = -6.0

# exp(x) as s * (A + B * s) with s = 1 / (1 + exp(-(C * x + D))), fitted to halves of
# sides from 0.006 to 0.5, to the sum of its error and of that of 8 bits in s, relative
# to 1 + 2 * half (tests/test_box_decoding.py says how well).
_A, _B, _C, _D = 0.96820562, 2.56862087, 0.92937768, -0.25181973


@keras.saving.register_keras_serializable(package="mobile_vision")
class BoxDecoding(keras.layers.Layer):
    """Encoded boxes `[B, A, 4]` to boxes `[B, A, 4]`: ymin, xmin, ymax, xmax in 0..1.

    Centers are moved into the image, and half a side is at most the image's: a box that
    lies inside stays as it is. What reaches over the border is cut off.

    Args:
        anchors: `[A, 4]`, ymin, xmin, ymax, xmax, in shares of the image's sides.
        scales: What ty, tx, th, tw are divided by.
        form: "exact", with an EXP op, or "logistic" for hardware without: of LOGISTIC,
            ADD and two MUL, which gives sides that are wrong by up to 0.7 % of the
            image's, those of small boxes (up to a fifth of it) by up to 0.17 %.
    """

    def __init__(
        self,
        *,
        anchors: Any,
        scales: tuple[float, float, float, float],
        form: str = "exact",
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if form not in FORMS:
            raise ValueError(f"BoxDecoding.form = {form!r}: want one of {FORMS}")
        self.anchors = np.asarray(anchors, np.float32)
        if self.anchors.ndim != 2 or self.anchors.shape[1] != 4:
            raise ValueError(f"anchors {list(self.anchors.shape)}: want [A, 4]")
        if not (self.anchors[:, 2:] > self.anchors[:, :2]).all():
            raise ValueError("an anchor has no area: want ymin < ymax and xmin < xmax")
        self.scales = tuple(map(float, scales))
        self.form = form

    def call(self, encodings: Any) -> Any:
        low, high = self.anchors[:, :2], self.anchors[:, 2:]
        scales = np.array(self.scales, np.float32)
        flat = (-1, 1, 1, self.anchors.shape[0] * 2)
        centers = self.affine(
            keras.ops.reshape(encodings[..., :2], flat),
            6 * (high - low) / scales[:2],
            6 * (low + high) / 2,
        )
        centers = self.rounded(keras.ops.relu6(centers), "centers")
        halves = self._halves(
            keras.ops.reshape(encodings[..., 2:], flat),
            np.broadcast_to(1 / scales[2:], low.shape),
            np.log((high - low) / 2),
        )
        # In the order that the converter gives them.
        ends = self.rounded(keras.ops.relu6(centers + halves), "ends")
        starts = self.rounded(keras.ops.relu6(centers - halves), "starts")
        rows = (-1, self.anchors.shape[0], 2)
        corners = [keras.ops.reshape(each, rows) for each in (starts, ends)]
        return keras.ops.concatenate(corners, axis=-1) * (1 / 6)

    def _halves(self, encodings: Any, factor: Any, offset: Any) -> Any:
        """Half of the sides, times six."""
        if self.form == "exact":
            shifted = self.affine(encodings, factor, offset - _SMALLEST)
            shifted = self.rounded(keras.ops.relu6(shifted), "logarithms")
            grown = self.rounded(keras.ops.exp(shifted), "exponentials")
            halves = grown * (6 * float(np.exp(_SMALLEST)))
        else:
            bent = self.affine(encodings, _C * factor, _C * offset + _D)
            bent = self.rounded(bent, "logarithms")
            shares = self.rounded(keras.ops.sigmoid(bent), "shares")
            products = self.rounded(shares * (6 * _B), "products")
            slopes = self.rounded(products + 6 * _A, "slopes")
            halves = shares * slopes
        return self.rounded(keras.ops.relu6(halves), "halves")

    def affine(self, values: Any, factor: np.ndarray, offset: np.ndarray) -> Any:
        """Each of the values `[B, 1, 1, 2 A]` by its factor, and its offset added."""
        channels = values.shape[-1]
        kernel = np.reshape(factor, (1, 1, channels, 1))
        kernel = keras.ops.cast(self.rounded_factor(kernel), values.dtype)
        made = keras.ops.depthwise_conv(values, kernel, padding="valid")
        return made + keras.ops.cast(np.reshape(offset, channels), values.dtype)

    def rounded_factor(self, kernel: Any) -> Any:
        """A factor `[1, 1, C, 1]` on its grid; here as it is."""
        return kernel

    def rounded(self, values: Any, name: str) -> Any:
        """Values inside on their grid; here as they are."""
        del name
        return values

    def compute_output_spec(self, encodings: Any) -> keras.KerasTensor:
        return keras.KerasTensor(encodings.shape, dtype=self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "anchors": self.anchors.tolist(),
            "scales": self.scales,
            "form": self.form,
        }


LIMITS = {
    # Half a side of a box inside of the image is at most half of the image's.
    "exact": {
        "centers": (0.0, 6.0),
        "logarithms": (0.0, 6.0),
        "exponentials": (0.0, 0.5 * float(np.exp(-_SMALLEST))),
        "halves": (0.0, 3.0),
        "ends": (0.0, 6.0),
        "starts": (0.0, 6.0),
    },
    "logistic": {
        "centers": (0.0, 6.0),
        "logarithms": (_C * _SMALLEST + _D, 0.0),
        "shares": (0.0, 255 / 256),
        "products": (0.0, 6 * _B * 255 / 256),
        "slopes": (0.0, 6 * (_A + _B * 255 / 256)),
        "halves": (0.0, 3.0),
        "ends": (0.0, 6.0),
        "starts": (0.0, 6.0),
    },
}
"""Ranges of what an integer file holds inside, by form and name."""
