"""COCO's images with boxes, and anyone's in the same form."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from official import failures, spelling
from official.data import (
    boxed,
    boxes,
    class_names,
    coco_files,
    coco_json,
    image_files,
)

_ANNOTATIONS = (
    "annotations/instances_{split}.json",
    "annotations/instances_{split}2017.json",
    "annotations/instances_{split}2014.json",
    "instances_{split}.json",
    "{split}/_annotations.coco.json",  # Roboflow
    "{split}/labels.json",  # MediaPipe Model Maker
    "annotations/{split}.json",
    "{split}.json",
)
"""Where they are looked for, in this order."""

_MOST = 10_000
"""Classes of a network, where gaps between ids count."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class COCODetection(boxed.BoxedDataset):
    """Images with the boxes of a JSON file in COCO's form (`instances_*.json`).

        COCODetection(data_dir="coco")

    reads `coco/annotations/instances_train2017.json` and `coco/train2017/`, or
    `annotations/instances_train.json` and `images/train/`, or what `_ANNOTATIONS` and
    `coco_files.IMAGES` have; "val" may be called "valid" or "validation".

    Ids of categories may have gaps: classes are numbered in their order. Images without
    annotations are kept. Crowds (`iscrowd`) are boxes of that kind. Pixels are those of
    the stored image, whatever EXIF says, unless the file gives the upright size.

    Attributes:
        data_dir: Folder of all this.
        annotations: Path of the JSON file in it, `{split}` standing for the split; None
            looks for it.
        images: Folder in it from which the file's `file_name` leads on, likewise.
        classes: Names of the categories to use, in the order of their ids; None uses
            all that the file of "train" has (of "val" where there is no "train").
        keep_gaps: Number classes as the file's category ids less 1, with placeholder
            names "(unused 12)" for ids that have no category; published detectors of
            COCO with 90 classes count so.
    """

    data_dir: str
    annotations: str | None = None
    images: str | None = None
    classes: tuple[str, ...] | None = None
    keep_gaps: bool = False

    stored_pixels: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.keep_gaps and self.classes is not None:
            raise failures.RequestError(
                "COCODetection: keep_gaps numbers all categories by their ids, classes "
                "chooses and numbers them anew; give one of them"
            )

    @property
    def class_names(self) -> tuple[str, ...]:
        return _class_names(self)

    def records(self, split: str) -> Sequence[boxed.Record]:
        path = _annotations(self, split)
        content = _content(path)
        ids = self._ids(path, content)
        folder = _images(self, split, path, content)
        return [
            boxed.Record(
                image_id=f"{split}/{image.file_name}",
                image=folder / image.file_name,
                annotation=str(path),
                size=image.size,
                objects=_objects(content.objects.get(number, []), ids),
            )
            for number, image in content.images.items()
        ]

    def image_numbers(self, split: str) -> dict[str, int]:
        """The file's ids of images."""
        content = _content(_annotations(self, split))
        return {
            f"{split}/{image.file_name}": number
            for number, image in content.images.items()
        }

    def category_ids(self, split: str) -> tuple[int, ...]:
        """The file's id of each class; -1 where it has no such category."""
        path = _annotations(self, split)
        found = {name: number for number, name in _content(path).categories.items()}
        return tuple(found.get(name, -1) for name in self.class_names)

    def _ids(self, path: pathlib.Path, content: coco_json.Content) -> Mapping[int, int]:
        """Class of each category, -1 for those that are left out."""
        names = {name: place for place, name in enumerate(self.class_names)}
        if self.classes is None:
            class_names.require_known(content.categories.values(), names, path)
        return {number: names.get(n, -1) for number, n in content.categories.items()}


def _objects(
    found: Sequence[coco_json.Object], ids: Mapping[int, int]
) -> boxes.Objects:
    return boxes.objects(
        [entry.box for entry in found],
        [ids[entry.category] for entry in found],
        kinds=[entry.kind for entry in found],
        areas=[entry.area for entry in found],
    )


@functools.lru_cache(maxsize=4)
def _content(path: pathlib.Path) -> coco_json.Content:
    return coco_json.read(path)


@functools.lru_cache(maxsize=16)
def _class_names(dataset: COCODetection) -> tuple[str, ...]:
    splits = ("train", "val")
    known = [split for split in splits if any(_found(dataset, split))]
    path = _annotations(dataset, known[0] if known else "train")
    categories = _content(path).categories
    if dataset.keep_gaps:
        return _with_gaps(path, categories)
    names = tuple(categories.values())
    return class_names.chosen(dataset.classes, names, path)


def _with_gaps(path: pathlib.Path, categories: Mapping[int, str]) -> tuple[str, ...]:
    numbers = categories.keys()
    if not numbers or min(numbers) < 1 or max(numbers) > _MOST:
        raise failures.DataError(
            f"{path} has the category ids {image_files.few(map(str, numbers))}; "
            f"dataset.keep_gaps wants ids from 1 to {_MOST}, without it any will do"
        )
    count = max(numbers)
    return tuple(categories.get(n, f"(unused {n})") for n in range(1, count + 1))


def _found(dataset: COCODetection, split: str) -> Iterator[pathlib.Path]:
    """The files that may be the annotations of a split."""
    root = coco_files.root(dataset.data_dir)
    patterns = _ANNOTATIONS if dataset.annotations is None else (dataset.annotations,)
    paths = coco_files.candidates(root, patterns, split)
    return (path for path in paths if path.is_file())


def _annotations(dataset: COCODetection, split: str) -> pathlib.Path:
    path = next(_found(dataset, split), None)
    if path is not None:
        return path
    root = coco_files.root(dataset.data_dir)
    if not root.is_dir():
        raise failures.DataError(
            f"{spelling.missing(root)}; dataset.data_dir must hold "
            "annotations/instances_train.json and images/train/, and the same for val "
            "(or COCO's own instances_train2017.json and train2017/). To try the "
            'pipeline without data: --set "dataset = @SyntheticBoxes()"'
        )
    looked = dataset.annotations or ", ".join(_ANNOTATIONS[:4]) + ", ..."
    raise failures.DataError(
        f"{root} has no annotations of split {split!r} (looked for {looked}; set "
        "dataset.annotations)"
    )


def _images(
    dataset: COCODetection,
    split: str,
    path: pathlib.Path,
    content: coco_json.Content,
) -> pathlib.Path:
    """The folder of the images, all of which are in it."""
    if not content.images:
        raise failures.DataError(f"{path} lists no image")
    root = coco_files.root(dataset.data_dir)
    names = [image.file_name for image in content.images.values()]
    patterns = coco_files.IMAGES if dataset.images is None else (dataset.images,)
    folders = [*coco_files.candidates(root, patterns, split), path.parent]
    folder = coco_files.folder_of(
        names[0], folders, root=root, source=path, what="images"
    )
    image_files.require(folder, names, source=str(path))
    return folder
