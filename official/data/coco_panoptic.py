"""COCO's images with panoptic maps, and anyone's in the same form."""

import dataclasses
import functools
import logging
import pathlib
from collections.abc import Mapping, Sequence
from concurrent import futures
from typing import Any, NamedTuple

import numpy as np

from official import failures
from official.data import (
    base,
    class_names,
    coco_panoptic_files,
    coco_panoptic_json,
    decoding,
    encoded,
    image_files,
    indexed,
    label_maps,
    palettes,
    segment_summary,
    segments,
)


class Record(NamedTuple):
    """Segments have classes, not categories; source is the JSON file."""

    image_id: str
    image: pathlib.Path
    map: pathlib.Path
    segments: segments.Segments
    source: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class COCOPanoptic(indexed.IndexedDataset):
    """Images, maps and a JSON file in COCO's panoptic form (`panoptic_*.json`).

        COCOPanoptic(data_dir="coco")

    reads `coco/annotations/panoptic_train2017.json`, the maps in the folder of the same
    name beside it (or in `coco/`), and `coco/train2017/`; or
    `annotations/panoptic_train.json` and `images/train/`, or what the lists in
    `coco_panoptic_files` have; "val" may be called "valid" or "validation". What
    cityscapesScripts makes of Cityscapes (`gtFine/cityscapes_panoptic_train.json`) is
    found in the same way, images in folders of their cities.

    * A map is an RGB PNG, a pixel's segment being R + 256 G + 65536 B; 0 is unlabelled.
    * Ids of categories may have gaps: classes are numbered in their order, those with
      `isthing` 1 being the things.
    * Crowds (`iscrowd`) have a class, and no instance.
    * A segment of the file that has no pixel in the map is nowhere; one of the map that
      the file has not is an error.
    * Images without an annotation are left out: nobody says what is in them.
    * Maps lie as the stored pixels of their image do, whatever EXIF says, unless their
      size is that of the upright one.

    https://cocodataset.org/#format-data, section 4.

    Attributes:
        data_dir: Folder of all this.
        annotations: Path of the JSON file in it, `{split}` standing for the split; None
            looks for it.
        maps: Folder in it from which the `file_name` of the file's annotations leads
            on, likewise.
        images: The same for its images.
    """

    data_dir: str
    annotations: str | None = None
    maps: str | None = None
    images: str | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(row.name for row in _classes(self))

    @property
    def thing_ids(self) -> tuple[int, ...]:
        return tuple(number for number, row in enumerate(_classes(self)) if row.thing)

    @property
    def palette(self) -> Sequence[base.Color]:
        colors = [row.color for row in _classes(self)]
        given = tuple(color for color in colors if color is not None)
        # Some files have colors for a few categories, which others might then resemble.
        return given if len(given) == len(colors) else palettes.named(self.class_names)

    def records(self, split: str) -> Sequence[Record]:
        path = self._annotations(split)
        content = _content(path)
        found = coco_panoptic_json.annotated(path, content)
        _warn_of_missing(path, content)
        classes = _class_of_category(self, path, content)
        images = self._images(split, path, found)
        maps = coco_panoptic_files.maps(
            self.data_dir,
            self.maps,
            split,
            source=path,
            names=[row.file_name for row in found.values()],
        )
        return [
            Record(
                image_id=f"{split}/{images.names[number]}",
                image=images.folder / images.names[number],
                map=maps / row.file_name,
                segments=_renamed(row.segments, classes),
                source=str(path),
            )
            for number, row in found.items()
        ]

    def read(self, record: Record) -> dict[str, Any]:
        image = encoded.read(record.image)
        semantic, instance = self._labels(record)
        label_maps.require_same_size(image, semantic, path=record.map)
        return {
            "image": image,
            "semantic": semantic,
            "instance": instance,
            "image_id": record.image_id,
        }

    def glance(self, record: Record) -> dict[str, Any]:
        return {"image": encoded.read(record.image), "image_id": record.image_id}

    def segment_counts(self, split: str) -> segment_summary.Summary:
        """As `Dataset.segment_counts`.

        If the file has all areas, only the first maps are read, to compare.
        """
        self._warn_of_absent(split)
        path = self._annotations(split)
        content = _content(path)
        found = coco_panoptic_json.annotated(path, content)
        classes = _class_of_category(self, path, content)
        images = []
        for number, row in found.items():
            size = content.images[number].size
            if row.areas is None or size is None:
                return segment_summary.of_first(self, split, self._look)
            renamed = _renamed(row.segments, classes)
            images.append(
                segment_summary.of_list(renamed, row.areas, self.thing_ids, size=size)
            )
        return segment_summary.summarize(
            images, self.class_names, thing_ids=self.thing_ids, total=len(images)
        )

    def image_numbers(self, split: str) -> dict[str, int | str]:
        """The file's ids of images."""
        path = self._annotations(split)
        content = _content(path)
        found = coco_panoptic_json.annotated(path, content)
        names = self._images(split, path, found).names
        return {f"{split}/{names[number]}": number for number in found}

    def category_ids(self, split: str) -> tuple[int, ...]:
        """The file's id of each class; -1 where it has no such category."""
        categories = _content(self._annotations(split)).categories
        found = {row.name: number for number, row in categories.items()}
        return tuple(found.get(name, -1) for name in self.class_names)

    def _annotations(self, split: str) -> pathlib.Path:
        return coco_panoptic_files.annotations(self.data_dir, self.annotations, split)

    def _images(
        self,
        split: str,
        path: pathlib.Path,
        found: Mapping[coco_panoptic_json.Number, coco_panoptic_json.Annotation],
    ) -> coco_panoptic_files.Images:
        """The images of some annotations of a file."""
        images = _content(path).images
        return coco_panoptic_files.images(
            self.data_dir,
            self.images,
            split,
            source=path,
            names={number: images[number].file_name for number in found},
        )

    def _warn_of_absent(self, split: str) -> None:
        """Compares the segments of the first images with their maps."""

        def absent(record: Record) -> int:
            listed = record.segments.numbers
            return len(listed) - np.isin(listed, self._map(record)).sum()

        records = indexed.kept_records(self, split)[: segment_summary.FIRST]
        with futures.ThreadPoolExecutor(max_workers=8) as pool:  # folders may be far
            counts = list(pool.map(absent, records))
        if any(counts):
            place = next(place for place, count in enumerate(counts) if count)
            logging.getLogger(__name__).warning(
                "%s lists %d segments that have no pixel in the maps of the first %d "
                "images, and are left out: first in %s; export both again if they "
                "should be there",
                records[0].source,
                sum(counts),
                len(records),
                records[place].map,
            )

    def _look(self, record: Record) -> segment_summary.Image:
        return segment_summary.of_maps(*self._labels(record), self.thing_ids)

    def _labels(self, record: Record) -> tuple[np.ndarray, np.ndarray]:
        """Classes and instances."""
        return segments.labels(
            self._map(record),
            record.segments,
            self.thing_ids,
            path=record.map,
            source=record.source,
        )

    def _map(self, record: Record) -> np.ndarray:
        """The numbers of an image's segments, upright as the image."""
        if not decoding.header(record.map).color:
            raise failures.DataError(
                f"{record.map}: holds one number for each pixel; want an RGB PNG with "
                "R + 256 G + 65536 B (for a map of classes and one of instances: "
                "PanopticFolder)"
            )
        stored = segments.numbers(decoding.image(record.map))
        return label_maps.turned(stored, decoding.header(record.image))


