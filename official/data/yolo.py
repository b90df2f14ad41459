"""Boxes in the text files of YOLO: a file for an image, a line for an object."""

import dataclasses
import functools
import logging
import math
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from official import failures, spelling
from official.data import boxed, boxes, class_names, image_files, text_file, yaml_names

_OTHER_NAMES = {"val": ("valid", "validation", "test")}
_FOLDERS = (
    ("images/{split}", "labels/{split}"),
    ("{split}/images", "{split}/labels"),
    ("images/{split}2017", "labels/{split}2017"),
)
"""Where the images of a split are, and where their boxes."""

_NAMES = ("data.yaml", "dataset.yaml", "classes.txt", "labels/classes.txt")


class Line(NamedTuple):
    """An object: number of its class, box and area as shares (ymin, xmin, ...)."""

    number: int
    box: tuple[float, float, float, float]
    area: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class YOLO(boxed.BoxedDataset):
    """Images in `images/<split>/`, a text file for each in `labels/<split>/`.

    * A line is `class x y width height`, the number of a class and the center and sides
      of a box as shares of the image; or `class x y x y x y ...`, a polygon, around
      which the box goes. An image without a file, or with an empty one, has no object;
      a file without an image is an error.
    * `<split>/images/` and `<split>/labels/` may stand for these folders; "val" may be
      called "valid", "validation" or, failing those, "test", which is logged. Without
      folders of splits, a fifth of the images, chosen by a hash of their names, is
      "val".
    * Names of the classes are `names:` in `data.yaml`, or lines of `classes.txt`. Where
      `train:` or `val:` in `data.yaml` lead to other folders than these, that is an
      error; paths that are not on this machine count by how they end.
    * Shares are those of the upright image, as every tool that writes them shows it.

    Attributes:
        data_dir: Folder of all this.
        classes: Names of the classes to use, in the order of their ids; None uses all.
    """

    data_dir: str
    classes: tuple[str, ...] | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        path, names = _names(self)
        return class_names.chosen(self.classes, names, path)

    def records(self, split: str) -> Sequence[boxed.Record]:
        path, names = _names(self)
        known = self.class_names
        ids = [known.index(name) if name in known else -1 for name in names]
        images, labels = _folders(_root(self), split)
        _require_agreement(path, split, images)
        found, _ = image_files.within(images)
        if not found:
            raise failures.DataError(f"{images} has no image")
        _require_images(labels, images, found)
        if images.name == "images" and labels.parent == images.parent == _root(self):
            found = _share(found, split, images)
        files = [(labels / name).with_suffix(".txt") for name in found]
        if not any(file.is_file() for file in files):
            raise failures.DataError(
                f"{labels} has a text file for none of the {len(found)} images in "
                f"{images}; want {files[0].name} for {found[0]}, and so on"
            )
        return [
            boxed.Record(
                image_id=f"{split}/{name}",
                image=images / name,
                annotation=str(file),
                size=None,
                objects=_objects(_lines(file, names, path), ids),
            )
            for name, file in zip(found, files, strict=True)
        ]

    def objects(self, record: boxed.Record, size: boxes.Size) -> boxes.Objects:
        found, (height, width) = record.objects, size
        return dataclasses.replace(
            found,
            boxes=found.boxes * [height, width, height, width],
            areas=found.areas * height * width,
        )


def _objects(lines: Sequence[Line], ids: Sequence[int]) -> boxes.Objects:
    return boxes.objects(
        [line.box for line in lines],
        [ids[line.number] for line in lines],
        areas=[line.area for line in lines],
    )


def _root(dataset: YOLO) -> pathlib.Path:
    root = pathlib.Path(dataset.data_dir).expanduser()
    if not root.is_dir():
        raise failures.DataError(
            f"{spelling.missing(root)}; dataset.data_dir must hold images/<split>/, "
            "labels/<split>/ (a text file for each image) and data.yaml or "
            'classes.txt. To try the pipeline without data: --set "dataset = '
            '@SyntheticBoxes()"'
        )
    return root


@functools.lru_cache(maxsize=16)
def _names(dataset: YOLO) -> tuple[pathlib.Path, tuple[str, ...]]:
    """The file with the names of the classes, and all names in it."""
    root = _root(dataset)
    for name in _NAMES:
        if (root / name).is_file():
            return root / name, yaml_names.read(root / name)
    raise failures.DataError(
        f"{root} has neither data.yaml nor classes.txt: write the names of the classes "
        "into classes.txt, a line each, in the order of their numbers"
    )


