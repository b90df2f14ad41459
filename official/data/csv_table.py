"""CSV files that people wrote, with commas, semicolons or tabs."""

import csv
import io
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from official import failures, spelling
from official.data import text_file


class Table(NamedTuple):
    """Names of the columns, and rows as number of the line and its cells."""

    path: pathlib.Path
    columns: list[str]
    rows: list[tuple[int, list[str]]]

    def place(self, column: str, field: str) -> int:
        """Where a column is; `field` of the dataset names it.

        Raises:
            failures.DataError: If there is no such column.
        """
        if column not in self.columns:
            raise failures.DataError(
                f"{self.path}:1: no column {column!r}"
                f"{spelling.hint(column, self.columns)} (its columns: "
                f"{', '.join(self.columns) or 'none'}; set dataset.{field})"
            )
        return self.columns.index(column)

    def picked(self, places: Sequence[int]) -> Iterator[tuple[int, list[str]]]:
        """Of each row the number of its line, and the cells at some places.

        Raises:
            failures.DataError: If there is no row, or one is too short.
        """
        if not self.rows:
            raise failures.DataError(f"{self.path} has no rows below its first line")
        for line, cells in self.rows:
            if len(cells) <= max(places):
                raise failures.DataError(
                    f"{self.path}:{line}: {len(cells)} cells; the first line has "
                    f"{len(self.columns)}"
                )
            yield line, [cells[place] for place in places]


def read(path: pathlib.Path) -> Table:
    """A table whose first line names the columns; empty rows are left out."""
    text = text_file.read(path)
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns = [name.strip() for name in next(reader, [])]
    rows = []
    for cells in reader:
        cells = [cell.strip() for cell in cells]
        if any(cells):
            rows.append((reader.line_num, cells))
    return Table(path, columns, rows)
