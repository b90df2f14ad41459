"""Non-maximum suppression as a layer: so it is compiled, whatever the backend."""

import functools

import keras
import numpy as np

from official.ops import nms


@keras.saving.register_keras_serializable(package="mobile_vision")
class Suppression(keras.layers.Layer):
    """Boxes `[B, A, 4]` and scores `[B, A, K]` to detections; see `nms.class_wise`."""

    def __init__(
        self,
        *,
        score_threshold: float,
        iou_threshold: float,
        per_class: int,
        total: int,
        **settings,
    ):
        super().__init__(**settings)
        self.score_threshold = score_threshold
        self.iou_threshold = iou_threshold
        self.per_class = per_class
        self.total = total

    def call(self, boxes, scores):
        return nms.class_wise(
            boxes,
            scores,
            score_threshold=self.score_threshold,
            iou_threshold=self.iou_threshold,
            per_class=self.per_class,
            total=self.total,
        )

    def compute_output_spec(self, boxes, scores):
        batch, total = boxes.shape[0], self.total
        return {
            "boxes_yxyx": keras.KerasTensor((batch, total, 4), dtype="float32"),
            "class_ids": keras.KerasTensor((batch, total), dtype="int32"),
            "scores": keras.KerasTensor((batch, total), dtype="float32"),
            "count": keras.KerasTensor((batch,), dtype="int32"),
        }

    def get_config(self):
        return {
            **super().get_config(),
            "score_threshold": self.score_threshold,
            "iou_threshold": self.iou_threshold,
            "per_class": self.per_class,
            "total": self.total,
        }


def suppressed(
    boxes: np.ndarray,
    scores: np.ndarray,
    *,
    score_threshold: float,
    iou_threshold: float,
    per_class: int,
    total: int,
) -> dict[str, np.ndarray]:
    """As `nms.class_wise`, of arrays and in compiled code."""
    model = _model(
        boxes.shape[1],
        scores.shape[2],
        score_threshold=score_threshold,
        iou_threshold=iou_threshold,
        per_class=per_class,
        total=total,
    )
    return model.predict_on_batch({"boxes": boxes, "scores": scores})


@functools.lru_cache(maxsize=4)
def _model(anchors: int, classes: int, **limits: float) -> keras.Model:
    boxes = keras.Input((anchors, 4), name="boxes", dtype="float32")
    scores = keras.Input((anchors, classes), name="scores", dtype="float32")
    layer = Suppression(
        score_threshold=limits["score_threshold"],
        iou_threshold=limits["iou_threshold"],
        per_class=int(limits["per_class"]),
        total=int(limits["total"]),
        name="suppression",
        dtype="float32",
    )
    inputs = {"boxes": boxes, "scores": scores}
    return keras.Model(inputs, layer(boxes, scores), name="suppression")
