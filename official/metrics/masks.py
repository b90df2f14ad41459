"""Masks of things as COCO's evaluator takes them: run lengths, not pixels."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from official.ops import panoptic


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mask:
    """One thing.

    Attributes:
        class_id: Its class.
        area: Its pixels.
        runs: Compressed run lengths of pycocotools.
        crowd: Whether it stands for many.
        score: Of a prediction; 1 in a truth.
    """

    class_id: int
    area: int
    runs: Mapping[str, Any]
    crowd: bool = False
    score: float = 1.0

    def annotation(self) -> dict[str, Any]:
        """As COCO writes it, but for the image."""
        return {
            "category_id": self.class_id,
            "segmentation": dict(self.runs),
            "area": self.area,
            "iscrowd": int(self.crowd),
            "score": self.score,
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Image:
    """The things of one image; `size` is height and width."""

    size: tuple[int, int]
    truths: Sequence[Mask]
    found: Sequence[Mask]


def of_map(
    panoptic_map: np.ndarray,
    *,
    thing_ids: Sequence[int],
    scores: Mapping[int, float] | None = None,
) -> list[Mask]:
    """The things of a panoptic map `[H, W]`.

    Args:
        scores: By panoptic id, of a prediction. None for a truth, where a thing class
            with the instance 0 is a crowd.

    Raises:
        ValueError: If a predicted thing has no score.
    """
    ids, place = panoptic.segments(panoptic_map)
    areas = np.bincount(place.ravel(), minlength=len(ids))
    classes, instances = panoptic.decode(ids)
    runs = run_lengths(place, len(ids))
    found = []
    for row in np.flatnonzero(np.isin(classes, thing_ids)):
        score = 1.0 if scores is None else scores.get(int(ids[row]))
        if score is None:
            raise ValueError(f"the predicted segment {ids[row]} has no score")
        found.append(
            Mask(
                class_id=int(classes[row]),
                area=int(areas[row]),
                runs=_compressed(runs[row], place.shape),
                crowd=scores is None and instances[row] == 0,
                score=float(score),
            )
        )
    return found


def run_lengths(place: np.ndarray, count: int) -> list[np.ndarray]:
    """Of each label 0..`count` - 1 of a map `[H, W]`, COCO's uncompressed run lengths.

    Pixels are gone through column by column: so many others, so many of the label, and
    so on. All labels in one pass over the map.
    """
    pixels = place.ravel(order="F")
    starts = np.append(0, np.flatnonzero(np.diff(pixels)) + 1)
    ends = np.append(starts[1:], pixels.size)
    labels = pixels[starts]
    order = np.argsort(labels, kind="stable")
    of_label = np.split(order, np.searchsorted(labels[order], np.arange(1, count)))
    found = []
    for runs in of_label:
        edges = np.stack([starts[runs], ends[runs]], axis=1).ravel()
        counts = np.diff(np.append(0, edges))
        rest = pixels.size - (edges[-1] if edges.size else 0)
        found.append(np.append(counts, rest) if rest else counts)
    return found


def _compressed(counts: np.ndarray, size: Sequence[int]) -> Mapping[str, Any]:
    from pycocotools import mask

    return mask.frPyObjects({"size": list(size), "counts": counts.tolist()}, *size)
