"""How well segments are found: panoptic quality, and what else the same maps tell."""

import dataclasses
import math
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from official.metrics import coco_ap, masks, mean_iou, panoptic_quality
from official.ops import panoptic

_GROUPS = ("", "_things", "_stuff")
_MASK_FIGURES = ("ap", "ap50", "ap75")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Map:
    """A predicted map, packed: it is a few kilobytes, not megabytes."""

    name: str
    size: tuple[int, int]
    pixels: bytes
    scores: Mapping[int, float]

    @classmethod
    def of(cls, name: Any, prediction: np.ndarray, scores: Mapping[int, float]):
        return cls(
            name=name.decode() if isinstance(name, bytes) else str(name),
            size=(prediction.shape[0], prediction.shape[1]),
            pixels=zlib.compress(np.asarray(prediction, np.int32).tobytes(), 1),
            scores=scores,
        )

    def unpacked(self) -> np.ndarray:
        pixels = np.frombuffer(zlib.decompress(self.pixels), np.int32)
        return pixels.reshape(self.size)


class PanopticMetrics(keras.metrics.Metric):
    """Panoptic quality of all classes, things and stuff; mean IoU; AP of the things.

    All is counted in NumPy, in int64; of masks, run lengths are kept until `result()`.

    - `pq`, `sq`, `rq`: mean over the classes that are in the truth or predicted, by
      panopticapi's rules, see `panoptic_quality`; `pq_things`, `pq_stuff`, ...: over
      those of a kind. 0 where no class occurs.
    - `mean_iou`: of the classes of the pixels, as `mean_iou.SegmentationMetrics`; a
      pixel that is predicted void is wrong.
    - `ap`, `ap50`, `ap75`: of the masks of the things, as COCO counts them. Cityscapes'
      own script has other rules.
    - `pq/<class>`, `sq/<class>`, `rq/<class>`, `ap/<class>`: of each class that occurs.
    """

    def __init__(
        self,
        *,
        class_names: tuple[str, ...],
        thing_ids: tuple[int, ...] | None = None,
        ignore_label: int = 255,
        name: str = "panoptic",
    ):
        super().__init__(name=name)
        self.class_names = class_names
        self.thing_ids: tuple[int, ...] = ()
        self._told = thing_ids is not None
        self._set_things(thing_ids or ())
        self.ignore_label = ignore_label
        self.reset_state()

    def reset_state(self) -> None:
        classes = len(self.class_names)
        self.counts = panoptic_quality.Counts.nothing(classes)
        self._constant = panoptic_quality.Counts.nothing(classes)
        # The last column: predicted void.
        self._semantic = mean_iou.SegmentationMetrics(
            class_names=(*self.class_names, "void"),
            ignore_label=panoptic.VOID // panoptic.LABEL_DIVISOR,
        )
        self._masks: list[masks.Image] = []
        self._maps: list[_Map] = []
        self._score: coco_ap.Score | None = None

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:
        """Counts a batch.

        Args:
            y_true: "semantic" `[B, H, W]`, class ids or `ignore_label`; "instance"
                `[B, H, W]`, from 1, 0 for stuff and crowds; "size" `[B, 2]`: what part
                of the maps is image; may hold "image_id" `[B]`, the names for
                `records`, and "thing_ids" `[B, T]`, the same for all images, wanted
                where the metric was not given them.
            y_pred: "panoptic" `[B, H, W]`, panoptic ids, `VOID` where nothing is found;
                "segment_ids" `[B, S]`, those that occur, padded with -1;
                "segment_scores" `[B, S]`.
            sample_weight: Not supported; part of Keras's signature.

        Raises:
            ValueError: If an id is outside the classes, or a predicted thing without a
                score.
        """
        if sample_weight is not None:
            raise ValueError("segments cannot be weighted here")
        if not self._told:
            self._set_things(tuple(np.asarray(y_true["thing_ids"])[0].tolist()))
        truths = panoptic.of_batch(y_true, ignore_label=self.ignore_label)
        for row, (window, truth) in enumerate(truths):
            prediction = np.asarray(y_pred["panoptic"])[window]
            if prediction.shape != truth.shape:
                raise ValueError(
                    f"the predicted map is {prediction.shape}, the image {truth.shape}"
                )
            ids = np.asarray(y_pred["segment_ids"])[row].tolist()
            scores = np.asarray(y_pred["segment_scores"])[row].tolist()
            names = y_true.get("image_id", [""] * len(y_true["size"]))
            scored = dict(zip(ids, scores, strict=True))
            self._count(truth, prediction, scored)
            self._maps.append(_Map.of(names[row], prediction, scored))
        self._score = None

    def _set_things(self, thing_ids: tuple[int, ...]) -> None:
        outside = [c for c in thing_ids if not 0 <= c < len(self.class_names)]
        if outside:
            raise ValueError(
                f"thing_ids {outside} are outside of the {len(self.class_names)} "
                "classes"
            )
        self.thing_ids = thing_ids

    def _count(
        self, truth: np.ndarray, prediction: np.ndarray, scores: Mapping[int, float]
    ) -> None:
        """Counts one image."""
        classes = len(self.class_names)
        found = panoptic_quality.overlaps(truth, prediction, thing_ids=self.thing_ids)
        self.counts += panoptic_quality.count(found, classes=classes)
        self._constant += panoptic_quality.constant_counts(
            found, pixels=truth.size, classes=classes
        )
        guess = panoptic.decode(prediction)[0]
        void = prediction == panoptic.VOID
        self._semantic.update_state(
            {"semantic": panoptic.decode(truth)[0]},
            {"class_ids": np.where(void, classes, guess)},
        )
        height, width = truth.shape
        self._masks.append(
            masks.Image(
                size=(height, width),
                truths=masks.of_map(truth, thing_ids=self.thing_ids),
                found=masks.of_map(prediction, thing_ids=self.thing_ids, scores=scores),
            )
        )

    def result(self) -> dict[str, float]:
        qualities = dict(zip(("pq", "sq", "rq"), self.counts.quality(), strict=True))
        values = {
            name + group: _mean(of_class[members & self.counts.occurring])
            for group, members in self._groups()
            for name, of_class in qualities.items()
        }
        values["mean_iou"] = self._semantic.result()["mean_iou"]
        if self.thing_ids:
            found = self._scored()
            for name in _MASK_FIGURES:
                value = found.overall[name]
                values[name] = 0.0 if math.isnan(value) else value
            qualities["ap"] = found.by_class["ap"]
        for name, of_class in qualities.items():
            for class_id in np.flatnonzero(self.counts.occurring):
                if not math.isnan(of_class[class_id]):
                    values[f"{name}/{self.class_names[class_id]}"] = float(
                        of_class[class_id]
                    )
        return values

    def constant(self, name: str) -> float:
        """The figure `name` if every image were one and the same segment.

        It covers the whole image and is of the class with which the figure is best.

        Args:
            name: Of panoptic quality, over all classes or of a kind, or "mean_iou".

        Raises:
            ValueError: For another figure.
        """
        if name == "mean_iou":
            return self._semantic.constant_mean_iou()
        qualities = dict(zip(("pq", "sq", "rq"), self._constant.quality(), strict=True))
        there = self._constant.tp + self._constant.fn > 0
        for group, members in self._groups():
            for figure, of_class in qualities.items():
                if name == figure + group:
                    # Of all classes of the truth, only that of the segment is found.
                    best = of_class[members].max(initial=0.0)
                    return float(best / max(int((members & there).sum()), 1))
        raise ValueError(
            f"what one segment over every image reaches in {name!r} is not known; it "
            "is of pq, sq and rq, alone or with _things or _stuff, and of mean_iou"
        )

    def confusion(self) -> np.ndarray:
        """Pixels `[truth, prediction]` `[C + 1, C + 1]`; the last stands for void.

        Void of the truth does not count: the last row is zero.
        """
        return self._semantic.confusion

    def records(self) -> Iterator[dict[str, Any]]:
        """The predictions in COCO's panoptic form, but for names.

        "image_id" is the name of the image, "panoptic" its map, int32 `[H, W]`, and
        "segments_info" a list: "id", the segment's in the map, "category_id", its class
        id, "area" in pixels, "bbox" x, y, width and height, "iscrowd", 0, and "score",
        which COCO does not ask for.
        """
        for each in self._maps:
            pixels = each.unpacked()
            yield {
                "image_id": each.name,
                "panoptic": pixels,
                "segments_info": list(_segments_info(pixels, each.scores)),
            }

    def _groups(self) -> list[tuple[str, np.ndarray]]:
        """The suffix of each kind, and which classes are of it."""
        things = np.isin(np.arange(len(self.class_names)), self.thing_ids)
        kinds = (np.ones_like(things), things, ~things)
        return list(zip(_GROUPS, kinds, strict=True))

    def _scored(self) -> coco_ap.Score:
        if self._score is None:
            self._score = coco_ap.score_masks(
                self._masks, classes=len(self.class_names)
            )
        return self._score


def _segments_info(
    pixels: np.ndarray, scores: Mapping[int, float]
) -> Iterator[dict[str, Any]]:
    ids, place = panoptic.segments(pixels)
    areas = np.bincount(place.ravel(), minlength=len(ids))
    for row, segment in enumerate(ids.tolist()):
        if segment == panoptic.VOID:
            continue
        yield {
            "id": segment,
            "category_id": segment // panoptic.LABEL_DIVISOR,
            "area": int(areas[row]),
            "bbox": _box(place == row),
            "iscrowd": 0,
            **({"score": round(scores[segment], 6)} if segment in scores else {}),
        }


def _box(mask: np.ndarray) -> list[int]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    top, left = int(rows[0]), int(columns[0])
    return [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else 0.0