@functools.lru_cache(maxsize=4)
def _content(path: pathlib.Path) -> coco_panoptic_json.Content:
    return coco_panoptic_json.read(path)


@functools.lru_cache(maxsize=16)
def _classes(dataset: COCOPanoptic) -> tuple[coco_panoptic_json.Category, ...]:
    """The categories of "train", of "val" where there is none, in their order."""
    splits = [
        split
        for split in ("train", "val")
        if any(coco_panoptic_files.found(dataset.data_dir, dataset.annotations, split))
    ]
    path = coco_panoptic_files.annotations(
        dataset.data_dir, dataset.annotations, splits[0] if splits else "train"
    )
    categories = _content(path).categories
    if not 1 <= len(categories) <= base.IGNORE_LABEL:
        raise failures.DataError(
            f"{path}: {len(categories)} categories; want 1 to {base.IGNORE_LABEL}"
        )
    return tuple(categories.values())


def _class_of_category(
    dataset: COCOPanoptic, path: pathlib.Path, content: coco_panoptic_json.Content
) -> dict[int, int]:
    classes = _classes(dataset)
    places = {row.name: place for place, row in enumerate(classes)}
    categories = content.categories
    class_names.require_known([row.name for row in categories.values()], places, path)
    for row in categories.values():
        if row.thing != classes[places[row.name]].thing:
            raise failures.DataError(
                f"{path}: category {row.name!r} has isthing {int(row.thing)}, and "
                f"{int(not row.thing)} in the training data; give both the same"
            )
    return {number: places[row.name] for number, row in categories.items()}


def _renamed(found: segments.Segments, classes: Mapping[int, int]) -> segments.Segments:
    """Segments with classes in place of categories."""
    ids = [classes[category] for category in found.classes.tolist()]
    return found._replace(classes=np.array(ids, np.int32))


def _warn_of_missing(path: pathlib.Path, content: coco_panoptic_json.Content) -> None:
    missing = [
        image.file_name
        for number, image in content.images.items()
        if number not in content.annotations
    ]
    if missing:
        logging.getLogger(__name__).warning(
            "%d of the %d images of %s have no annotation, and are left out: %s",
            len(missing),
            len(content.images),
            path,
            image_files.few(missing),
        )
