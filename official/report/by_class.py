"""What is measured of each class, as tables."""

from official.report import result

Row = tuple[str, list[float | None]]
"""A class, and its value in every row of the result."""


def tables(rows: list[result.Row]) -> list[tuple[str, list[Row]]]:
    """A table for each measure, the word before the slash of a metric's name."""
    keys = dict.fromkeys(key for row in rows for key in row["metrics"] if "/" in key)
    found: dict[str, list[Row]] = {}
    for key in keys:
        measure, _, name = key.partition("/")
        values = [row["metrics"].get(key) for row in rows]
        found.setdefault(measure, []).append((name, values))
    return list(found.items())