def _folders(root: pathlib.Path, split: str) -> tuple[pathlib.Path, pathlib.Path]:
    """The folders of images and of text files of a split."""
    for name in (split, *_OTHER_NAMES.get(split, ())):
        for pictures, texts in _FOLDERS:
            folder = root / pictures.replace("{split}", name)
            if folder.is_dir():
                if name == "test" != split:
                    logging.getLogger(__name__).warning(
                        "%s has no split %r: %s stands for it, so figures of the test "
                        "data are no longer those of unseen data",
                        root,
                        split,
                        folder,
                    )
                return folder, root / texts.replace("{split}", name)
    images = root / "images"
    if not images.is_dir():
        raise failures.DataError(
            f"{root} has neither images/{split}/ nor {split}/images/ (dataset.data_dir)"
        )
    splits = sorted(path.name for path in images.iterdir() if path.is_dir())
    if splits:
        raise failures.DataError(
            f"{images} has no split {split!r}; it has {', '.join(splits)}"
        )
    return images, root / "labels"


def _require_agreement(path: pathlib.Path, split: str, images: pathlib.Path) -> None:
    """Refuses folders other than those that `data.yaml` names."""
    if path.suffix == ".txt":
        return
    root = path.parent
    below = yaml_names.value(path, "path") or "."
    for key in (split, *_OTHER_NAMES.get(split, ())):
        text = yaml_names.value(path, key)
        if text is None or key == "test" != split:
            continue
        written = pathlib.PurePosixPath(text.replace("\\", "/"))
        named = [root / below / written, root / written]
        # Paths of another machine, and Roboflow's ../train/images beside train/images.
        parts = images.relative_to(root).parts
        found = [folder for folder in named if folder.exists()]
        if found:
            agree = any(folder.samefile(images) for folder in found)
        else:
            agree = written.parts[-len(parts) :] == parts
        if not agree:
            raise failures.DataError(
                f"{path}: {key}: {text!r:.80} is not {images}, which would be read; "
                "lay the images there, or correct or remove the line"
            )


def _require_images(
    labels: pathlib.Path, images: pathlib.Path, names: Sequence[str]
) -> None:
    """Refuses text files whose image is missing."""
    expected = {pathlib.PurePosixPath(name).with_suffix("") for name in names}
    _, others = image_files.within(labels)
    texts = [name for name in others if name.endswith(".txt") and name not in _NAMES]
    missing = [
        name
        for name in texts
        if pathlib.PurePosixPath(name).with_suffix("") not in expected
    ]
    if missing:
        raise failures.DataError(
            f"{labels}: the images of {len(missing)} of its {len(texts)} text files "
            f"are not in {images}: {image_files.few(missing)} (copy them there, or "
            "remove these files)"
        )


def _share(names: Sequence[str], split: str, images: pathlib.Path) -> list[str]:
    if split not in ("train", "val"):
        raise failures.DataError(
            f"{images} has no folders of splits, so there is no split {split!r}; there "
            "are 'train' and 'val'"
        )
    chosen = image_files.held_out(names)
    return [name for name in names if (name in chosen) == (split == "val")]


def _lines(
    path: pathlib.Path, names: Sequence[str], source: pathlib.Path
) -> list[Line]:
    if not path.is_file():
        return []
    found = []
    for number, text in enumerate(text_file.read(path).splitlines(), start=1):
        if not text.strip():
            continue
        line = _line(text, where=f"{path}:{number}")
        if not 0 <= line.number < len(names):
            raise failures.DataError(
                f"{path}:{number}: class {line.number}; {source} names "
                f"{len(names)}, 0 to {len(names) - 1}"
            )
        found.append(line)
    return found


def _line(text: str, *, where: str) -> Line:
    words = text.split()
    try:
        number, values = int(words[0]), [float(word) for word in words[1:]]
    except ValueError as error:
        raise failures.DataError(
            f"{where}: {text.strip()!r:.60}: want the number of a class, and numbers"
        ) from error
    if len(values) == 4:
        x, y, width, height = values
        box = (y - height / 2, x - width / 2, y + height / 2, x + width / 2)
        return Line(number, box, math.nan)
    if len(values) < 6 or len(values) % 2:
        raise failures.DataError(
            f"{where}: {len(values)} numbers after the class; want x y width height, "
            "or three points or more of a polygon"
        )
    across, down = np.array(values[0::2]), np.array(values[1::2])
    twice = np.dot(across, np.roll(down, 1)) - np.dot(down, np.roll(across, 1))
    box = (min(down), min(across), max(down), max(across))
    return Line(number, box, abs(float(twice)) / 2 or math.nan)
