"""Cityscapes with its instances."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from official.data import (
    cityscapes,
    decoding,
    encoded,
    indexed,
    label_maps,
    segment_summary,
    segments,
)
from official.data.streets import classes

_DIVISOR = 1000
"""A number from here on is a label id times this, and the number of an instance."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CityscapesPanoptic(cityscapes.Cityscapes):
    """Cityscapes with fine annotations and the instances of its eight things.

    As `Cityscapes`, of whose archives it reads the files `*_gtFine_instanceIds.png`: of
    16 bits, a label id times 1000 plus the number of the instance, or the label id
    alone, which of a thing is a crowd ("car group"). The panoptic form that
    cityscapesScripts makes of them is read by `COCOPanoptic`; the numbers of images and
    classes are those that it has.
    """

    LABELS_END: ClassVar[str] = "_gtFine_instanceIds.png"

    @property
    def thing_ids(self) -> tuple[int, ...]:
        return classes.THING_IDS

    def read(self, record: cityscapes.Record) -> dict[str, Any]:
        image = encoded.read(record.image)
        semantic, instance = self._maps(record)
        label_maps.require_same_size(image, semantic, path=record.labels)
        return {
            "image": image,
            "semantic": semantic,
            "instance": instance,
            "image_id": self.image_id(record),
        }

    def segment_counts(self, split: str) -> segment_summary.Summary:
        """As `Dataset.segment_counts`, of the first images."""

        def look(record: cityscapes.Record) -> segment_summary.Image:
            return segment_summary.of_maps(*self._maps(record), self.thing_ids)

        return segment_summary.of_first(self, split, look)

    def _maps(self, record: cityscapes.Record) -> tuple[np.ndarray, np.ndarray]:
        """Classes and instances."""
        stored = decoding.label_map(record.labels)
        single = stored >= _DIVISOR
        semantic = label_maps.from_numbers(
            np.where(single, stored // _DIVISOR, stored),
            cityscapes.CLASS_OF_LABEL,
            path=record.labels,
        )
        things = single & np.isin(semantic, self.thing_ids)
        instance = np.where(things, stored, 0)
        return semantic, segments.consecutive(instance, path=record.labels)

    def image_numbers(self, split: str) -> dict[str, int | str]:
        """Names of images as cityscapesScripts has them: "ulm_000000_000019"."""
        names = [self.image_id(r) for r in indexed.kept_records(self, split)]
        return {name: name.rpartition("/")[2] for name in names}

    def category_ids(self, split: str) -> tuple[int, ...]:
        """Label ids."""
        del split
        return tuple(row.label_id for row in cityscapes.CLASSES)
