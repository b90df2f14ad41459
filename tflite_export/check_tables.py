"""Tables of what hardware takes of a file, for the terminal."""

import collections
from collections.abc import Sequence
from typing import Protocol

import rich.table

from tflite_export import compiled, mapping


class Judged(mapping.Named, Protocol):
    """An op, where it runs and why."""

    @property
    def asked(self) -> bool: ...


def histogram(judged: Sequence[Judged]) -> rich.table.Table:
    """How many ops there are of each name, and where they run."""
    table = _table(("op", "number", "on the CPU", "refused"))
    ops = collections.Counter(verdict.op for verdict in judged)
    counts = {
        status: collections.Counter(v.op for v in judged if v.status == status)
        for status in (mapping.CPU, mapping.REFUSED)
    }
    for op, count in ops.most_common():
        cells = [str(counts[status][op] or "-") for status in counts]
        table.add_row(op, str(count), *cells)
    return table


def listed(judged: Sequence[Judged]) -> rich.table.Table:
    """Ops in the order of execution, numbered from 0."""
    table = _table(("number", "op", "layer", "verdict"))
    for number, verdict in enumerate(judged):
        table.add_row(str(number), verdict.op, verdict.layer, _said(verdict))
    return table


def grouped(judged: Sequence[Judged]) -> rich.table.Table:
    """What does not map, a row for all ops of a name and a verdict."""
    groups: dict[tuple[str, str], list[Judged]] = {}
    for verdict in judged:
        if verdict.status != mapping.MAPS:
            # What lies behind the one part that maps says nothing of its ops.
            behind = verdict.reason == mapping.SECOND_SUBGRAPH
            name = "others" if behind else verdict.op
            groups.setdefault((name, _said(verdict)), []).append(verdict)
    table = _table(("op", "number", "first in", "verdict"))
    for (name, said), found in groups.items():
        layer = next((verdict.layer for verdict in found if verdict.layer), "")
        table.add_row(name, str(len(found)), layer, said)
    table.caption = "--all lists every op"
    table.caption_justify = "left"
    return table


def _said(verdict: Judged) -> str:
    words = [verdict.status, verdict.reason]
    if verdict.asked:
        words.append("float, as asked for")
    return ": ".join(word for word in words if word)


def compiled_rows(rows: Sequence[compiled.Row]) -> rich.table.Table:
    """What a compiler said, op by op."""
    table = _table(("op", "number", "the compiler's verdict"))
    for row in rows:
        words = [row.status, row.reason]
        table.add_row(
            row.op, str(row.number), ": ".join(word for word in words if word)
        )
    return table


def _table(columns: tuple[str, ...]) -> rich.table.Table:
    table = rich.table.Table(box=None, pad_edge=False)
    for column in columns:
        numbers = column in ("number", "on the CPU", "refused")
        table.add_column(
            column, justify="right" if numbers else "left", overflow="fold"
        )
    return table
