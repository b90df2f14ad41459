"""Predictions on the evaluation set in the exchange format of their task."""

import json
import pathlib
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from official import atomic

FILE = "evaluation_predictions.json"


def write(
    run_dir: pathlib.Path,
    found: Iterable[dict[str, Any]] | None,
    *,
    image_numbers: Mapping[str, int | str] = types.MappingProxyType({}),
    category_ids: Sequence[int] = (),
) -> None:
    """Writes `FILE`, one record a line; without records removes that of before.

    Args:
        found: Records with "image_id", the name of an image, and "category_id", the
            number of a class.
        image_numbers: What stands for the names, where the data has numbers.
        category_ids: What stands for the classes, likewise.
    """
    file = run_dir / FILE
    if found is None:
        file.unlink(missing_ok=True)
        return
    lines = ",\n".join(
        json.dumps(_translated(record, image_numbers, category_ids)) for record in found
    )
    atomic.write(file, f"[\n{lines}\n]\n" if lines else "[]\n")


def _translated(
    record: dict[str, Any],
    image_numbers: Mapping[str, int | str],
    category_ids: Sequence[int],
) -> dict[str, Any]:
    image, category = record["image_id"], record["category_id"]
    return record | {
        "image_id": image_numbers.get(image, image),
        "category_id": category_ids[category] if category_ids else category,
    }
