"""From mask and class logits of slots to segments, as (k)MaX-DeepLab does, NumPy.

The rules and thresholds are those of deeplab2, `model/post_processor/max_deeplab.py`
and its configurations of kMaX-DeepLab.
"""

import abc
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from official.ops import panoptic
from official.tasks import enlarged_slots

Size = tuple[int, int]


class Segments(NamedTuple):
    """What is seen in an image.

    Attributes:
        panoptic: Panoptic ids, int32 `[H, W]`, `VOID` where nothing is.
        ids: Those that occur but for void, int32 `[S]`.
        scores: Of each, float32 `[S]`.
    """

    panoptic: np.ndarray
    ids: np.ndarray
    scores: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Merging(abc.ABC):
    """How slots become segments.

    A thing is `class * LABEL_DIVISOR + slot + 1`; slots of one class of stuff are one
    segment. What is smaller than its least area is void.

    Attributes:
        pixel_threshold: A pixel belongs to a slot whose probability there is above it.
        min_thing_area: Least area of a thing, in pixels of the network's input.
        min_stuff_area: Least area of a class of stuff.
        stride: Pixels of the network's input between two mask logits.
    """

    pixel_threshold: float = 0.4
    min_thing_area: float = 0
    min_stuff_area: float = 0
    stride: int = 4

    def __post_init__(self):
        # Of three slots none could be told to be the third.
        if not 1 / 3 <= self.pixel_threshold < 1:
            raise ValueError(
                f"pixel_threshold {self.pixel_threshold}: want 1/3 or more, and below 1"
            )

    @abc.abstractmethod
    def __call__(
        self,
        mask_logits: np.ndarray,
        class_logits: np.ndarray,
        *,
        size: Size,
        thing_ids: Sequence[int],
    ) -> Segments:
        """The segments of one image.

        Args:
            mask_logits: `[h, w, N]`; enlarged bilinearly before anything is decided.
            class_logits: `[N, C + 1]`, void last.
            size: Height and width of the result.
            thing_ids: The classes that are things.

        Raises:
            ValueError: If there are more slots than instances in a panoptic id.
        """

    def _least_area(self, mask_logits: np.ndarray, size: Size, thing) -> np.ndarray:
        """Of each slot, in pixels of the result."""
        height, width = mask_logits.shape[:2]
        scale = size[0] * size[1] / (height * width * self.stride**2)
        return scale * np.where(thing, self.min_thing_area, self.min_stuff_area)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskWise(Merging):
    """Masks are pasted one after the other, the surest first.

    A slot's mask is where its probability is above `pixel_threshold`; masks may
    overlap. Slots are sorted by the confidence in their class, to a power, times the
    mean probability within the mask, to another, which is the segment's score. A slot
    is pasted onto what is free if the confidence in its class is enough and not too
    much of it is taken.

    Attributes:
        thing_threshold: Least confidence in the class of a thing.
        stuff_threshold: Least confidence in the class of stuff.
        overlap_threshold: More than this share of a mask must be free.
        class_power: Of the confidence in the class.
        mask_power: Of the mean probability.
    """

    thing_threshold: float
    stuff_threshold: float
    overlap_threshold: float
    class_power: float = 1.0
    mask_power: float = 1.0

    def __call__(
        self,
        mask_logits: np.ndarray,
        class_logits: np.ndarray,
        *,
        size: Size,
        thing_ids: Sequence[int],
    ) -> Segments:
        slots = _Slots.of(class_logits, thing_ids)
        found = enlarged_slots.claims(
            np.asarray(mask_logits, np.float32), size, threshold=self.pixel_threshold
        )
        scores = slots.confidence**self.class_power * found.means**self.mask_power
        order = np.argsort(-scores, kind="stable")
        sure = slots.confidence >= np.where(
            slots.thing, self.thing_threshold, self.stuff_threshold
        )
        areas = self._pasted(found, order, sure)
        least = self._least_area(mask_logits, size, slots.thing)
        ids = slots.ids(areas, least)
        table = np.append(np.where(areas > 0, ids, panoptic.VOID), panoptic.VOID)
        pixels = table.astype(np.int32)[found.first]
        _paste_doubles(pixels, found, np.argsort(order), areas > 0, table)
        return _segments(pixels, ids, areas, scores)

    def _pasted(
        self, found: enlarged_slots.Claims, order: np.ndarray, sure: np.ndarray
    ) -> np.ndarray:
        """The pixels that each slot gets, 0 for one that is not pasted."""
        slots = len(sure)
        first = found.first.reshape(-1)[found.doubles.pixels].astype(np.int64)
        pairs = np.bincount(
            first * slots + found.doubles.slots, minlength=slots**2
        ).reshape(slots, slots)
        shared = pairs + pairs.T
        pasted = np.zeros(slots, bool)
        areas = np.zeros(slots, np.int64)
        for slot in order[sure[order]]:
            # No pixel has more than two masks: what others took does not overlap.
            free = found.areas[slot] - shared[slot][pasted].sum()
            if free > self.overlap_threshold * found.areas[slot]:
                pasted[slot] = True
                areas[slot] = free
        return areas


