"""Data sets prepared by TensorFlow Datasets, for panoptic segmentation."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from official import failures, spelling
from official.data import (
    base,
    coco_categories,
    decoding,
    encoded,
    indexed,
    label_maps,
    palettes,
    segment_summary,
    segments,
    tfds,
    tfds_source,
)

_PARTS = ("id", "label", "is_crowd")
_NUMBER = "image/id"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TFDSPanoptic(indexed.IndexedDataset):
    """Images with panoptic maps in the catalog of TensorFlow Datasets, on the disk.

    `TFDSPanoptic(name="coco/2017_panoptic")` has a map `panoptic_image`, of COCO's
    colors, and a sequence `panoptic_objects` with the `id`, the `label` and `is_crowd`
    of each segment. Splits and files are as for `TFDS`, crowds and maps as for
    `COCOPanoptic`. The catalog keeps COCO's ids of images ("image/id"), and of its
    categories the names, whose ids are known (`coco_categories`): what is written of
    predictions on "coco" has both, and COCO's evaluators can read it.

    Attributes:
        name: As in the catalog, with a config where there are several: "name/config".
        data_dir: Where the data was prepared; None is `~/tensorflow_datasets`.
        image_key: Feature with the image.
        map_key: Feature with the map of segments.
        objects_key: Feature with the segments.
        thing_count: Of the classes, the first that are things, all others being stuff,
            about which the catalog says nothing; COCO has 80.
    """

    name: str
    data_dir: str | None = None
    image_key: str = "image"
    map_key: str = "panoptic_image"
    objects_key: str = "panoptic_objects"
    thing_count: int = 80

    @property
    def class_names(self) -> tuple[str, ...]:
        features = tfds_source.builder(self.name, self.data_dir).info.features
        key = self.objects_key
        parts = getattr(features[key], "feature", {}) if key in features else {}
        if not all(part in parts for part in _PARTS):
            raise failures.DataError(
                f"{self.name} has no objects {key!r} with {', '.join(_PARTS)}"
                f"{spelling.hint(key, features)}; it has {', '.join(sorted(features))} "
                "(set dataset.objects_key)"
            )
        return tuple(parts["label"].names)

    @property
    def thing_ids(self) -> tuple[int, ...]:
        count = self.num_classes
        if not 1 <= self.thing_count <= count:
            raise failures.DataError(
                f"dataset.thing_count is {self.thing_count}, and {self.name} has "
                f"{count} classes; want 1 to {count}"
            )
        return tuple(range(self.thing_count))

    @property
    def palette(self) -> Sequence[base.Color]:
        return palettes.named(self.class_names)

    def records(self, split: str) -> Sequence[tfds.Record]:
        builder = tfds_source.builder(self.name, self.data_dir)
        tfds_source.require_image(builder, self.image_key, field="image_key")
        tfds_source.require_image(builder, self.map_key, field="map_key")
        _ = self.thing_ids
        keys = [self.image_key, self.map_key, self.objects_key]
        keys += [_NUMBER] if self._has_numbers() else []
        name = tfds_source.split_name(builder, split)
        source = tfds_source.examples(builder, name, keys, name=self.name)
        return [tfds.Record(source, place, name) for place in range(len(source))]

    def read(self, record: tfds.Record) -> dict[str, Any]:
        stored = record.source[record.place]
        image_id = _image_id(record)
        path = f"{self.name} {image_id}"
        image = encoded.Encoded(stored[self.image_key], path)
        semantic, instance = self._labels(record)
        label_maps.require_same_size(image, semantic, path=path)
        return {
            "image": image,
            "semantic": semantic,
            "instance": instance,
            "image_id": image_id,
        }

    def segment_counts(self, split: str) -> segment_summary.Summary:
        """As `Dataset.segment_counts`, of the first images."""

        def look(record: tfds.Record) -> segment_summary.Image:
            return segment_summary.of_maps(*self._labels(record), self.thing_ids)

        return segment_summary.of_first(self, split, look)

    def image_numbers(self, split: str) -> dict[str, int | str]:
        """COCO's ids; none of other data, which has no ids of categories."""
        if not self._has_numbers():
            return {}
        records = indexed.kept_records(self, split)
        return {_image_id(r): int(r.source[r.place][_NUMBER]) for r in records}

    def category_ids(self, split: str) -> tuple[int, ...]:
        """COCO's ids of its categories; none of other data."""
        del split
        known = coco_categories.PANOPTIC_IDS
        if not self._has_numbers():
            return ()
        return tuple(known[name] for name in self.class_names)

    def _has_numbers(self) -> bool:
        """Whether it is COCO, and so the numbers of images and categories are known."""
        features = tfds_source.builder(self.name, self.data_dir).info.features
        return (
            re.split("[:/]", self.name)[0] == "coco"
            and _NUMBER in features
            and set(self.class_names) <= coco_categories.PANOPTIC_IDS.keys()
        )

    def _labels(self, record: tfds.Record) -> tuple[np.ndarray, np.ndarray]:
        """Classes and instances."""
        stored = record.source[record.place]
        path = f"{self.name} {_image_id(record)}"
        header = decoding.header_of_bytes(stored[self.image_key], name=path)
        colors = decoding.image_of_bytes(stored[self.map_key], name=path)
        objects = stored[self.objects_key]
        return segments.labels(
            label_maps.turned(segments.numbers(colors), header),
            segments.Segments(*(np.asarray(objects[part]) for part in _PARTS)),
            self.thing_ids,
            path=f"{path}: {self.map_key}",
            source=self.objects_key,
        )


def _image_id(record: tfds.Record) -> str:
    return f"{record.split}/{record.place:06d}"
