"""Pascal VOC, and anyone's images annotated in its XML."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree

from official import failures, spelling
from official.data import boxed, boxes, class_names, image_files, text_file
from official.ops import box_kinds

_IMAGES = ("JPEGImages", "images")
_ANNOTATIONS = ("Annotations", "annotations")
_NAMES = ("labels.txt", "classes.txt")
_COORDINATES = ("ymin", "xmin", "ymax", "xmax")


class Annotation(NamedTuple):
    """What an XML file says; size is height and width, None if it does not say."""

    size: boxes.Size | None
    names: tuple[str, ...]
    boxes: tuple[tuple[float, ...], ...]
    kinds: tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class VOC(boxed.BoxedDataset):
    """Images in `JPEGImages/`, an XML file for each in `Annotations/`.

        VOC(data_dir="VOCdevkit/VOC2012")

    * `ImageSets/Main/<split>.txt` lists the names of a split. Without `ImageSets`, a
      fifth of the annotations, chosen by a hash of their names, is "val" and the rest
      "train"; folders `<split>/Annotations` decide otherwise.
    * `images/` may stand for `JPEGImages/`, `annotations/` for `Annotations/`. An image
      is found by the name of its XML file: what is written inside is often outdated.
    * Objects marked `difficult` are boxes of that kind; truncated ones are like others.
    * Pixels are counted from 1 and the last is part of the box, as the VOC development
      kit says (Everingham et al., 2010), so a box is xmin - 1 to xmax here. Tools that
      count from 0 write a 0 now and then: that is the edge of the image. What they
      write is thereby taken to begin one pixel too far left and above.
    * A box whose corners are one point or lie on one line is a slip of the mouse, not
      an object of one pixel, and dropped.

    Attributes:
        data_dir: Folder of all this.
        classes: Names of the classes to use, in the order of their ids. None takes the
            lines of `labels.txt` or `classes.txt`, or else all names in the annotations
            of "train" (of "val" where there is none), in the order of the alphabet.
    """

    data_dir: str
    classes: tuple[str, ...] | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        return _class_names(self)

    def records(self, split: str) -> Sequence[boxed.Record]:
        root = _root(self, split)
        names = _names(root, split)
        files = [_annotation_file(root, name) for name in names]
        annotations = [_annotation(file) for file in files]
        ids = {name: place for place, name in enumerate(self.class_names)}
        if self.classes is None:
            for file, found in zip(files, annotations, strict=True):
                class_names.require_known(found.names, ids, file)
        folder = _folder(root, _IMAGES)
        images = image_files.by_stem(folder)
        missing = [name for name in names if name not in images]
        if missing:
            raise failures.DataError(
                f"{len(missing)} of {len(names)} annotated images of {split!r} are not "
                f"in {folder}: {image_files.few(missing)} (copy them there, or remove "
                "their names from the split)"
            )
        return [
            boxed.Record(
                image_id=f"{split}/{name}",
                image=images[name],
                annotation=str(file),
                size=found.size,
                objects=boxes.objects(
                    found.boxes,
                    [ids.get(label, -1) for label in found.names],
                    kinds=found.kinds,
                ),
            )
            for name, file, found in zip(names, files, annotations, strict=True)
        ]


@functools.lru_cache(maxsize=16)
def _class_names(dataset: VOC) -> tuple[str, ...]:
    path = pathlib.Path(dataset.data_dir).expanduser()
    for name in _NAMES:
        if (path / name).is_file():
            lines = text_file.read(path / name).splitlines()
            listed = tuple(line.strip() for line in lines if line.strip())
            return class_names.chosen(dataset.classes, listed, path / name)
    split = "train"
    root = _root(dataset, split)
    if not _has(root, split) and _has(_root(dataset, "val"), "val"):
        split, root = "val", _root(dataset, "val")
    found = {
        label
        for name in _names(root, split)
        for label in _annotation(_annotation_file(root, name)).names
    }
    return class_names.chosen(
        dataset.classes, sorted(found), _folder(root, _ANNOTATIONS)
    )


def _root(dataset: VOC, split: str) -> pathlib.Path:
    """The folder that holds those of images and annotations of a split."""
    root = pathlib.Path(dataset.data_dir).expanduser()
    if not root.is_dir():
        raise failures.DataError(
            f"{spelling.missing(root)}; dataset.data_dir must hold JPEGImages/, "
            "Annotations/ and ImageSets/Main/<split>.txt. To try the pipeline without "
            'data: --set "dataset = @SyntheticBoxes()"'
        )
    for name in _ANNOTATIONS:
        if (root / split / name).is_dir():
            return root / split
    return root


def _folder(root: pathlib.Path, names: Sequence[str]) -> pathlib.Path:
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise failures.DataError(
        f"{root} has no folder {' or '.join(names)}; want JPEGImages/*.jpg and "
        "Annotations/*.xml (dataset.data_dir)"
    )


def _has(root: pathlib.Path, split: str) -> bool:
    sets = root / "ImageSets" / "Main"
    return not sets.is_dir() or (sets / f"{split}.txt").is_file()


def _names(root: pathlib.Path, split: str) -> list[str]:
    """Names of the annotations of a split, without their ending."""
    sets = root / "ImageSets" / "Main"
    if sets.is_dir():
        path = sets / f"{split}.txt"
        if not path.is_file():
            known = sorted(file.stem for file in sets.glob("[!.]*.txt"))
            raise failures.DataError(
                f"{path} does not exist; {sets} lists {', '.join(known) or 'nothing'}"
            )
        lines = (line.strip() for line in text_file.read(path).splitlines())
        names = [image_files.stem(line) for line in lines if line]
        if len(set(names)) < len(names):
            repeated = next(name for name in names if names.count(name) > 1)
            raise failures.DataError(f"{path}: {repeated} is listed twice")
        return names
    folder = _folder(root, _ANNOTATIONS)
    names = sorted(file.stem for file in folder.glob("[!.]*.xml"))
    if root.name == split:
        return names
    if split not in ("train", "val"):
        raise failures.DataError(
            f"{root} has neither ImageSets/Main/{split}.txt nor {split}/Annotations; "
            "without them there are 'train' and 'val'"
        )
    chosen = image_files.held_out(names)
    return [name for name in names if (name in chosen) == (split == "val")]


def _annotation_file(root: pathlib.Path, name: str) -> pathlib.Path:
    path = _folder(root, _ANNOTATIONS) / f"{name}.xml"
    if not path.is_file():
        raise failures.DataError(
            f"{path} does not exist; an image without objects has a file without "
            "<object> (or remove its name from ImageSets/Main)"
        )
    return path


@functools.lru_cache(maxsize=65536)
def _annotation(path: pathlib.Path) -> Annotation:
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except ElementTree.ParseError as error:
        raise failures.DataError(
            f"{path}: not XML ({error}); export or copy it again"
        ) from error
    found = root.findall("object")
    return Annotation(
        size=_size(path, root),
        names=tuple(_name(path, element) for element in found),
        boxes=tuple(_box(path, element) for element in found),
        kinds=tuple(
            box_kinds.DIFFICULT
            if element.findtext("difficult", "0").strip() == "1"
            else box_kinds.OBJECT
            for element in found
        ),
    )


def _size(path: pathlib.Path, root: ElementTree.Element) -> boxes.Size | None:
    if root.find("size") is None:
        return None
    height, width = (
        int(_number(path, root, f"size/{side}")) for side in ("height", "width")
    )
    return (height, width) if height > 0 and width > 0 else None


def _name(path: pathlib.Path, element: ElementTree.Element) -> str:
    name = element.findtext("name", "").strip()
    if not name:
        raise failures.DataError(f"{path}: an object without <name>; give it one")
    return name


def _box(path: pathlib.Path, element: ElementTree.Element) -> tuple[float, ...]:
    if element.find("bndbox") is None:
        name = element.findtext("name", "")
        raise failures.DataError(
            f"{path}: object {name!r} has no <bndbox>; draw its box, or remove it"
        )
    ymin, xmin, ymax, xmax = (
        _number(path, element, f"bndbox/{side}") for side in _COORDINATES
    )
    if ymax <= ymin or xmax <= xmin:
        return ymin, xmin, ymin, xmin  # without area, which is counted and dropped
    # The edges of the first pixel: 1 in VOC, 0 where a tool counts from there.
    return max(ymin - 1, min(ymin, 0)), max(xmin - 1, min(xmin, 0)), ymax, xmax


def _number(path: pathlib.Path, element: ElementTree.Element, place: str) -> float:
    text = element.findtext(place)
    try:
        return float(text or "")
    except ValueError as error:
        raise failures.DataError(
            f"{path}: <{place}> is {text!r}; want a number of pixels"
        ) from error
