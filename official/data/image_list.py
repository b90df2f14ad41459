"""Photographs with their classes in a table, a CSV file for each split."""

import dataclasses
import functools
import logging
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from official import failures, spelling
from official.data import base, csv_table, encoded, image_files, indexed, palettes

_SPLIT = "{split}"
_MOST_UNUSED = 1000
"""Class numbers without a row, beyond as many as have some, that are believed."""


class Row(NamedTuple):
    """A row of a table: number of its line, image, and labels as they are written."""

    line: int
    file: str
    labels: tuple[str, ...]


class Record(NamedTuple):
    """`class_ids` has one number unless an image may have several labels."""

    image_id: str
    image: pathlib.Path
    class_ids: tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageList(indexed.IndexedDataset):
    """Images that a CSV file names, with their labels.

        ImageList(data_dir="birds", table="{split}.csv")

    reads `birds/train.csv`, whose first line is `file,label`, and images in
    `birds/images/`. Where `table` and `images` have no `{split}` in them, a fifth of
    the rows, chosen by a hash of the names, is "val" and the rest "train". A label is
    the name of a class, or its number. Commas, semicolons or tabs part the columns.

    Attributes:
        data_dir: Folder of all this.
        table: Path of the CSV file in it; `{split}` stands for the split.
        images: Folder of the images in it, likewise.
        file_column: Column with the path of an image in that folder.
        label_column: Column with the label.
        separator: What parts the labels where a cell holds several (or none); None
            says that each image has exactly one.
        classes: Names of the classes, in the order of their ids. None takes those in
            the table of "train": names in the order of the alphabet, or numbers from 0.
    """

    data_dir: str
    table: str = "{split}.csv"
    images: str = "images"
    file_column: str = "file"
    label_column: str = "label"
    separator: str | None = None
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.separator is not None and not self.separator.strip():
            raise failures.RequestError(
                f"ImageList: separator = {self.separator!r}; want for example ';'"
            )

    @property
    def class_names(self) -> tuple[str, ...]:
        return _class_names(self)

    @property
    def palette(self) -> Sequence[base.Color]:
        return palettes.distinct(self.num_classes)

    def records(self, split: str) -> Sequence[Record]:
        path, rows = self.path(split), self.rows(split)
        ids = {name: number for number, name in enumerate(self.class_names)}
        root = pathlib.Path(self.data_dir).expanduser()
        folder = root / self.images.replace(_SPLIT, split)
        if not folder.is_dir():
            raise failures.DataError(
                f"{spelling.missing(folder)}; set dataset.images to the folder of the "
                f"images that {path} names"
            )
        _require_files(path, rows, folder)
        return [
            Record(
                f"{split}/{row.file}",
                folder / row.file,
                tuple(_class_id(path, row, label, ids) for label in row.labels),
            )
            for row in rows
        ]

    def read(self, record: Record) -> dict[str, Any]:
        example = {
            "image": encoded.read(record.image),
            "image_id": record.image_id,
        }
        if self.separator is None:
            return {**example, "label": record.class_ids[0]}
        labels = np.zeros(self.num_classes, np.float32)
        labels[list(record.class_ids)] = 1.0
        return {**example, "labels": labels}

    def path(self, split: str) -> pathlib.Path:
        """The table of a split.

        Raises:
            failures.DataError: If there is none.
        """
        root = pathlib.Path(self.data_dir).expanduser()
        path = root / self.table.replace(_SPLIT, split)
        if not path.is_file():
            missing = path if root.is_dir() else root
            raise failures.DataError(
                f"{spelling.missing(missing)} (dataset.data_dir, dataset.table = "
                f"{self.table!r}, split {split!r}); the table is a CSV file with "
                f"the columns {self.file_column},{self.label_column}"
            )
        return path

    def rows(self, split: str) -> Sequence[Row]:
        """The rows of a split.

        Raises:
            failures.DataError: If there is no such split, or its table is faulty.
        """
        path = self.path(split)
        rows = _rows(self, path)
        if _SPLIT in self.table:
            return rows
        if split not in ("train", "val"):
            raise failures.DataError(
                f"{path} is the only table (dataset.table has no {_SPLIT}), so there "
                f"is no split {split!r}; there are 'train' and 'val'"
            )
        chosen = image_files.held_out(row.file for row in rows)
        return [row for row in rows if (row.file in chosen) == (split == "val")]


