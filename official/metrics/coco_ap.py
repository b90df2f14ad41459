"""Average precision as COCO counts it, by COCO's own evaluator."""

import contextlib
import dataclasses
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from official.metrics import detections, masks
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
        scores: Of all detections that count, `[N]`.
        hits: Whether each has an object of its class at an overlap of 0.5, bool `[N]`.
    """

    overall: dict[str, float]
    by_class: dict[str, np.ndarray]
    precision: np.ndarray
    scores: np.ndarray
    hits: np.ndarray


def score(images: Sequence[detections.Image], *, classes: int) -> Score:
    """Runs `pycocotools.cocoeval` over all images.

    A difficult object of VOC is handed over as a crowd: in COCO's rules that is what is
    neither asked for nor counted against a detector.
    """
    sizes = [image.size for image in images]
    return _scored(sizes, _truths(images), _found(images), classes=classes, kind="bbox")


def score_masks(images: Sequence[masks.Image], *, classes: int) -> Score:
    """Runs `pycocotools.cocoeval` over masks in the place of boxes."""
    sizes = [image.size for image in images]
    truths = _masks(image.truths for image in images)
    found = _masks(image.found for image in images)
    return _scored(sizes, truths, found, classes=classes, kind="segm")


def _scored(
    sizes: Sequence[tuple[int, int]],
    truths: Iterable[dict[str, Any]],
    found: Iterable[dict[str, Any]],
    *,
    classes: int,
    kind: str,
) -> Score:
    from pycocotools import cocoeval

    with _silenced():
        evaluator = cocoeval.COCOeval(
            _index(sizes, truths, classes), _index(sizes, found, classes), kind
        )
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return _score_of(evaluator)


def _score_of(evaluator: "cocoeval.COCOeval") -> Score:
    # [overlaps, recalls, classes, areas, most detections]; -1 where nothing is known.
    precision = np.asarray(evaluator.eval["precision"], np.float64)[:, :, :, 0, -1]
    precision = np.where(precision < 0, np.nan, precision)
    halves = precision[0]
    stats = [value if value >= 0 else np.nan for value in evaluator.stats]
    return Score(
        overall={name: float(v) for name, v in zip(NAMES, stats, strict=True)},
        by_class={"ap": precision.mean(axis=(0, 1)), "ap50": halves.mean(axis=0)},
        precision=halves,
        **_hits(evaluator),
    )


def _hits(evaluator: "cocoeval.COCOeval") -> dict[str, np.ndarray]:
    """What each detection, objects of all sizes asked for, is at an overlap of 0.5."""
    every = evaluator.params.areaRng[0]
    kept = [one for one in evaluator.evalImgs if one and one["aRng"] == every]
    counts = [~np.asarray(one["dtIgnore"][0], bool) for one in kept]
    scores = [np.asarray(one["dtScores"], np.float64) for one in kept]
    hits = [np.asarray(one["dtMatches"][0]) > 0 for one in kept]
    return {
        name: np.concatenate([v[c] for v, c in zip(values, counts, strict=True)])
        if values
        else np.zeros(0)
        for name, values in (("scores", scores), ("hits", hits))
    }


def _index(
    sizes: Sequence[tuple[int, int]], objects: Iterable[dict[str, Any]], classes: int
) -> "coco.COCO":
    from pycocotools import coco

    index = coco.COCO()
    index.dataset = {
        "images": [
            {"id": number, "height": height, "width": width}
            for number, (height, width) in enumerate(sizes)
        ],
        "categories": [{"id": number} for number in range(classes)],
        # Number 0 would be taken for "not matched".
        "annotations": [{"id": n, **each} for n, each in enumerate(objects, start=1)],
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


def _masks(of_images: Iterable[Sequence[masks.Mask]]) -> Iterator[dict[str, Any]]:
    for number, of_image in enumerate(of_images):
        for mask in of_image:
            yield {"image_id": number, **mask.annotation()}


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
