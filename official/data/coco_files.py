"""Where the files of data in COCO's forms are looked for."""

import pathlib
from collections.abc import Iterator, Sequence

from official import failures
from official.data import image_files

SPLIT = "{split}"
"""Stands for the split in a pattern."""

IMAGES = (
    "images/{split}",
    "{split}2017",
    "{split}2014",
    "images/{split}2017",
    "images/{split}2014",
    "{split}/images",
    "{split}",
    "images",
    "JPEGImages",
    ".",
)
"""Folders of images, in this order."""

_OTHER_NAMES = {"val": ("valid", "validation")}


def root(data_dir: str) -> pathlib.Path:
    return pathlib.Path(data_dir).expanduser()


def candidates(
    folder: pathlib.Path, patterns: Sequence[str], split: str
) -> Iterator[pathlib.Path]:
    """The paths in a folder that patterns stand for, the likeliest first."""
    for name in (split, *_OTHER_NAMES.get(split, ())):
        for pattern in patterns:
            yield folder / pattern.replace(SPLIT, name)


def folder_of(
    name: str,
    folders: Sequence[pathlib.Path],
    *,
    root: pathlib.Path,
    source: pathlib.Path,
    what: str,
) -> pathlib.Path:
    """The first of some folders that holds a file.

    Args:
        root: Of the data, for the message.
        source: Names the file, for the message.
        what: The field of the dataset that says where it is.

    Raises:
        failures.DataError: If none does.
    """
    folder = next((f for f in folders if (f / name).is_file()), None)
    if folder is None:
        looked = image_files.few(str(f) for f in folders)
        raise failures.DataError(
            f"{source} names {name}, which is not in {root} (looked in {looked}; "
            f"set dataset.{what} to its folder)"
        )
    return folder
