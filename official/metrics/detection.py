"""How well objects are found: COCO's figures, VOC's, and who is taken for whom."""

import math
import statistics
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from official.metrics import calibration as calibration_lib
from official.metrics import coco_ap, detections, voc_ap
from official.ops import box_kinds

SHOWN_SCORE = 0.5
"""Detections with at least this score are in the confusion."""

VOC = ("voc_ap", "voc_ap_11")
FIGURES = (*coco_ap.NAMES, *VOC)
"""Those over all classes."""

_CONSTANT_BOXES = 20
_CANDIDATES = 200


class DetectionMetrics(keras.metrics.Metric):
    """COCO's twelve figures, overall and by class, and VOC's average precision.

    Every image is kept until `result()`, which runs the evaluators over all of them.

    - `ap`, `ap50`, ..., `ar_large`: see `coco_ap.NAMES`.
    - `ap/<class>`, `ap50/<class>`: of each class with objects.
    - `voc_ap`: mean over the classes with objects of the area under the curve, as VOC
      since 2010; `voc_ap_11`: of eleven points of it, as before.

    Figures of which no object tells are left out: those of a class without objects, of
    a size that none has. `judged_by`, which decides, is always there, then 0.
    """

    def __init__(
        self,
        *,
        class_names: tuple[str, ...],
        judged_by: str,
        name: str = "detection",
    ):
        super().__init__(name=name)
        self.class_names = class_names
        self.judged_by = judged_by
        self.reset_state()

    def reset_state(self) -> None:
        self.images: list[detections.Image] = []
        self._score: coco_ap.Score | None = None

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        """Keeps a batch.

        Args:
            y_true: As `detections.of_batch` takes them.
            y_pred: Likewise.
            sample_weight: Not supported; part of Keras's signature.
        """
        if sample_weight is not None:
            raise ValueError("images cannot be weighted here")
        self.images += detections.of_batch(y_true, y_pred)
        self._score = None

    def result(self) -> dict[str, float]:
        found = self._scored()
        values = dict(found.overall)
        values |= self._voc()
        for name, of_classes in found.by_class.items():
            for class_name, value in zip(self.class_names, of_classes, strict=True):
                values[f"{name}/{class_name}"] = float(value)
        known = {name: v for name, v in values.items() if not math.isnan(v)}
        # Training asks for what decides after each evaluation, also of a part of the
        # set in which no object tells.
        return {self.judged_by: 0.0} | known

    def precision_recall(self) -> dict[str, list[float]]:
        """By class, the precision at recalls 0, 0.01, ..., 1 and an overlap of 0.5."""
        curves = self._scored().precision.T
        return {
            name: [float(value) for value in curve]
            for name, curve in zip(self.class_names, curves, strict=True)
            if not np.isnan(curve).any()
        }

    def calibration(self) -> calibration_lib.Calibration:
        """Scores against the precision at an overlap of 0.5."""
        found = calibration_lib.Calibration("boxes")
        found.add(self._scored().scores, self._scored().hits)
        return found

    def confusion(self) -> np.ndarray:
        """Counts `[truth, prediction]` `[K + 1, K + 1]`; the last stands for nothing.

        Objects are paired with the detections that overlap them by at least a half and
        have a score of `SHOWN_SCORE`, see `detections.matches`.
        """
        nothing = len(self.class_names)
        counts = np.zeros((nothing + 1, nothing + 1), np.int64)
        for image in self.images:
            for match in detections.matches(image, min_score=SHOWN_SCORE, min_iou=0.5):
                truth = nothing if match.truth is None else match.truth
                said = nothing if match.prediction is None else match.prediction
                counts[truth, said] += 1
        return counts

    def records(self) -> Iterator[dict[str, Any]]:
        """The detections as COCO's result files hold them, but for names.

        "image_id" is the name of the image, "category_id" the class id, "bbox" x, y,
        width and height in pixels.
        """
        for image in self.images:
            rows = zip(image.found, image.found_classes, image.scores, strict=True)
            for (top, left, bottom, right), class_id, score in rows:
                yield {
                    "image_id": image.name,
                    "category_id": int(class_id),
                    "bbox": [
                        round(float(side), 3)
                        for side in (left, top, right - left, bottom - top)
                    ],
                    "score": round(float(score), 6),
                }

    def constant(self, name: str) -> float:
        """The figure `name` for the same boxes in every image, well chosen.

        They are the true boxes that, in shares of the sides, meet a true one of their
        class in most images; overlapping ones are thinned out.
        """
        constant = DetectionMetrics(
            class_names=self.class_names, judged_by=self.judged_by
        )
        boxes, classes, scores = self._typical()
        for image in self.images:
            height, width = image.size
            constant.images.append(
                detections.Image(
                    name=image.name,
                    size=image.size,
                    boxes=image.boxes,
                    classes=image.classes,
                    kinds=image.kinds,
                    areas=image.areas,
                    found=boxes * [height, width, height, width],
                    found_classes=classes,
                    scores=scores,
                )
            )
        found = constant._voc() if name in VOC else constant._scored().overall
        value = found.get(name, math.nan)
        return 0.0 if math.isnan(value) else float(value)

    def _voc(self) -> dict[str, float]:
        """The figures of `VOC`; none where there is no object."""
        found = voc_ap.curves(self.images, classes=len(self.class_names))
        known = [curve for curve in found if curve is not None]
        if not known:
            return {}
        return {
            "voc_ap": statistics.mean(curve.area() for curve in known),
            "voc_ap_11": statistics.mean(curve.eleven_points() for curve in known),
        }

    def _scored(self) -> coco_ap.Score:
        if self._score is None:
            self._score = coco_ap.score(self.images, classes=len(self.class_names))
        return self._score

    def _typical(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Boxes in shares, their classes, and shares of images as their scores."""
        rows = []
        for class_id in range(len(self.class_names)):
            truths = [self._shares(image, class_id) for image in self.images]
            every = np.concatenate([np.zeros((0, 4)), *truths])
            step = max(1, len(every) // _CANDIDATES)
            candidates = every[::step][:_CANDIDATES]
            met = np.zeros(len(candidates))
            for boxes in truths:
                if len(boxes):
                    table = detections.overlaps(candidates, boxes)
                    met += table.max(axis=1) >= 0.5
            for number in np.argsort(-met, kind="stable"):
                box = candidates[number]
                if np.isfinite(met[number]):
                    rows.append((met[number] / len(self.images), class_id, box))
                    # What lies on it finds the same objects.
                    near = detections.overlaps(candidates, box[None])[:, 0] > 0.5
                    met[near] = np.nan
        rows.sort(key=lambda row: -row[0])
        rows = rows[:_CONSTANT_BOXES]
        return (
            np.array([row[2] for row in rows]).reshape(-1, 4),
            np.array([row[1] for row in rows], np.int64),
            np.array([row[0] for row in rows]),
        )

    def _shares(self, image: detections.Image, class_id: int) -> np.ndarray:
        chosen = (image.classes == class_id) & (image.kinds == box_kinds.OBJECT)
        height, width = image.size
        return image.boxes[chosen] / [height, width, height, width]
