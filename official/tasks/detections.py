"""From the outputs of a detector, in all their forms, to detections."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from official.layers import suppression
from official.ops import boxes as boxes_lib
from official.tasks import detector as detector_lib

Outputs = Mapping[str, np.ndarray]


def read(
    outputs: Outputs, detector: detector_lib.Detector, *, activation: str = "sigmoid"
) -> dict[str, np.ndarray]:
    """Detections, the highest score first.

    Args:
        outputs: Batch axis included; of one of the forms
            * "boxes_yxyx", "class_ids", "scores", "count": detections already,
            * "box_encodings" `[B, A, 4]`, or decoded "boxes_yxyx", and "scores"
              `[B, A, K]`,
            * "box_encodings" and "logits" `[B, A, C]`, of the Keras network.
        detector: How they are read.
        activation: "sigmoid", or "softmax" for logits whose first is the background's.

    Returns:
        "boxes_yxyx" float32 `[B, N, 4]`, in shares of the image's sides and cut off at
        its border, "class_ids" int32 and "scores" float32 `[B, N]`, "count" int32
        `[B]`: how many count.
    """
    if "class_ids" in outputs:
        found = _sorted(outputs)
    else:
        boxes = outputs.get("boxes_yxyx")
        if boxes is None:
            boxes = boxes_lib.decode(
                ops.convert_to_tensor(outputs["box_encodings"]),
                ops.convert_to_tensor(detector.anchors),
                scales=detector.scales,
            )
        found = suppression.suppressed(
            ops.convert_to_numpy(boxes),
            ops.convert_to_numpy(_scores(outputs, activation)),
            score_threshold=detector.score_threshold,
            iou_threshold=detector.iou_threshold,
            per_class=detector.per_class,
            total=detector.total,
        )
    return {**found, "boxes_yxyx": np.clip(found["boxes_yxyx"], 0, 1)}


def _sorted(outputs: Outputs) -> dict[str, np.ndarray]:
    """A file from anyone may say what is no number, or count more than it gives."""
    scores = np.nan_to_num(np.asarray(outputs["scores"], np.float32))
    count = np.nan_to_num(outputs["count"]).reshape(-1)
    count = np.clip(count, 0, scores.shape[1]).astype(np.int32)
    beyond = np.arange(scores.shape[1]) >= count[:, None]
    order = np.argsort(np.where(beyond, np.inf, -scores), axis=1, kind="stable")
    boxes = np.asarray(outputs["boxes_yxyx"], np.float32)
    class_ids = np.rint(np.nan_to_num(outputs["class_ids"])).astype(np.int32)
    return {
        "boxes_yxyx": np.take_along_axis(boxes, order[..., None], axis=1),
        "class_ids": np.take_along_axis(class_ids, order, axis=1),
        "scores": np.take_along_axis(scores, order, axis=1),
        "count": count,
    }


def _scores(outputs: Outputs, activation: str) -> Any:
    if "scores" in outputs:
        return outputs["scores"]
    logits = ops.convert_to_tensor(outputs["logits"], dtype="float32")
    if activation == "sigmoid":
        return ops.sigmoid(logits)
    return ops.softmax(logits, axis=-1)[..., 1:]
