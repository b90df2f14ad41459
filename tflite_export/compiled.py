"""What a compiler of hardware made of a file."""

import dataclasses
import pathlib
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """Ops of one kind that met with the same fate.

    Attributes:
        op: Their name.
        number: How many there are.
        status: One of `mapping`: "maps" or "cpu".
        reason: The compiler's words on ops that do not map.
    """

    op: str
    number: int
    status: str
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of one compilation.

    Attributes:
        tool: The compiler, with its version if it tells.
        line: What happened, or how to get the compiler, for people.
        rows: The compiler's table of ops; empty if it gives none.
        outputs: Files that it made.
    """

    tool: str
    line: str
    rows: tuple[Row, ...] = ()
    outputs: tuple[pathlib.Path, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "tool": self.tool,
            "line": self.line,
            "rows": [dataclasses.asdict(row) for row in self.rows],
            "outputs": [str(path) for path in self.outputs],
        }
