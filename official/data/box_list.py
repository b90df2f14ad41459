"""Images with boxes in a table, a CSV file with a row for each box."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from official import failures, spelling
from official.data import boxed, boxes, class_names, csv_table, image_files

_CORNERS = ("ymin", "xmin", "ymax", "xmax")
_SIZE = ("height", "width")
_SPLIT = "split"
_OTHER_FORMATS = {
    "VOC": ("JPEGImages/", "Annotations/*.xml", "annotations/*.xml"),
    "COCODetection": ("annotations/*.json",),
    "YOLO": ("data.yaml", "dataset.yaml", "labels/"),
}
"""What tells of the data of other datasets."""


class Row(NamedTuple):
    """A row of the table; without a class, it says that the image has no object."""

    line: int
    image: str
    split: str | None
    name: str | None
    box: tuple[float, ...]
    size: boxes.Size | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxList(boxed.BoxedDataset):
    """Images in a folder, their boxes in a CSV file.

        BoxList(data_dir="birds")

    reads `birds/boxes.csv`, whose first line has the columns

        image,class,xmin,ymin,xmax,ymax

    in any order and among others, and images in `birds/images/`. Numbers are pixels
    from the upper left corner of the upright image; xmax and ymax are where the object
    ends. A row without class and numbers keeps an image that has no object. Columns
    `width` and `height` are compared with the image, a column `split` says to which
    split an image belongs, in each of its rows; without it, a fifth of the images,
    chosen by a hash of their names, is "val" and the rest "train". Commas, semicolons
    or tabs part the columns.

    Attributes:
        data_dir: Folder of all this.
        table: Path of the CSV file in it.
        images: Folder of the images in it.
        image_column: Column with the path of an image in that folder.
        class_column: Column with the name of a class.
        classes: Names of the classes to use, in the order of their ids. None takes all
            in the rows of "train", in the order of the alphabet.
    """

    data_dir: str
    table: str = "boxes.csv"
    images: str = "images"
    image_column: str = "image"
    class_column: str = "class"
    classes: tuple[str, ...] | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        rows = _split_rows(self, "train")
        found = {row.name for row in rows if row.name is not None}
        return class_names.chosen(self.classes, sorted(found), _path(self))

    def records(self, split: str) -> Sequence[boxed.Record]:
        path, rows = _path(self), _split_rows(self, split)
        ids = {name: place for place, name in enumerate(self.class_names)}
        by_image: dict[str, list[Row]] = {}
        for row in rows:
            by_image.setdefault(row.image, []).append(row)
            if self.classes is None and row.name is not None:
                class_names.require_known([row.name], ids, f"{path}:{row.line}")
        folder = pathlib.Path(self.data_dir).expanduser() / self.images
        if not folder.is_dir():
            raise failures.DataError(
                f"{spelling.missing(folder)}; set dataset.images to the folder of the "
                f"images that {path} names"
            )
        image_files.require(folder, by_image, source=str(path))
        return [
            boxed.Record(
                image_id=f"{split}/{name}",
                image=folder / name,
                annotation=f"{path}:{found[0].line}",
                size=found[0].size,
                objects=_objects(found, ids),
            )
            for name, found in by_image.items()
        ]


def _objects(rows: Sequence[Row], ids: dict[str, int]) -> boxes.Objects:
    found = [(row.box, ids.get(row.name, -1)) for row in rows if row.name is not None]
    return boxes.objects([box for box, _ in found], [number for _, number in found])


def _path(dataset: BoxList) -> pathlib.Path:
    root = pathlib.Path(dataset.data_dir).expanduser()
    path = root / dataset.table
    if not path.is_file():
        missing = path if root.is_dir() else root
        raise failures.DataError(
            f"{spelling.missing(missing)} (dataset.data_dir, dataset.table = "
            f"{dataset.table!r}); the table is a CSV file with the columns "
            f"{dataset.image_column},{dataset.class_column},xmin,ymin,xmax,ymax"
            f"{_other_format(root)}"
        )
    return path


def _other_format(root: pathlib.Path) -> str:
    """The dataset that reads what lies in a folder instead, as the end of a message."""
    for name, patterns in _OTHER_FORMATS.items():
        if found := next((p for p in patterns if next(root.glob(p), None)), None):
            return (
                f". {root} has {found}: to read it, set dataset = "
                f"@{name}(data_dir={str(root)!r})"
            )
    return ""


def _split_rows(dataset: BoxList, split: str) -> Sequence[Row]:
    rows = _rows(dataset)
    named = sorted({row.split for row in rows if row.split is not None})
    if named:
        if split not in named:
            raise failures.DataError(
                f"{_path(dataset)}: no row of split {split!r}; column {_SPLIT!r} has "
                f"{', '.join(named)}"
            )
        return [row for row in rows if row.split == split]
    if split not in ("train", "val"):
        raise failures.DataError(
            f"{_path(dataset)} has no column {_SPLIT!r}, so there is no split "
            f"{split!r}; there are 'train' and 'val'"
        )
    chosen = image_files.held_out(row.image for row in rows)
    return [row for row in rows if (row.image in chosen) == (split == "val")]


@functools.lru_cache(maxsize=8)
def _rows(dataset: BoxList) -> Sequence[Row]:
    path = _path(dataset)
    table = csv_table.read(path)
    columns = [dataset.image_column, dataset.class_column, *_CORNERS]
    fields = ["image_column", "class_column", *["table"] * len(_CORNERS)]
    places = [
        table.place(column, field)
        for column, field in zip(columns, fields, strict=True)
    ]
    optional = [name for name in (*_SIZE, _SPLIT) if name in table.columns]
    places += [table.columns.index(name) for name in optional]
    rows = [
        _row(f"{path}:{line}", line, cells, optional)
        for line, cells in table.picked(places)
    ]
    _require_one_split(path, rows)
    return rows


def _require_one_split(path: pathlib.Path, rows: Sequence[Row]) -> None:
    first: dict[str, Row] = {}
    for row in rows:
        seen = first.setdefault(row.image, row)
        if seen.split != row.split:
            raise failures.DataError(
                f"{path}:{row.line}: {row.image} is in split {row.split!r} here, and "
                f"in {seen.split!r} in line {seen.line}; give all its rows one split"
            )


def _row(where: str, line: int, cells: list[str], optional: list[str]) -> Row:
    image, name, *numbers = cells[: 2 + len(_CORNERS)]
    extra = dict(zip(optional, cells[2 + len(_CORNERS) :], strict=True))
    if not image:
        raise failures.DataError(f"{where}: names no image")
    if extra.get(_SPLIT) == "":
        raise failures.DataError(
            f"{where}: {_SPLIT} is empty, so {image} would be in none; name its split"
        )
    size = _size(where, extra)
    if not name and not any(numbers):
        return Row(line, image, extra.get(_SPLIT), None, (), size)
    if not name:
        raise failures.DataError(f"{where}: a box without a class")
    box = tuple(
        _number(where, side, text) for side, text in zip(_CORNERS, numbers, strict=True)
    )
    return Row(line, image, extra.get(_SPLIT), name, box, size)


def _size(where: str, cells: dict[str, str]) -> boxes.Size | None:
    given = [side for side in _SIZE if cells.get(side)]
    if not given:
        return None
    if len(given) == 1:
        (other,) = {*_SIZE} - {*given}
        raise failures.DataError(
            f"{where}: {given[0]} without {other}, so the size of the image cannot be "
            "checked; give both, or neither"
        )
    height, width = (_number(where, side, cells[side]) for side in _SIZE)
    return int(height), int(width)


def _number(where: str, column: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise failures.DataError(
            f"{where}: {column} is {text!r}; want a number of pixels"
        ) from error
