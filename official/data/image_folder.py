"""Anyone's photographs, in a folder for each class."""

import dataclasses
import functools
import logging
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from official import failures, spelling
from official.data import base, decoding, encoded, image_files, indexed, palettes

_OTHER_NAMES = {"val": ("validation", "valid", "test")}
"""What others call a split of ours, the best first."""


class Record(NamedTuple):
    """`path` is that of the image within the data folder."""

    path: str
    label: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageFolder(indexed.IndexedDataset):
    """Images in `<split>/<class>/`, or in `<class>/` alone.

    * Without folders of splits, a fifth of the images of each class, chosen by a hash
      of their names, is "val" and the rest "train". (Frames of one video then fall on
      both sides: such data needs folders.)
    * "val" may be called "validation", "valid" or, failing those, "test".
    * The classes are the folders of "train", sorted by name; other splits may lack
      some of them, which is said, and have no others.
    * Folders within the folder of a class belong to it.
    * Files that are no images are counted and left out; hidden ones are ignored.

    Attributes:
        data_dir: Folder of all this.
        classes: Names of the folders to use, in the order of their ids; None uses all.
    """

    data_dir: str
    classes: tuple[str, ...] | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        return _class_names(self)

    @property
    def palette(self) -> Sequence[base.Color]:
        return palettes.distinct(self.num_classes)

    def records(self, split: str) -> Sequence[Record]:
        names = self.class_names
        root = _root(self)
        splits = _splits(root)
        folder = root if splits is None else root / _split_name(split, splits, root)
        self._require_known(folder)
        present = [name for name in names if (folder / name).is_dir()]
        _warn(set(names) - set(present), f"classes have no folder in {folder}")
        records: list[Record] = []
        empty: list[str] = []
        stray = [p.name for p in _visible(folder) if not p.is_dir()]
        for name in present:
            images, others = image_files.within(folder / name)
            stray += [f"{name}/{other}" for other in others]
            if not images:
                empty.append(name)
            if splits is None:
                images = _share(images, split, root)
            prefix = folder.relative_to(root) / name
            label = names.index(name)
            records += [Record((prefix / i).as_posix(), label) for i in images]
        _warn(stray, f"files in {folder} are no images of a class, and left out")
        _warn(empty, f"folders of classes in {folder} hold no image")
        if not records:
            raise failures.DataError(
                f"{folder} has no image <class>/*; want the endings "
                f"{', '.join(sorted(decoding.SUFFIXES))}"
            )
        return records

    def read(self, record: Record) -> dict[str, Any]:
        path = pathlib.Path(self.data_dir).expanduser() / record.path
        return {
            "image": encoded.read(path),
            "label": record.label,
            "image_id": record.path,
        }

    def _require_known(self, folder: pathlib.Path) -> None:
        """Refuses classes that "train" has not; those not in `classes` are left out."""
        unknown = sorted(set(_folders(folder)) - set(self.class_names))
        if self.classes is not None:
            _warn(unknown, f"folders in {folder} are not in dataset.classes")
        elif unknown:
            near = spelling.hint(unknown[0], self.class_names)
            raise failures.DataError(
                f"{folder}: class {image_files.few(unknown)} is not in "
                f"{_root(self) / 'train'}{near} (rename or remove the folder)"
            )


@functools.lru_cache(maxsize=16)
def _class_names(dataset: ImageFolder) -> tuple[str, ...]:
    root = _root(dataset)
    splits = _splits(root)
    if splits is None:
        found, where = _folders(root), root
    elif "train" in splits:
        found, where = _folders(root / "train"), root / "train"
    else:
        found = sorted({name for s in splits for name in _folders(root / s)})
        where = root
    if dataset.classes is None:
        return tuple(found)
    if not dataset.classes or len(set(dataset.classes)) < len(dataset.classes):
        raise failures.DataError(
            f"dataset.classes = {dataset.classes!r}: want names, each once"
        )
    for name in dataset.classes:
        if name not in found:
            raise failures.DataError(
                f"dataset.classes: {where} has no folder {name!r}"
                f"{spelling.hint(name, found)}"
            )
    return dataset.classes


def _root(dataset: ImageFolder) -> pathlib.Path:
    root = pathlib.Path(dataset.data_dir).expanduser()
    if not root.is_dir():
        raise failures.DataError(
            f"{spelling.missing(root)}; dataset.data_dir must hold a folder of images "
            "for each class: <class>/*.jpg, or train/<class>/*.jpg and "
            "val/<class>/*.jpg. "
            'To try the pipeline without data: --set "dataset = @SyntheticCrops()"'
        )
    return root


def _splits(root: pathlib.Path) -> list[str] | None:
    """Names of the folders of splits; None where the folders are those of classes."""
    folders = _folders(root)
    if not folders:
        raise failures.DataError(
            f"{root} holds no folders; dataset.data_dir must hold a folder of images "
            "for each class: <class>/*.jpg, or train/<class>/*.jpg and "
            "val/<class>/*.jpg"
        )
    nested = [name for name in folders if _folders(root / name)]
    if "train" in nested:
        return nested
    flat = [name for name in folders if _holds_image(root / name)]
    return None if flat or not nested else nested


def _holds_image(folder: pathlib.Path) -> bool:
    return any(image_files.is_image(path.name) for path in _visible(folder))


def _visible(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _folders(folder: pathlib.Path) -> list[str]:
    return [path.name for path in _visible(folder) if path.is_dir()]


def _split_name(split: str, splits: Sequence[str], root: pathlib.Path) -> str:
    names = (split, *_OTHER_NAMES.get(split, ()))
    for name in names:
        if name in splits:
            return name
    for name in names:
        if (root / name).is_dir():
            raise failures.DataError(
                f"{root / name} holds no folders of classes; its images go into "
                f"{root / name}/<class>/"
            )
    raise failures.DataError(
        f"{root} has no split {split!r}; it has {', '.join(splits)} (with folders of "
        "classes alone, a fifth of the images would be 'val')"
    )


def _share(images: Sequence[str], split: str, root: pathlib.Path) -> list[str]:
    if split not in ("train", "val"):
        raise failures.DataError(
            f"{root} holds folders of classes, so there is no split {split!r}; "
            "there are 'train' and 'val'"
        )
    chosen = image_files.held_out(images)
    return [name for name in images if (name in chosen) == (split == "val")]


def _warn(names: Sequence[str] | set[str], what: str) -> None:
    if names:
        few = image_files.few(names)
        logging.getLogger(__name__).warning("%d %s: %s", len(names), what, few)
