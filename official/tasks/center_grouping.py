"""From classes, centers and offsets of pixels to segments, as Panoptic-DeepLab does."""

# h, w places of the outputs; P pixels of things; K centers

import dataclasses
from collections.abc import Sequence

import numpy as np
from keras import ops

from official.ops import panoptic
from official.tasks import panoptic_merging

_NOBODY = -1
_CHUNK = 1 << 21  # distances at a time


@dataclasses.dataclass(frozen=True, kw_only=True)
class CenterGrouping:
    """Pixels of things go to the center that they point at.

    Cheng et al., 2020, https://arxiv.org/abs/1911.10194, section 3: centers are the
    places that a max-pooling leaves as they are; a pixel belongs to the one nearest to
    its place and offset; an instance has the class that most of its pixels have. Where
    there are things and no center, nothing is known. The pooling is done on the map as
    the network gives it; deeplab2 enlarges it first, with a kernel of 13 for it.

    A thing's score is the height of its center times the mean probability of its
    pixels' classes; of stuff it is the latter.

    Attributes:
        nms_kernel: Places; of two centers that a window of this size holds, the lower
            one is none. Of equal ones (integers tie), too, one remains.
        threshold: A center is higher.
        centers: The most of them.
        min_stuff_area: Least area of a class of stuff, in pixels of the network's
            input. 2048 is deeplab2's for Cityscapes.
        stride: Pixels of the network's input between two places.
    """

    nms_kernel: int = 7
    threshold: float = 0.1
    centers: int = 200
    min_stuff_area: float = 2048
    stride: int = 4

    def __post_init__(self):
        if self.nms_kernel < 1 or self.nms_kernel % 2 == 0:
            raise ValueError(f"nms_kernel {self.nms_kernel}: want an odd number")
        if not 0 < self.centers < panoptic.LABEL_DIVISOR:
            raise ValueError(
                f"centers {self.centers}: want 1..{panoptic.LABEL_DIVISOR - 1}"
            )

    def __call__(
        self,
        logits: np.ndarray,
        center_heatmap: np.ndarray,
        offsets: np.ndarray,
        *,
        size: tuple[int, int],
        thing_ids: Sequence[int],
    ) -> panoptic_merging.Segments:
        """The segments of one image.

        Args:
            logits: `[h, w, C]`.
            center_heatmap: `[h, w, 1]`.
            offsets: `[h, w, 2]`: y and x from a place to its center, in pixels of the
                network's input.
            size: Height and width of the result.
            thing_ids: The classes that are things.
        """
        class_ids, chances = _classes(logits, size)
        thing = np.isin(class_ids, thing_ids)
        places, heights = self._found(np.asarray(center_heatmap, np.float32)[..., 0])
        instance = self._grouped(offsets, thing, places, size)
        ids = _voted(class_ids, instance, thing)
        shape = logits.shape[:2]
        area = size[0] * size[1] / (shape[0] * shape[1] * self.stride**2)
        ids = panoptic.without_small(
            ids,
            thing_ids=tuple(thing_ids),
            min_thing_area=0,
            min_stuff_area=self.min_stuff_area * area,
        )
        return _scored(ids, chances, heights)

    def _found(self, heatmap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places `[K, 2]` and heights `[K]` of the centers, the highest first."""
        reach = self.nms_kernel // 2
        pooled = heatmap
        for axis in (0, 1):
            margins = [(reach, reach) if a == axis else (0, 0) for a in (0, 1)]
            padded = np.pad(pooled, margins, constant_values=-np.inf)
            windows = np.lib.stride_tricks.sliding_window_view(
                padded, self.nms_kernel, axis=axis
            )
            pooled = windows.max(axis=-1)
        places = np.argwhere((heatmap == pooled) & (heatmap > self.threshold))
        heights = heatmap[tuple(places.T)]
        order = np.argsort(-heights, kind="stable")
        kept: list[int] = []
        for row in order:
            near = np.abs(places[kept] - places[row]).max(axis=1) <= reach
            if not near.any():
                kept.append(row)
            if len(kept) == self.centers:
                break
        return places[kept], heights[kept]

    def _grouped(
        self,
        offsets: np.ndarray,
        thing: np.ndarray,
        places: np.ndarray,
        size: tuple[int, int],
    ) -> np.ndarray:
        """The center of each pixel of things, `_NOBODY` elsewhere, `[H, W]`."""
        instance = np.full(size, _NOBODY)
        if not len(places):
            return instance
        # All in pixels of the network's input, whose centers are at half integers.
        scale = np.array(offsets.shape[:2]) * self.stride / np.array(size)
        y, x = np.nonzero(thing)
        points = (np.stack([y, x], axis=1) + 0.5) * scale
        points += _enlarged(offsets, size)[y, x]
        centers = (places + 0.5) * self.stride
        nearest = np.empty(len(points), np.int64)
        step = max(1, _CHUNK // len(centers))
        for start in range(0, len(points), step):
            # The squared distance less what all centers share.
            part = points[start : start + step]
            distance = (centers**2).sum(axis=1) - 2 * part @ centers.T
            nearest[start : start + step] = distance.argmin(axis=1)
        instance[y, x] = nearest
        return instance


def _enlarged(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    values = np.asarray(values, np.float32)
    return ops.convert_to_numpy(
        ops.image.resize(values, size, interpolation="bilinear")
    )


def _classes(
    logits: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The class of each pixel and its probability."""
    values = _enlarged(logits, size)
    best = values.max(axis=-1, keepdims=True)
    return values.argmax(axis=-1), 1 / np.exp(values - best).sum(axis=-1)


def _voted(
    class_ids: np.ndarray, instance: np.ndarray, thing: np.ndarray
) -> np.ndarray:
    """The panoptic map, where an instance has the class of most of its pixels."""
    ids = np.where(thing, panoptic.VOID, class_ids * panoptic.LABEL_DIVISOR)
    there = instance != _NOBODY
    if there.any():
        classes = int(class_ids.max()) + 1
        pairs = instance[there] * classes + class_ids[there]
        count = int(instance.max()) + 1
        votes = np.bincount(pairs, minlength=count * classes).reshape(count, classes)
        of_instance = votes.argmax(axis=1) * panoptic.LABEL_DIVISOR
        ids[there] = (of_instance + np.arange(count) + 1)[instance[there]]
    return ids.astype(np.int32)


def _scored(
    pixels: np.ndarray, chances: np.ndarray, heights: np.ndarray
) -> panoptic_merging.Segments:
    ids, place = panoptic.segments(pixels)
    areas = np.bincount(place.ravel(), minlength=len(ids))
    scores = np.bincount(place.ravel(), chances.ravel(), minlength=len(ids)) / areas
    instances = ids % panoptic.LABEL_DIVISOR
    # Stuff, whose instance is 0, has no center.
    scores *= np.append(1.0, np.clip(heights, 0, 1))[instances]
    there = ids != panoptic.VOID
    return panoptic_merging.Segments(
        pixels, ids[there], scores[there].astype(np.float32)
    )
