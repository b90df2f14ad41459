"""The files in which COCO keeps instances, and what tools write in their form."""

import json
import math
import pathlib
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from official import failures
from official.data import text_file
from official.ops import box_kinds


class Image(NamedTuple):
    """Size is height and width; None where the file has none."""

    file_name: str
    size: tuple[int, int] | None


class Object(NamedTuple):
    """Box in the order ymin, xmin, ymax, xmax; area NaN where the file has none."""

    category: int
    box: tuple[float, float, float, float]
    kind: int
    area: float


class Content(NamedTuple):
    """What a file holds.

    Attributes:
        categories: Names by id, in the order of the ids.
        images: By id, in the order of the file.
        objects: By the id of their image; images without any are not in it.
    """

    categories: dict[int, str]
    images: dict[int, Image]
    objects: dict[int, list[Object]]


def read(path: pathlib.Path) -> Content:
    """Reads and checks a file; masks are left out.

    Raises:
        failures.DataError: If it is no JSON, lacks what it must have, or refers to an
            image or a category that is not in it.
    """
    content = load(
        path,
        # Nine tenths of COCO's file are polygons: kept, they would take gigabytes.
        drop=("segmentation",),
        like="instances_*.json (files for captions, panoptic maps and results differ)",
    )
    categories = by_id(path, content["categories"], "category", category)
    require_names(path, categories.values())
    images = by_id(path, content["images"], "image", image)
    objects: dict[int, list[Object]] = {}
    for place, annotation in enumerate(content["annotations"]):
        number, found = _object(path, place, annotation)
        name = annotation.get("id", f"in place {place}")
        if number not in images:
            raise failures.DataError(
                f"{path}: annotation {name}: image_id {number} is not among the images "
                "of the file; remove the annotation, or add the image"
            )
        if found.category not in categories:
            raise failures.DataError(
                f"{path}: annotation {name}: category_id {found.category} is not among "
                f"the categories of the file ({', '.join(map(str, categories))}); "
                "correct it, or add the category"
            )
        objects.setdefault(number, []).append(found)
    return Content(dict(sorted(categories.items())), images, objects)


def load(path: pathlib.Path, *, drop: Sequence[str], like: str) -> dict[str, Any]:
    """The lists "images", "categories" and "annotations" of a file.

    Args:
        drop: Keys that are left out wherever they are.
        like: A file that is as it should be, for the message.

    Raises:
        failures.DataError: If it is no JSON or has not these lists.
    """

    def smaller(entry: dict[str, Any]) -> dict[str, Any]:
        for key in drop:
            entry.pop(key, None)
        return entry

    text = text_file.read(path)
    try:
        content = json.loads(text, object_hook=smaller)
    except ValueError as error:
        raise failures.DataError(
            f"{path}: not JSON ({error}); export or copy it again"
        ) from error
    keys = ("images", "categories", "annotations")
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in keys
    ):
        raise failures.DataError(
            f"{path}: want an object with lists {', '.join(keys)}, as in COCO's {like}"
        )
    return content


def category(entry: dict[str, Any]) -> str:
    """The name of a category."""
    return str(entry["name"])


def image(entry: dict[str, Any]) -> Image:
    height, width = (int(entry.get(key) or 0) for key in ("height", "width"))
    size = (height, width) if height > 0 and width > 0 else None
    return Image(str(entry["file_name"]), size)


def by_id(
    path: pathlib.Path,
    entries: list[Any],
    what: str,
    read: Callable[[dict[str, Any]], Any],
    *,
    number: Callable[[Any], Any] = int,
) -> dict[Any, Any]:
    """What `read` makes of the entries, by their ids, which `number` reads.

    Raises:
        failures.DataError: If an entry is faulty or an id is there twice.
    """
    found: dict[Any, Any] = {}
    for place, entry in enumerate(entries):
        try:
            key, value = number(entry["id"]), read(entry)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise failures.DataError(
                f"{path}: {what} in place {place} is faulty ({said(error)}): "
                f"{entry!r:.100}"
            ) from error
        if key in found:
            raise failures.DataError(f"{path}: {what} {key} is listed twice")
        found[key] = value
    return found


def said(error: Exception) -> str:
    """What is wrong with an entry, in words."""
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error)


def require_names(path: pathlib.Path, names: Collection[str]) -> None:
    """Refuses categories of which two have one name."""
    if len(set(names)) < len(names):
        raise failures.DataError(f"{path}: two categories have the same name")


def _object(
    path: pathlib.Path, place: int, entry: dict[str, Any]
) -> tuple[int, Object]:
    try:
        left, top, width, height = (float(value) for value in entry["bbox"])
        area = entry.get("area")
        return int(entry["image_id"]), Object(
            category=int(entry["category_id"]),
            box=(top, left, top + height, left + width),
            kind=box_kinds.CROWD if entry.get("iscrowd") else box_kinds.OBJECT,
            area=math.nan if area is None else float(area),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        name = place
        if isinstance(entry, dict):
            name = entry.get("id", place)
        raise failures.DataError(
            f"{path}: annotation {name} is faulty ({error!r}); want image_id, "
            "category_id and bbox = [x, y, width, height]"
        ) from error
