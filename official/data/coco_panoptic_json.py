"""The files in which COCO keeps what the segments of panoptic maps are."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from official import failures
from official.data import base, coco_json, segments

Number = int | str
"""Id of an image; Cityscapes' own scripts write names."""


class Category(NamedTuple):
    """Color None where the file has none."""

    name: str
    thing: bool
    color: base.Color | None


class Annotation(NamedTuple):
    """Of an image: its map, its segments with their category for a class, their areas.

    Areas are pixels, int64 `[N]`; None where the file lacks one.
    """

    file_name: str
    segments: segments.Segments
    areas: np.ndarray | None


class Content(NamedTuple):
    """What a file holds.

    Attributes:
        categories: By id, in the order of the ids.
        images: By id, in the order of the file.
        annotations: By the id of their image; images without one are not in it.
    """

    categories: dict[int, Category]
    images: dict[Number, coco_json.Image]
    annotations: dict[Number, Annotation]


def read(path: pathlib.Path) -> Content:
    """Reads and checks a file.

    Raises:
        failures.DataError: If it is no JSON, lacks what it must have, refers to an
            image or a category that is not in it, or lists something twice.
    """
    content = coco_json.load(
        path,
        drop=("bbox",),  # the map tells it
        like="panoptic_*.json (files for instances, captions and results differ)",
    )
    categories = coco_json.by_id(path, content["categories"], "category", _category)
    coco_json.require_names(path, [row.name for row in categories.values()])
    images = coco_json.by_id(
        path, content["images"], "image", coco_json.image, number=_number
    )
    annotations: dict[Number, Annotation] = {}
    for place, entry in enumerate(content["annotations"]):
        number, annotation = _annotation(path, place, entry, categories)
        if number not in images:
            raise failures.DataError(
                f"{path}: annotation in place {place}: image_id {number} is not among "
                "the images of the file; remove the annotation, or add the image"
            )
        if number in annotations:
            raise failures.DataError(
                f"{path}: image {number} has two annotations; remove one"
            )
        annotations[number] = annotation
    return Content(dict(sorted(categories.items())), images, annotations)


def annotated(path: pathlib.Path, content: Content) -> dict[Number, Annotation]:
    """The annotations in the order of the images.

    Raises:
        failures.DataError: If no image has one.
    """
    found = {
        number: content.annotations[number]
        for number in content.images
        if number in content.annotations
    }
    if not found:
        raise failures.DataError(f"{path} has no image with an annotation")
    return found


def _number(value: object) -> Number:
    if isinstance(value, int | str):
        return value
    raise ValueError(f"id {value!r}: want a number or a name")


def _category(entry: dict[str, Any]) -> Category:
    color = entry.get("color")
    if color is not None:
        red, green, blue = (int(value) for value in color)
        color = red, green, blue
    if "isthing" not in entry:
        raise ValueError("lacks isthing: 1 for things, 0 for stuff")
    return Category(coco_json.category(entry), bool(entry["isthing"]), color)


def _annotation(
    path: pathlib.Path,
    place: int,
    entry: dict[str, Any],
    categories: Mapping[int, Category],
) -> tuple[Number, Annotation]:
    try:
        number, file_name = _number(entry["image_id"]), str(entry["file_name"])
        found = [
            (int(row["id"]), int(row["category_id"]), bool(row.get("iscrowd")))
            for row in entry["segments_info"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise failures.DataError(
            f"{path}: annotation in place {place}{_named(entry)} is faulty "
            f"({coco_json.said(error)}); want image_id, file_name and segments_info, "
            "a list of id, category_id and iscrowd"
        ) from error
    listed: set[int] = set()
    for segment, category, _ in found:
        where = f"{path}: image {number}: segment {segment}"
        if not segments.VOID < segment < 2**24:
            raise failures.DataError(
                f"{where}: a map cannot store that; want 1 to {2**24 - 1} (0 is for "
                "pixels without a segment)"
            )
        if segment in listed:
            raise failures.DataError(f"{where} is listed twice; give one another id")
        if category not in categories:
            raise failures.DataError(
                f"{where}: category_id {category} is not among the "
                f"{len(categories)} categories of the file; correct it, or add the "
                "category"
            )
        listed.add(segment)
    table = np.array(found, np.int32).reshape(-1, 3)
    return number, Annotation(
        file_name,
        segments.Segments(table[:, 0], table[:, 1], table[:, 2] > 0),
        _areas(entry["segments_info"]),
    )


def _named(entry: object) -> str:
    """Whose an annotation is, if it tells."""
    if not isinstance(entry, dict):
        return ""
    found = [
        f"{key} {entry[key]!r}" for key in ("image_id", "file_name") if key in entry
    ]
    return f" ({', '.join(found)})" if found else ""


def _areas(rows: Sequence[Mapping[str, Any]]) -> np.ndarray | None:
    areas = [row.get("area") for row in rows]
    # What no image has room for is no area.
    if all(isinstance(area, int | float) and 0 <= area < 2**31 for area in areas):
        return np.array(areas, np.int64)
    return None