@dataclasses.dataclass(frozen=True, kw_only=True)
class PixelWise(Merging):
    """Each pixel goes to the slot with the largest logit.

    It is void where that slot's class is not sure, or its probability among the sure
    slots is not above `pixel_threshold`. The score of a segment is the confidence in
    its class; of stuff from several slots, that of the surest.

    Attributes:
        class_threshold: Least confidence in the class of a slot.
    """

    class_threshold: float = 0.7

    def __call__(
        self,
        mask_logits: np.ndarray,
        class_logits: np.ndarray,
        *,
        size: Size,
        thing_ids: Sequence[int],
    ) -> Segments:
        slots = _Slots.of(class_logits, thing_ids)
        found = enlarged_slots.claims(
            np.asarray(mask_logits, np.float32),
            size,
            threshold=self.pixel_threshold,
            counted=slots.confidence >= self.class_threshold,
        )
        least = self._least_area(mask_logits, size, slots.thing)
        ids = slots.ids(found.areas, least)
        table = np.append(ids, panoptic.VOID).astype(np.int32)
        return _segments(table[found.first], ids, found.areas, slots.confidence)


class _Slots(NamedTuple):
    """The class of each slot, the confidence in it, and whether it is of things."""

    class_ids: np.ndarray
    confidence: np.ndarray
    thing: np.ndarray

    @classmethod
    def of(cls, class_logits: np.ndarray, thing_ids: Sequence[int]) -> "_Slots":
        logits = np.asarray(class_logits, np.float64)
        if len(logits) >= panoptic.LABEL_DIVISOR:
            raise ValueError(
                f"{len(logits)} slots: a panoptic id has room for "
                f"{panoptic.LABEL_DIVISOR - 1} instances"
            )
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        chances = (powers / powers.sum(axis=-1, keepdims=True))[:, :-1]
        class_ids = chances.argmax(axis=-1)
        return cls(class_ids, chances.max(axis=-1), np.isin(class_ids, thing_ids))

    def ids(self, areas: np.ndarray, least: np.ndarray) -> np.ndarray:
        """Panoptic ids, `VOID` where the segment is smaller than `least` pixels."""
        instances = np.where(self.thing, np.arange(len(areas)) + 1, 0)
        ids = self.class_ids * panoptic.LABEL_DIVISOR + instances
        together = np.bincount(ids, weights=areas)[ids]
        return np.where(together >= least, ids, panoptic.VOID)


def _paste_doubles(
    pixels: np.ndarray,
    found: enlarged_slots.Claims,
    rank: np.ndarray,
    pasted: np.ndarray,
    table: np.ndarray,
) -> None:
    """Gives pixels of two masks to the second where it was pasted before the first."""
    places, second = found.doubles
    first = found.first.reshape(-1)[places]
    wins = pasted[second] & (~pasted[first] | (rank[second] < rank[first]))
    pixels.reshape(-1)[places[wins]] = table[second[wins]]


def _segments(
    pixels: np.ndarray, ids: np.ndarray, areas: np.ndarray, scores: np.ndarray
) -> Segments:
    there = (areas > 0) & (ids != panoptic.VOID)
    best: dict[int, float] = {}
    for segment, score in zip(ids[there].tolist(), scores[there].tolist(), strict=True):
        best[segment] = max(score, best.get(segment, 0.0))
    return Segments(
        pixels,
        np.array(sorted(best), np.int32),
        np.array([best[segment] for segment in sorted(best)], np.float32),
    )


COCO = MaskWise(
    thing_threshold=0.7,
    stuff_threshold=0.5,
    overlap_threshold=0.8,
    min_thing_area=400,
    min_stuff_area=6400,
)
CITYSCAPES = MaskWise(
    thing_threshold=0.5,
    stuff_threshold=0.3,
    overlap_threshold=0.9,
    mask_power=0.0,
    min_thing_area=256,
    min_stuff_area=2048,
)
ADE20K = MaskWise(thing_threshold=0.4, stuff_threshold=0.4, overlap_threshold=0.8)
