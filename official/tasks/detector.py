"""What the outputs of a detector mean."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Detector:
    """How the outputs of a detector are read; the defaults are for those of strangers.

    Attributes:
        anchors: float32 `[A, 4]`: ymin, xmin, ymax, xmax in shares of the input's
            sides, in the order of the outputs.
        scales: What ty, tx, th, tw of an encoded box are divided by.
        score_threshold: Below it nothing is a detection.
        file_score_threshold: The same in a file that makes detections itself.
        iou_threshold: Of two boxes of a class that overlap more, the surer one stays.
        per_class: Most detections of a class in an image.
        total: Most detections in an image.
    """

    anchors: np.ndarray
    scales: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    score_threshold: float = 0.3
    file_score_threshold: float = 0.3
    iou_threshold: float = 0.6
    per_class: int = 100
    total: int = 100

    @property
    def centers(self) -> np.ndarray:
        """The anchors as float32 `[A, 4]`: y and x of the center, height, width."""
        low, high = self.anchors[:, :2], self.anchors[:, 2:]
        return np.concatenate([(low + high) / 2, high - low], axis=1, dtype=np.float32)
