"""A few drawn pictures where a command of a guide reads its data."""

import itertools
import pathlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from contracts import test_datasets as fixtures
from PIL import Image

from official.data import image_folder, record_writing

SPLIT = fixtures.SPLIT


def write(dataset: Any) -> None:
    """Writes some examples of the split "train" in the form that a dataset reads.

    The folder is the dataset's own, relative to where the process is.
    """
    name = type(dataset).__name__
    if getattr(dataset, "data_dir", None) is None:  # it needs none
        return
    folder = pathlib.Path(dataset.data_dir)
    assert not folder.is_absolute(), folder
    _WRITERS.get(name, _any)(folder, dataset)


def _any(folder: pathlib.Path, dataset: Any) -> None:
    folder.mkdir(parents=True)
    fixtures.FIXTURES[type(dataset).__name__](folder)


def _voc(folder: pathlib.Path, dataset: Any) -> None:
    """With the classes that it is told, by turns."""
    _any(folder, dataset)
    names = itertools.cycle(dataset.classes)
    for file in folder.glob("Annotations/*.xml"):
        text = re.sub("<name>.<", lambda _: f"<name>{next(names)}<", file.read_text())
        file.write_text(text)


def _coco_panoptic(folder: pathlib.Path, dataset: Any) -> None:
    """With the maps in the folder where they lie if nothing is said."""
    _any(folder, dataset)
    annotations = folder / "annotations"
    (annotations / "panoptic").rename(annotations / f"panoptic_{SPLIT}")


def _image_list(folder: pathlib.Path, dataset: Any) -> None:
    """With the columns and the classes that it is told."""
    rows = [f"file,{dataset.label_column}"]
    for index, image, _ in fixtures._pictures():
        path = folder / dataset.images.format(split=SPLIT) / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
        rows.append(f"{index}.png,{index % 2}")
    table = folder / dataset.table.format(split=SPLIT)
    table.parent.mkdir(parents=True)
    table.write_text("\n".join(rows))


def _record_shards(folder: pathlib.Path, dataset: Any) -> None:
    del dataset
    source = folder.with_name("of_shards")
    source.mkdir(parents=True)
    record_writing.write(
        image_folder.ImageFolder(**fixtures._image_folder(source)),
        SPLIT,
        folder=folder,
        shards=2,
        limit=None,
        track=lambda items, what, total: items,
    )


_WRITERS: dict[str, Callable[[pathlib.Path, Any], None]] = {
    "COCOPanoptic": _coco_panoptic,
    "ImageList": _image_list,
    "RecordShards": _record_shards,
    "VOC": _voc,
}


def photographs(folder: pathlib.Path, count: int, size: tuple[int, int]) -> None:
    """Noise as JPEG files."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(len(folder.parts))
    for number in range(count):
        pixels = random.integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg")
