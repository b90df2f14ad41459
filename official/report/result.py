"""`result.json`: the last table of a run."""

import json
import pathlib
from typing import Any

from official import atomic

Row = dict[str, Any]
"""`name` ("Keras", "int8", ...), `metrics` by name, what else is known of a file."""


def read(run_dir: pathlib.Path) -> dict[str, Any]:
    """The content; empty if there is none yet."""
    file = run_dir / "result.json"
    return json.loads(file.read_text()) if file.exists() else {}


def update(run_dir: pathlib.Path, facts: dict[str, Any], rows: list[Row]) -> None:
    """Renews facts and rows; rows of other names stay if they are of the same weights.

    Args:
        facts: Replace those of the same name; "weights" identifies the checkpoint.
        rows: Replace those of the same name, and come first.
    """
    before = read(run_dir)
    same = before.get("weights") == facts["weights"]
    names = {row["name"] for row in rows}
    kept = [row for row in before.get("rows", []) if same and row["name"] not in names]
    content = before | facts | {"rows": rows + kept}
    atomic.write(run_dir / "result.json", json.dumps(content, indent=1) + "\n")
