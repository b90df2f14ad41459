"""Predictions on the evaluation set in the exchange format of their task."""

import io
import json
import pathlib
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from official import atomic
from official.ops import panoptic

FILE = "evaluation_predictions.json"
MAPS = "evaluation_predictions"
"""Folder of the maps that go with the file."""


def write(
    run_dir: pathlib.Path,
    found: Iterable[dict[str, Any]] | None,
    *,
    image_numbers: Mapping[str, int | str] = types.MappingProxyType({}),
    category_ids: Sequence[int] = (),
) -> None:
    """Writes `FILE`, one record a line; without records removes that of before.

    Records of detections make a list, as COCO's result files are. Those with a map make
    COCO's panoptic form (https://cocodataset.org/#format-results): the file is an
    object with "annotations", and beside it lies a folder, `MAPS`, of PNG files whose
    pixels are red + 256 green + 65536 blue, the "id" of a segment, or 0.

    Args:
        found: Records with "image_id", the name of an image, and "category_id", the
            number of a class; or "segments_info", a list of objects with "category_id"
            and "id", and "panoptic", the map of these ids, int32 `[H, W]`, `VOID` where
            there is none.
        image_numbers: What stands for the names, where the data has numbers.
        category_ids: What stands for the classes, likewise.
    """
    file, maps = run_dir / FILE, run_dir / MAPS
    for old in maps.glob("*.png"):
        old.unlink()
    if maps.is_dir() and not any(maps.iterdir()):
        maps.rmdir()
    if found is None:
        file.unlink(missing_ok=True)
        return
    names: set[str] = set()
    lines, of_maps = [], False
    for record in found:
        translated = _translated(record, image_numbers, category_ids)
        if "panoptic" in record:
            of_maps = True
            pixels = translated.pop("panoptic")
            name = translated["file_name"] = _file_name(record["image_id"], names)
            atomic.write(maps / name, _png(pixels))
        lines.append(json.dumps(translated))
    text = ",\n".join(lines)
    text = f"[\n{text}\n]" if text else "[]"
    atomic.write(file, f'{{"annotations": {text}}}\n' if of_maps else f"{text}\n")


def _translated(
    record: dict[str, Any],
    image_numbers: Mapping[str, int | str],
    category_ids: Sequence[int],
) -> dict[str, Any]:
    def category(each: dict[str, Any]) -> dict[str, int]:
        class_id = each["category_id"]
        return {"category_id": category_ids[class_id] if category_ids else class_id}

    image = record["image_id"]
    result = record | {"image_id": image_numbers.get(image, image)}
    if "panoptic" not in record:
        return result | category(record)
    # In a PNG file 0 is void.
    result["segments_info"] = [
        each | category(each) | {"id": each["id"] + 1}
        for each in record["segments_info"]
    ]
    return result


def _file_name(image: str, taken: set[str]) -> str:
    """A name for the map of an image, whose own name may hold folders."""
    stem = "_".join(pathlib.PurePath(image).with_suffix("").parts).strip("/\\")
    name, number = f"{stem}.png", 1
    while name.lower() in taken:
        name, number = f"{stem}_{number}.png", number + 1
    taken.add(name.lower())
    return name


def _png(pixels: np.ndarray) -> bytes:
    ids = np.where(pixels == panoptic.VOID, 0, pixels + 1)
    channels = np.stack([ids & 255, ids >> 8 & 255, ids >> 16 & 255], axis=-1)
    content = io.BytesIO()
    Image.fromarray(channels.astype(np.uint8)).save(content, "PNG")
    return content.getvalue()
