"""`dataset.json`: what the data of a run holds, for the report."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import rich.table

from official import atomic

FILE = "dataset.json"


def write(
    run_dir: pathlib.Path,
    tables: Sequence[rich.table.Table],
    warnings: Sequence[str],
) -> None:
    """Keeps what was printed: tables of text, and what is odd about the data.

    Without either, removes that of before.
    """
    file = run_dir / FILE
    if not tables and not warnings:
        file.unlink(missing_ok=True)
        return
    content = {"tables": [_plain(one) for one in tables], "warnings": list(warnings)}
    atomic.write(file, json.dumps(content, indent=1) + "\n")


def read(run_dir: pathlib.Path) -> dict[str, Any]:
    """As `write` left it: "tables", each with "title", "columns", "rows" and "notes".

    Empty if there is none.
    """
    file = run_dir / FILE
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def _plain(table: rich.table.Table) -> dict[str, Any]:
    cells = [[str(cell) for cell in column.cells] for column in table.columns]
    return {
        "title": str(table.title or ""),
        "columns": [str(column.header) for column in table.columns],
        "rows": [list(row) for row in zip(*cells, strict=True)],
        "notes": str(table.caption or "").splitlines(),
    }
