"""What the outputs of a detector's file are, for readers of its metadata and for apps.

MediaPipe's ObjectDetector takes two forms, and tells their outputs apart by the names
in the metadata, which are fixed.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from official import failures
from official.tasks import detector as detector_lib
from tflite_export import detection_op, flatbuffer, metadata

DETECTIONS = frozenset(detection_op.OUTPUTS)
RAW = frozenset(detection_op.INPUTS)
DECODED = frozenset(("boxes_yxyx", "scores"))

MEDIAPIPE_NMS = (
    "MediaPipe decodes the boxes and leaves out what overlaps by rules of its own, not "
    "by those under detector"
)

_SETTINGS = {
    "score_threshold": "score_threshold",
    "iou_threshold": "iou_threshold",
    "per_class": "most_per_class",
    "total": "most",
}
"""What `settings` calls the fields of a `Detector`."""

_DETECTED = {
    "boxes_yxyx": metadata.Output(
        name="location",
        description="boxes of what was found: ymin, xmin, ymax, xmax in shares of the "
        "image's sides",
        boxes=True,
        entries=True,
    ),
    "class_ids": metadata.Output(
        name="category",
        description="class of each box",
        labels=metadata.LABELS,
        ids=True,
        entries=True,
    ),
    "scores": metadata.Output(
        name="score", description="score of each box, 0..1", entries=True
    ),
    "count": metadata.Output(
        name="number of detections", description="how many of the boxes count"
    ),
}

_RAW = {
    "box_encodings": metadata.Output(
        name="location",
        description="ty, tx, th, tw of each anchor, by which the anchors of the "
        "metadata are moved and scaled",
        boxes=True,
    ),
    "scores": metadata.Output(
        name="score",
        description="scores of the classes for each anchor, 0..1",
        labels=metadata.LABELS,
    ),
}

_DECODED = {
    "boxes_yxyx": metadata.Output(
        name="location",
        description="a box for each anchor: ymin, xmin, ymax, xmax in shares of the "
        "image's sides",
        boxes=True,
    ),
    "scores": _RAW["scores"],
}

_OUTPUTS = {DETECTIONS: _DETECTED, RAW: _RAW, DECODED: _DECODED}


def holds(file: flatbuffer.File) -> bool:
    """Whether the outputs of a file of ours are a detector's."""
    return frozenset(file.outputs) in _OUTPUTS


def described(
    file: flatbuffer.File, name: str, class_names: Sequence[str]
) -> metadata.Output:
    """What the metadata says of an output.

    Raises:
        RequestError: If there are scores of more or fewer classes than there are names.
    """
    found = _OUTPUTS[frozenset(file.outputs)][name]
    classes = file.outputs[name].shape[-1]
    if found.labels and not found.ids and classes != len(class_names):
        raise failures.RequestError(
            f"the data set names {len(class_names)} classes, the output {name!r} tells "
            f"{classes} apart; the file would show wrong labels"
        )
    return found


def decoding(
    file: flatbuffer.File, detector: detector_lib.Detector | None
) -> metadata.Decoding | None:
    """What MediaPipe has to do with raw outputs; None for other forms."""
    if detector is None or set(file.outputs) != RAW:
        return None
    y, x, height, width = map(float, detector.scales)
    return metadata.Decoding(
        classes=file.outputs["scores"].shape[-1],
        anchors=tuple(map(tuple, detector.centers.tolist())),
        scales=(y, x, height, width),
    )


def meaning(file: flatbuffer.File, name: str) -> str:
    """What an app makes of an output."""
    tensor = file.outputs[name]
    real = "real value = scale * (stored - zero_point); " if tensor.scales else ""
    form = frozenset(file.outputs)
    if form == DETECTIONS:
        return {
            "boxes_yxyx": "ymin, xmin, ymax, xmax in shares of the image's sides, a "
            "row for each detection, the surest first",
            "class_ids": "index into class_names for each row, as a float",
            "scores": "score of each row, 0..1; rows of detector.file_score_threshold "
            "and more are given, and an app shows those of 0.5, say",
            "count": "how many rows there are; the others mean nothing",
        }[name]
    if name == "scores":
        return (
            f"{real}scores, 0..1, of each anchor (rows) for each class; those from "
            "detector.score_threshold on are candidates. Of two boxes of a class whose "
            "intersection over union is above detector.iou_threshold the one with the "
            "lower score is left out"
        )
    if name == "boxes_yxyx":
        return (
            f"{real}ymin, xmin, ymax, xmax of the box of each anchor, in shares of the "
            "image's sides, 0..1"
        )
    return (
        f"{real}ty, tx, th, tw of each anchor of the metadata (DETECTOR_METADATA): "
        "center y = ty / y_scale * height + y of the anchor, height = exp(th / "
        "h_scale) * height of the anchor; x and width likewise"
    )


def settings(detector: detector_lib.Detector | None) -> dict[str, object] | None:
    """For the description beside a file: what its boxes were or are to be chosen by."""
    if detector is None:
        return None
    return {
        "anchors": len(detector.anchors),
        "scales_yxhw": list(map(float, detector.scales)),
        "score_threshold": detector.score_threshold,
        "file_score_threshold": detector.file_score_threshold,
        "iou_threshold": detector.iou_threshold,
        "most_per_class": detector.per_class,
        "most": detector.total,
    }


def detector(
    model: pathlib.Path, description: Mapping[str, Any], *, usual: detector_lib.Detector
) -> detector_lib.Detector:
    """How the boxes of a file are read, from its metadata and its description.

    Args:
        model: The file.
        description: What lies beside it, or empty.
        usual: What counts where the file does not say.

    Raises:
        RequestError: If what is said cannot be.
    """
    chosen: Mapping[str, Any] = description.get("detector") or {}
    said: dict[str, Any] = {
        name: chosen[key]
        for name, key in _SETTINGS.items()
        if chosen.get(key) is not None
    }
    if not all(isinstance(value, int | float) for value in said.values()):
        raise failures.RequestError(
            f"{model}: the description beside it does not say in numbers how to choose "
            f"among its boxes ({said}); export again"
        )
    found = metadata.read(model)
    if found and found.decoding:
        centers = np.array(found.decoding.anchors, np.float32).reshape(-1, 4)
        middles, halves = centers[:, :2], centers[:, 2:] / 2
        said["anchors"] = np.concatenate([middles - halves, middles + halves], axis=1)
        said["scales"] = found.decoding.scales
    return dataclasses.replace(usual, **said)
