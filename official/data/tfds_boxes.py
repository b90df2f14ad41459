"""Data sets prepared by TensorFlow Datasets, for detection."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from official import failures, spelling
from official.data import (
    base,
    box_summary,
    boxed,
    boxes,
    class_names,
    decoding,
    encoded,
    indexed,
    palettes,
    tfds,
    tfds_source,
)
from official.ops import box_kinds


@dataclasses.dataclass(frozen=True, kw_only=True)
class TFDSBoxes(indexed.IndexedDataset):
    """Images with boxes in the catalog of TensorFlow Datasets, already on the disk.

    `TFDSBoxes(name="coco/2017")` and `TFDSBoxes(name="voc/2007")` have a feature
    `objects`, a sequence with `bbox` and `label`, and with `is_crowd`, `area` or
    `is_difficult` where the data knows them. Splits and files are as for `TFDS`.

    Boxes are shares of the stored image, and turned with it where EXIF says that it
    does not lie upright. The catalog divides VOC's pixels, counted from 1, by the sides
    (https://www.tensorflow.org/datasets/catalog/voc): boxes of "voc" begin one pixel
    further left and above than written, as those of `VOC`.

    Attributes:
        name: As in the catalog, with a config where there are several: "name/config".
        data_dir: Where the data was prepared; None is `~/tensorflow_datasets`.
        image_key: Feature with the image.
        objects_key: Feature with the objects.
        classes: Names of the classes to use, in the order of their ids; None uses all.
    """

    name: str
    data_dir: str | None = None
    image_key: str = "image"
    objects_key: str = "objects"
    classes: tuple[str, ...] | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        return class_names.chosen(self.classes, _names(self), self.name)

    @property
    def palette(self) -> Sequence[base.Color]:
        return palettes.distinct(self.num_classes)

    def records(self, split: str) -> Sequence[tfds.Record]:
        builder = tfds_source.builder(self.name, self.data_dir)
        tfds_source.require_image(builder, self.image_key)
        name = tfds_source.split_name(builder, split)
        class_names.chosen(self.classes, _names(self), self.name)
        keys = (self.image_key, self.objects_key)
        source = tfds_source.examples(builder, name, keys, name=self.name)
        return [tfds.Record(source, place, name) for place in range(len(source))]

    def read(self, record: tfds.Record) -> dict[str, Any]:
        stored = record.source[record.place]
        image_id = f"{record.split}/{record.place:06d}"
        path = f"{self.name} {image_id}"
        image = encoded.Encoded(stored[self.image_key], path)
        found = _look(self, stored, image_id).objects
        return {"image": image, "image_id": image_id, **boxed.keys(found)}

    def summary(self, split: str) -> box_summary.Summary:
        """As `Dataset.summary`, of the first images."""

        def look(record: tfds.Record) -> box_summary.Image:
            stored = record.source[record.place]
            return _look(self, stored, f"{record.split}/{record.place:06d}")

        return boxed.summary_of_first(self, split, look)


def _look(
    dataset: TFDSBoxes, stored: dict[str, Any], image_id: str
) -> box_summary.Image:
    """The boxes of an example in its upright image, which is not decoded."""
    path = f"{dataset.name} {image_id}"
    header = decoding.header_of_bytes(stored[dataset.image_key], name=path)
    found = _objects(dataset, stored[dataset.objects_key], header.stored)
    turned = boxes.upright(found.boxes, header.orientation, header.stored)
    size = header.height, header.width
    cleaned, problems = boxes.clean(dataclasses.replace(found, boxes=turned), size)
    return box_summary.Image(image_id, size, cleaned, problems)


def _objects(
    dataset: TFDSBoxes, stored: dict[str, np.ndarray], size: boxes.Size
) -> boxes.Objects:
    known, (height, width) = dataset.class_names, size
    ids = [known.index(n) if n in known else -1 for n in _names(dataset)]
    labels = np.asarray(stored["label"])
    kinds = np.full(len(labels), box_kinds.OBJECT)
    for key, kind in (
        ("is_difficult", box_kinds.DIFFICULT),
        ("is_crowd", box_kinds.CROWD),
    ):
        if key in stored:
            kinds[np.asarray(stored[key], bool)] = kind
    corners = np.asarray(stored["bbox"], np.float64).reshape(-1, 4)
    pixels = corners * [height, width, height, width]
    if re.split("[:/]", dataset.name)[0] == "voc":
        pixels = _from_zero(pixels)
    return boxes.objects(
        pixels,
        [ids[label] for label in labels],
        kinds=kinds,
        areas=stored.get("area"),
    )


def _from_zero(pixels: np.ndarray) -> np.ndarray:
    """Edges of pixels that are counted from 1; boxes without area stay so."""
    first, last = pixels[:, :2], pixels[:, 2:]
    moved = np.maximum(first - 1, np.minimum(first, 0))
    drawn = np.all(last > first, axis=1, keepdims=True)
    return np.concatenate([np.where(drawn, moved, first), last], axis=1)


def _names(dataset: TFDSBoxes) -> tuple[str, ...]:
    """All names of classes that the feature of the objects holds."""
    features = tfds_source.builder(dataset.name, dataset.data_dir).info.features
    key = dataset.objects_key
    parts = getattr(features[key], "feature", {}) if key in features else {}
    if "bbox" not in parts or "label" not in parts:
        raise failures.DataError(
            f"{dataset.name} has no objects {key!r} with 'bbox' and 'label'"
            f"{spelling.hint(key, features)}; it has {', '.join(sorted(features))} "
            "(set dataset.objects_key)"
        )
    return tuple(parts["label"].names)
