"""`metrics.csv`: a row an epoch."""

import csv
import io
import pathlib
from collections.abc import Sequence

from official import atomic


def read(file: pathlib.Path) -> list[dict[str, str]]:
    """The rows, values as text; none if there is no such file."""
    if not file.exists():
        return []
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def write(file: pathlib.Path, rows: Sequence[dict[str, str]]) -> None:
    """Replaces the file; a value that a row does not have stays empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic.write(file, text.getvalue())
