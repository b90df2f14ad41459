"""Average precision as COCO counts it, by COCO's own evaluator."""

import contextlib
import dataclasses
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from official.metrics import detections
from official.ops import box_kinds

if TYPE_CHECKING:
    from pycocotools import coco, cocoeval

NAMES = (
    "ap",
    "ap50",
    "ap75",
    "ap_small",
    "ap_medium",
    "ap_large",
    "ar1",
    "ar10",
    "ar100",
    "ar_small",
    "ar_medium",
    "ar_large",
)
"""The twelve figures, in COCO's order (https://cocodataset.org/#detection-eval)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """What the evaluator found.

    Attributes:
        overall: By name, those of `NAMES`. What no object tells (there is no small one,
            say) is NaN, where COCO writes -1.
        by_class: "ap" and "ap50" of each class; NaN for a class without objects.
        precision: `[101, K]`, at an overlap of 0.5 and recalls 0, 0.01, ..., 1; NaN for
            classes without objects.
    """

    overall: dict[str, float]
    by_class: dict[str, np.ndarray]
    precision: np.ndarray


def score(images: Sequence[detections.Image], *, classes: int) -> Score:
    """Runs `pycocotools.cocoeval` over all images.

    A difficult object of VOC is handed over as a crowd: in COCO's rules that is what is
    neither asked for nor counted against a detector.
    """
    from pycocotools import cocoeval

    with _silenced():
        truth = _index(images, _truths(images), classes)
        found = _index(images, _found(images), classes)
        evaluator = cocoeval.COCOeval(truth, found, "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return _scored(evaluator)


def _scored(evaluator: "cocoeval.COCOeval") -> Score:
    # [overlaps, recalls, classes, areas, most detections]; -1 where nothing is known.
    precision = np.asarray(evaluator.eval["precision"], np.float64)[:, :, :, 0, -1]
    precision = np.where(precision < 0, np.nan, precision)
    halves = precision[0]
    stats = [value if value >= 0 else np.nan for value in evaluator.stats]
    return Score(
        overall={name: float(v) for name, v in zip(NAMES, stats, strict=True)},
        by_class={"ap": precision.mean(axis=(0, 1)), "ap50": halves.mean(axis=0)},
        precision=halves,
    )


def _index(
    images: Sequence[detections.Image], boxes: Iterator[dict[str, Any]], classes: int
) -> "coco.COCO":
    from pycocotools import coco

    index = coco.COCO()
    index.dataset = {
        "images": [
            {"id": number, "height": image.size[0], "width": image.size[1]}
            for number, image in enumerate(images)
        ],
        "categories": [{"id": number} for number in range(classes)],
        # Number 0 would be taken for "not matched".
        "annotations": [{"id": n, **box} for n, box in enumerate(boxes, start=1)],
    }
    index.createIndex()
    return index


def _truths(images: Sequence[detections.Image]) -> Iterator[dict[str, Any]]:
    for number, image in enumerate(images):
        rows = zip(image.boxes, image.classes, image.kinds, image.areas, strict=True)
        for box, class_id, kind, area in rows:
            yield {
                "image_id": number,
                "category_id": int(class_id),
                "bbox": _xywh(box),
                "area": float(area),
                "iscrowd": int(kind != box_kinds.OBJECT),
            }


def _found(images: Sequence[detections.Image]) -> Iterator[dict[str, Any]]:
    for number, image in enumerate(images):
        rows = zip(image.found, image.found_classes, image.scores, strict=True)
        for box, class_id, value in rows:
            sides = _xywh(box)
            yield {
                "image_id": number,
                "category_id": int(class_id),
                "bbox": sides,
                "area": sides[2] * sides[3],
                "score": float(value),
                "iscrowd": 0,
            }


def _xywh(box: np.ndarray) -> list[float]:
    top, left, bottom, right = (float(side) for side in box)
    return [left, top, right - left, bottom - top]


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """The evaluator prints what it does."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
