"""Anyone's images and label masks, in folders."""

import dataclasses
import functools
import hashlib
import logging
import pathlib
from collections.abc import Iterable, Sequence
from concurrent import futures
from typing import Any, NamedTuple

import numpy as np

from official import failures, spelling
from official.data import (
    base,
    class_list,
    decoding,
    encoded,
    indexed,
    label_maps,
    text_file,
)

_VALIDATION_SHARE = 0.2
_SHOWN = 3  # names in a message


class Record(NamedTuple):
    image_id: str
    image: pathlib.Path
    mask: pathlib.Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskFolder(indexed.IndexedDataset):
    """Images in `images/<split>/`, masks of the same name in `labels/<split>/*.png`.

    * `masks/` may stand for `labels/`, and where there is none of them `semantic/` or,
      failing that, `annotations/`.
    * A file `<split>.txt` beside them, a name (without ending) a line, picks the
      examples of the split and gives their order.
    * Without folders of splits the lists decide; without lists either, a fifth of the
      images, chosen by a hash of their names, is "val" and the rest "train". (Frames
      of one video then fall on both sides: such data needs lists.)
    * A mask holds the number of a class for each pixel, or its color.
    * The classes stand in `classes.json` or `classes.txt`: see `class_list.read`.
    * Hidden files and folders, whose names start with a dot, are none of these.

    Attributes:
        data_dir: Folder of all this.
        classes: Names of the classes, instead of those in a file.
        ignore_label: The number that masks store where a pixel is unlabelled, besides
            255; None takes what `classes.json` says.
    """

    data_dir: str
    classes: tuple[str, ...] | None = None
    ignore_label: int | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        return classes_of(self).names

    @property
    def palette(self) -> Sequence[base.Color]:
        return classes_of(self).palette

    def records(self, split: str) -> Sequence[Record]:
        classes_of(self)
        root = pathlib.Path(self.data_dir).expanduser()
        images, masks = _image_root(root), _mask_root(root)
        names = _listed(root, split)
        if splits := _folders(images):
            _require_split(split, splits, images)
            images, masks = images / split, masks / split
        elif names is None:
            names = _hashed(root, split, images)
        by_name = _by_name(images)
        stray = names_in(masks) - by_name.keys()
        if names is None:
            names = sorted(by_name)
            if stray:
                logging.getLogger(__name__).warning(
                    "%d masks in %s have no image: %s", len(stray), masks, _few(stray)
                )
        require(names, by_name, f"named in {root / split}.txt are not in {images}")
        require(names, names_in(masks), f"in {images} have no mask {masks}/<name>.png")
        records = [
            Record(f"{split}/{name}", by_name[name], masks / f"{name}.png")
            for name in names
        ]
        require_sizes([(record.image, record.mask) for record in records])
        return records

    def read(self, record: Record) -> dict[str, Any]:
        image = encoded.read(record.image)
        semantic = self.read_mask(record.mask)
        label_maps.require_same_size(image, semantic, path=record.mask)
        return {"image": image, "semantic": semantic, "image_id": record.image_id}

    def glance(self, record: Record) -> dict[str, Any]:
        return {"image": encoded.read(record.image), "image_id": record.image_id}

    def read_mask(self, path: pathlib.Path) -> np.ndarray:
        """The classes in a file, int32 `[H, W]`.

        Raises:
            failures.DataError: If it holds what is no class.
        """
        classes = classes_of(self)
        if not decoding.header(path).color:
            stored = decoding.label_map(path)
            return label_maps.from_numbers(stored, classes.numbers, path=path)
        if not classes.colors:
            raise failures.DataError(
                f"{path}: holds colors, and the list of classes has none: "
                f"{_where_colors_go(pathlib.Path(self.data_dir).expanduser())}"
            )
        return label_maps.from_colors(decoding.image(path), classes.colors, path=path)


@functools.lru_cache(maxsize=16)
def classes_of(dataset: MaskFolder) -> class_list.ClassList:
    """The list of the dataset's classes.

    Raises:
        failures.DataError: If there is none, or a faulty one.
    """
    if dataset.classes is not None:
        return class_list.make(
            dataset.classes,
            None,
            ignore_label=dataset.ignore_label,
            source="dataset.classes",
        )
    folder = pathlib.Path(dataset.data_dir).expanduser()
    _image_root(folder)  # where all is missing, that is what to say
    return class_list.read(folder, ignore_label=dataset.ignore_label)


def _where_colors_go(root: pathlib.Path) -> str:
    if (root / "classes.json").exists():
        return f'add "palette": [[r, g, b], ...] to {root / "classes.json"}'
    return f"write lines 'name r g b' into {root / 'classes.txt'}"


