"""Predictions on the evaluation set in the exchange format of their task."""

import json
import pathlib
from collections.abc import Iterable
from typing import Any

from official import atomic

FILE = "evaluation_predictions.json"


def write(run_dir: pathlib.Path, found: Iterable[dict[str, Any]] | None) -> None:
    """Writes `FILE`, one record a line; without records removes that of before."""
    file = run_dir / FILE
    if found is None:
        file.unlink(missing_ok=True)
        return
    lines = ",\n".join(json.dumps(record) for record in found)
    atomic.write(file, f"[\n{lines}\n]\n" if lines else "[]\n")
