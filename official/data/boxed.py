"""Datasets of image files with boxes around the objects in them."""

import abc
import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Sequence
from concurrent import futures
from typing import Any, ClassVar, NamedTuple

from official import failures
from official.data import base, box_summary, boxes, decoding, encoded, indexed, palettes

_FIRST = 200
"""Examples that are counted where a look at each takes long."""


class Record(NamedTuple):
    """An image and its annotation.

    Attributes:
        image_id: Names the example.
        image: The file.
        annotation: Where its boxes are written, for messages.
        size: Height and width that the annotation gives; None where it gives none.
        objects: As they are written.
    """

    image_id: str
    image: pathlib.Path
    annotation: str
    size: boxes.Size | None
    objects: boxes.Objects


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxedDataset(indexed.IndexedDataset):
    """Images with boxes; examples have `boxes` and the keys that go with it.

    An image whose EXIF data says that it lies on its side, upside down or mirrored is
    turned. Whether its boxes are turned with it is told by the size that the annotation
    gives: they are where it is that of the stored pixels, and stay where it is that of
    the upright image; any other size is an error. Where sizes tell nothing (there is
    none, the image is a square, or it does not lie on its side), `stored_pixels`
    decides.

    Attributes:
        stored_pixels: Whether the format counts the pixels as they are stored, as tools
            do that do not look at EXIF; else whoever drew the boxes saw the image
            upright.
    """

    stored_pixels: ClassVar[bool] = False

    @property
    def palette(self) -> Sequence[base.Color]:
        return palettes.distinct(self.num_classes)

    @abc.abstractmethod
    def records(self, split: str) -> Sequence[Record]: ...

    def objects(self, record: Record, size: boxes.Size) -> boxes.Objects:
        """The boxes of a record in pixels of its image, which is of a size."""
        del size
        return record.objects

    def read(self, record: Record) -> dict[str, Any]:
        image = encoded.read(record.image)
        height, width = image.shape[:2]
        found, _ = boxes.clean(self._upright(record, (height, width)), (height, width))
        return {"image": image, "image_id": record.image_id, **keys(found)}

    def summary(self, split: str) -> box_summary.Summary:
        """As `Dataset.summary`; reads headers where annotations give no size."""
        records = indexed.kept_records(self, split)
        return box_summary.summarize(
            self._cleaned(records), self.class_names, total=len(records)
        )

    def upright_objects(self, split: str) -> Iterable[box_summary.Image]:
        """What `load` gives of each image but for its pixels: headers alone are read.

        Raises:
            failures.DataError: As `size`, or if an image and its annotation disagree.
        """

        def look(record: Record) -> box_summary.Image:
            header = decoding.header(record.image)
            size = header.height, header.width
            found, problems = boxes.clean(self._upright(record, size), size)
            return box_summary.Image(record.image_id, size, found, problems)

        with futures.ThreadPoolExecutor(max_workers=8) as pool:
            return list(pool.map(look, indexed.kept_records(self, split)))

    def _cleaned(self, records: Sequence[Record]) -> Iterable[box_summary.Image]:
        def cleaned(record: Record) -> box_summary.Image:
            size = record.size or self._size(record.image)
            found, problems = boxes.clean(self.objects(record, size), size)
            return box_summary.Image(record.image_id, size, found, problems)

        if all(record.size for record in records):
            return map(cleaned, records)
        with futures.ThreadPoolExecutor(max_workers=8) as pool:  # folders may be far
            return list(pool.map(cleaned, records))

    def _upright(self, record: Record, size: boxes.Size) -> boxes.Objects:
        """The boxes in pixels of the upright image, which is of a size."""
        if record.size in (None, size) and not self.stored_pixels:
            return self.objects(record, size)
        header = decoding.header(record.image)
        written = record.size or header.stored
        if written not in (size, header.stored):
            given, actual = (f"{w}x{h}" for h, w in (written, size))
            raise failures.DataError(
                f"{record.image} is {actual} pixels, but {given} in "
                f"{record.annotation}, so its boxes are those of another image; "
                "annotate it anew, or correct the size if only that is wrong"
            )
        found = self.objects(record, written)
        if written != header.stored:
            return found
        turned = boxes.upright(found.boxes, header.orientation, written)
        return dataclasses.replace(found, boxes=turned)

    def _size(self, path: pathlib.Path) -> boxes.Size:
        """Of the image in which boxes without a size are written."""
        header = decoding.header(path)
        return header.stored if self.stored_pixels else (header.height, header.width)


def summary_of_first(
    dataset: indexed.IndexedDataset,
    split: str,
    look: Callable[[Any], box_summary.Image],
) -> box_summary.Summary:
    """What the first images hold, for data of which each look takes long."""
    records = indexed.kept_records(dataset, split)
    return box_summary.summarize(
        map(look, records[:_FIRST]), dataset.class_names, total=len(records)
    )


def keys(found: boxes.Objects) -> dict[str, Any]:
    """The keys of an example that tell of its boxes."""
    return {
        "boxes": found.boxes,
        "box_classes": found.classes,
        "box_kinds": found.kinds,
        "box_areas": found.areas,
    }