def _image_root(root: pathlib.Path) -> pathlib.Path:
    if not (root / "images").is_dir():
        missing = root if not root.is_dir() else root / "images"
        raise failures.DataError(
            f"{spelling.missing(missing)}; dataset.data_dir = {str(root)!r} must hold "
            "images/, masks/ (PNG, same names) and classes.txt, or images/<split>/ and "
            "masks/<split>/. To try the pipeline without data: "
            '--set "dataset = @SyntheticStreets()"'
        )
    return root / "images"


def _folders(images: pathlib.Path) -> list[str]:
    return sorted(path.name for path in _visible(images) if path.is_dir())


def _visible(folder: pathlib.Path) -> list[pathlib.Path]:
    """What a folder holds, but for hidden files (of editors, notebooks, macOS)."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _mask_root(root: pathlib.Path) -> pathlib.Path:
    for names in (("labels", "masks"), ("semantic",), ("annotations",)):
        if any((root / name).is_dir() for name in names):
            return folder_of(root, names, what="the masks")
    return folder_of(root, ("labels", "masks"), what="the masks")


def folder_of(root: pathlib.Path, names: Sequence[str], *, what: str) -> pathlib.Path:
    """The one folder in `root` that has one of some names.

    Raises:
        failures.DataError: If there is none, or more than one.
    """
    found = [name for name in names if (root / name).is_dir()]
    if len(found) != 1:
        have = f"neither {' nor '.join(names)}" if not found else " and ".join(found)
        both = "both " if found else ""
        raise failures.DataError(f"{root} has {both}{have}; {what} go into one of them")
    return root / found[0]


def _listed(root: pathlib.Path, split: str) -> list[str] | None:
    """The names in `<split>.txt`, endings dropped; None if there is no such file."""
    path = root / f"{split}.txt"
    if not path.is_file() or split == "classes":
        return None
    lines = text_file.read(path).split("\n")
    names = [_name(pathlib.PurePath(line.strip())) for line in lines if line.strip()]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise failures.DataError(f"{path}: {repeated} is listed twice")
    return names


def _name(path: pathlib.PurePath) -> str:
    return path.stem if path.suffix.lower() in decoding.SUFFIXES else path.name


def _hashed(root: pathlib.Path, split: str, images: pathlib.Path) -> list[str]:
    lists = sorted(p.stem for p in root.glob("[!.]*.txt") if p.stem != "classes")
    _require_split(split, lists or ["train", "val"], root)
    names = sorted(_by_name(images), key=lambda n: hashlib.sha256(n.encode()).digest())
    count = max(1, round(len(names) * _VALIDATION_SHARE))
    return sorted(names[:count] if split == "val" else names[count:])


def _require_split(split: str, splits: Sequence[str], where: pathlib.Path) -> None:
    if split not in splits:
        raise failures.DataError(
            f"{where} has no split {split!r}; it has {', '.join(splits)} (set "
            "train.split and eval.split; without any folders or lists of splits, a "
            "fifth of the images is 'val')"
        )


def _by_name(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """The images of a folder by name without ending."""
    by_name: dict[str, pathlib.Path] = {}
    for path in _visible(folder):
        if path.suffix.lower() not in decoding.SUFFIXES:
            continue
        if path.stem in by_name:
            raise failures.DataError(
                f"{by_name[path.stem]} and {path} have the same name; rename one"
            )
        by_name[path.stem] = path
    if not by_name:
        raise failures.DataError(
            f"{folder} has no image; want {', '.join(sorted(decoding.SUFFIXES))}"
        )
    return by_name


def names_in(masks: pathlib.Path) -> set[str]:
    """Names of the PNG files in a folder, without their ending."""
    return {path.stem for path in masks.glob("[!.]*.png")}  # none without the folder


def require(names: Sequence[str], present: Iterable[str], what: str) -> None:
    """Refuses images whose names are not present; `what` says of them what is wrong.

    Raises:
        failures.DataError: Names the first.
    """
    missing = set(names) - set(present)
    if missing:
        raise failures.DataError(
            f"{len(missing)} of {len(names)} images {what}: {_few(missing)}"
        )


def _few(names: Iterable[str]) -> str:
    names = sorted(names)
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def require_sizes(pairs: Sequence[tuple[pathlib.Path, pathlib.Path]]) -> None:
    """Compares the sizes of images and their masks by their headers.

    In threads: folders may lie far away.

    Raises:
        failures.DataError: If one differs; names the first.
    """

    def sizes(pair: tuple[pathlib.Path, pathlib.Path]) -> list[str]:
        headers = [decoding.header(path) for path in pair]
        return [f"{header.width}x{header.height}" for header in headers]

    with futures.ThreadPoolExecutor(max_workers=8) as pool:
        found = zip(pairs, pool.map(sizes, pairs), strict=True)
        wrong = [(pair, both) for pair, both in found if both[0] != both[1]]
    if wrong:
        (image, mask), (given, other) = wrong[0]
        raise failures.DataError(
            f"{len(wrong)} of {len(pairs)} masks differ in size from their image: "
            f"{mask} is {other}, {image} {given} (width x height)"
        )