@functools.lru_cache(maxsize=16)
def _class_names(dataset: ImageList) -> tuple[str, ...]:
    if dataset.classes is not None:
        if not dataset.classes or len(set(dataset.classes)) < len(dataset.classes):
            raise failures.DataError(
                f"dataset.classes = {dataset.classes!r}: want names, each once"
            )
        return dataset.classes
    path = dataset.path("train")
    found = {label for row in _rows(dataset, path) for label in row.labels}
    if not found:
        raise failures.DataError(f"{path} has no label in any row")
    if not all(label.isdecimal() for label in found):
        return tuple(sorted(found))
    largest = max(map(int, found))
    if largest >= _MOST_UNUSED + 2 * len(found):
        raise failures.DataError(
            f"{path}: column {dataset.label_column!r} holds {len(found)} numbers up to "
            f"{largest}, which are no class numbers; set dataset.label_column, or "
            "dataset.classes to their names"
        )
    names = tuple(str(number) for number in range(largest + 1))
    absent = set(names) - {str(int(label)) for label in found}
    if absent:
        logging.getLogger(__name__).warning(
            "%s: classes are numbers from 0, and %d of %d have no row: %s",
            path,
            len(absent),
            len(names),
            image_files.few(absent),
        )
    return names


def _class_id(path: pathlib.Path, row: Row, label: str, ids: dict[str, int]) -> int:
    if label in ids:
        return ids[label]
    if label.isdecimal():
        if (plain := str(int(label))) in ids:
            return ids[plain]
        # Where names are numbers themselves, another number is no class.
        if int(label) < len(ids) and not any(name.isdecimal() for name in ids):
            return int(label)
    raise failures.DataError(
        f"{path}:{row.line}: label {label!r} is not a class"
        f"{spelling.hint(label, ids)} (there are {len(ids)}: "
        f"{', '.join(list(ids)[:3])}{', ...' if len(ids) > 3 else ''}; numbers go "
        f"from 0 to {len(ids) - 1})"
    )


@functools.lru_cache(maxsize=8)
def _rows(dataset: ImageList, path: pathlib.Path) -> Sequence[Row]:
    """All rows of a table, checked by themselves."""
    table = csv_table.read(path)
    places = [
        table.place(dataset.file_column, "file_column"),
        table.place(dataset.label_column, "label_column"),
    ]
    rows: list[Row] = []
    lines: dict[str, int] = {}
    for line, (file, text) in table.picked(places):
        where = f"{path}:{line}"
        if not file:
            raise failures.DataError(f"{where}: names no image")
        if file in lines:
            raise failures.DataError(
                f"{where}: {file} is in line {lines[file]} already; several labels of "
                "an image go into one cell (dataset.separator)"
            )
        lines[file] = line
        labels = _labels(text, dataset.separator, where=where)
        rows.append(Row(line, file, labels))
    return rows


def _labels(text: str, separator: str | None, *, where: str) -> tuple[str, ...]:
    if separator is not None:
        labels = (label.strip() for label in text.split(separator))
        return tuple(label for label in labels if label)
    if not text:
        raise failures.DataError(
            f"{where}: the label is empty; remove the row, or set dataset.separator if "
            "an image may have any number of labels"
        )
    return (text,)


def _require_files(
    path: pathlib.Path, rows: Sequence[Row], folder: pathlib.Path
) -> None:
    missing = [row for row in rows if not (folder / row.file).is_file()]
    if missing:
        raise failures.DataError(
            f"{path}:{missing[0].line}: {folder / missing[0].file} does not exist "
            f"({len(missing)} of {len(rows)} rows name no image in {folder}; "
            "dataset.images)"
        )
