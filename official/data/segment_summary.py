"""What a dataset with segments holds, counted once before it is learned from."""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent import futures
from typing import Any, NamedTuple

import numpy as np

from official.data import base, indexed, segments
from official.ops import panoptic

FIRST = 50
"""Images whose maps are read where no file has the areas of their segments."""


class Image(NamedTuple):
    """The segments of an image, all stuff of one class being one.

    Attributes:
        size: Height and width.
        classes: int32 `[S]`.
        areas: Pixels, int64 `[S]`, none 0.
        crowds: bool `[S]`: things that nobody told apart, which are not learned.
    """

    size: tuple[int, int]
    classes: np.ndarray
    areas: np.ndarray
    crowds: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Summary:
    """Counts of a split. Crowds are counted by themselves, and nowhere else.

    Attributes:
        images: Those that are counted.
        total: All of the split; more than `images` where only the first are counted.
        things: Segments by the name of their class; all classes of things, in the order
            of their ids.
        stuff: The same of stuff.
        crowds: Images' classes with crowds.
        crowded: Images that have a crowd.
        peopled: Images that have a thing or a crowd.
        void: Share of the pixels that are in no segment and no crowd, 0..1.
        counts: Segments of each image, int64 `[images]`.
        shares: What each segment covers of its image, 0..1, float32 `[segments]`.
    """

    images: int
    total: int
    things: Mapping[str, int]
    stuff: Mapping[str, int]
    crowds: int
    crowded: int
    peopled: int
    void: float
    counts: np.ndarray
    shares: np.ndarray


def summarize(
    images: Iterable[Image],
    class_names: Sequence[str],
    *,
    thing_ids: Collection[int],
    total: int,
) -> Summary:
    """Counts images of a split, which has `total`; there is at least one."""
    number = np.zeros(len(class_names), np.int64)
    crowds = crowded = peopled = pixels = covered = 0
    counts, shares = [], []
    for image in images:
        learned = ~image.crowds
        area = image.size[0] * image.size[1]
        np.add.at(number, image.classes[learned], 1)
        crowds += int(image.crowds.sum())
        crowded += bool(image.crowds.any())
        peopled += bool(np.isin(image.classes, list(thing_ids)).any())
        pixels += area
        covered += int(image.areas.sum())
        counts.append(int(learned.sum()))
        shares.append((image.areas[learned] / area).astype(np.float32))
    named = list(zip(class_names, number.tolist(), strict=True))
    return Summary(
        images=len(counts),
        total=total,
        things=dict(row for place, row in enumerate(named) if place in thing_ids),
        stuff=dict(row for place, row in enumerate(named) if place not in thing_ids),
        crowds=crowds,
        crowded=crowded,
        peopled=peopled,
        # Areas that a file gives may be more than the image has.
        void=max(0.0, 1 - covered / pixels),
        counts=np.array(counts),
        shares=np.concatenate(shares),
    )


def of_first(
    dataset: indexed.IndexedDataset, split: str, look: Callable[[Any], Image]
) -> Summary:
    """What the first images hold, for data of which each look takes long.

    Args:
        look: Gives the segments of a record; called from several threads.
    """
    records = indexed.kept_records(dataset, split)
    with futures.ThreadPoolExecutor(max_workers=8) as pool:  # folders may be far
        found = pool.map(look, records[:FIRST])
        return summarize(
            found,
            dataset.class_names,
            thing_ids=dataset.thing_ids,
            total=len(records),
        )


def of_maps(
    semantic: np.ndarray, instance: np.ndarray, thing_ids: Collection[int]
) -> Image:
    """The segments of an example's maps, int32 `[H, W]`."""
    ids, place = panoptic.segments(
        panoptic.encode(semantic, instance, ignore_label=base.IGNORE_LABEL)
    )
    areas = np.bincount(place.ravel(), minlength=len(ids))
    known = ids != panoptic.VOID
    classes, instances = np.divmod(ids[known], panoptic.LABEL_DIVISOR)
    crowds = np.isin(classes, list(thing_ids)) & (instances == 0)
    height, width = semantic.shape
    return Image((height, width), classes, areas[known], crowds)


def of_list(
    found: segments.Segments,
    areas: np.ndarray,
    thing_ids: Collection[int],
    *,
    size: tuple[int, int],
) -> Image:
    """The segments of a list with their areas in pixels, `[N]`."""
    things = np.isin(found.classes, list(thing_ids))
    divisor = len(areas) + 1
    instances = np.where(things & ~found.crowds, np.arange(1, divisor), 0)
    there = areas > 0
    keys = (found.classes.astype(np.int64) * divisor + instances)[there]
    keys, place = np.unique(keys, return_inverse=True)
    together = np.bincount(place, areas[there], len(keys)).astype(np.int64)
    classes, instances = np.divmod(keys, divisor)
    crowds = np.isin(classes, list(thing_ids)) & (instances == 0)
    return Image(size, classes, together, crowds)
