"""How much a score is worth: confidence against how often it is right."""

from typing import Any

import numpy as np

BINS = 15
"""As in the paper's experiments."""


class Calibration:
    """Predictions in bins of confidence, as reliability diagrams show them.

    Guo et al., 2017, https://arxiv.org/abs/1706.04599, section 2: bin m of M holds what
    is above (m - 1) / M and not above m / M.

    Args:
        of: "classes", what an image is said to be, or "boxes", which are right at an
            overlap of 0.5.

    Attributes:
        count: Predictions in each bin, `[BINS]`.
        confidence: Sum of their confidences.
        right: How many of them are right.
    """

    def __init__(self, of: str) -> None:
        self.of = of
        self.count = np.zeros(BINS, np.int64)
        self.confidence = np.zeros(BINS)
        self.right = np.zeros(BINS, np.int64)

    def add(self, confidence: np.ndarray, right: np.ndarray) -> None:
        """Takes predictions.

        Args:
            confidence: `[N]`, in 0..1; what is not a number is passed over.
            right: bool `[N]`.
        """
        confidence = np.asarray(confidence, np.float64)
        finite = np.isfinite(confidence)
        values, right = np.clip(confidence[finite], 0, 1), np.asarray(right)[finite]
        # A hair less: 0.2 * 15 is 3.0000000000000004 in floats, and belongs below.
        places = np.clip(np.ceil(values * BINS - 1e-9).astype(int) - 1, 0, BINS - 1)
        self.count += np.bincount(places, minlength=BINS)
        self.confidence += np.bincount(places, weights=values, minlength=BINS)
        self.right += np.bincount(places[np.asarray(right, bool)], minlength=BINS)

    def as_json(self) -> dict[str, Any]:
        """What it is "of"; of each bin "count", mean "confidence", share "right"."""
        some = np.maximum(self.count, 1)
        return {
            "of": self.of,
            "count": self.count.tolist(),
            "confidence": np.round(self.confidence / some, 4).tolist(),
            "right": np.round(self.right / some, 4).tolist(),
        }
