"""Many runs beside each other: a table, and accuracy against latency and size."""

import json
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import rich.table

from official import failures
from official.report import result, terminal

RESULT = "result.json"


class Entry(NamedTuple):
    """A file of a run.

    Attributes:
        run: Path of the run folder, within the folder of all.
        file: Its name in the run's table, such as "int8".
        metric: Name of what it is judged by.
        value: Of the metric, 0..1 where it is a share; None where it is not known.
        size: Bytes.
        latency: Milliseconds, the median of one thread.
        gate: "passed" or "failed".
        judged_on: Split, number of images, names of the classes.
    """

    run: str
    file: str
    metric: str
    value: float | None
    size: int
    latency: float
    gate: str
    judged_on: tuple[str, int, tuple[str, ...]]


class Group(NamedTuple):
    """Of files judged by one metric on as many images of one split, same classes."""

    metric: str
    split: str
    images: int
    classes: tuple[str, ...]


class Found(NamedTuple):
    """What a folder holds.

    Attributes:
        entries: Of all files of all runs.
        without_files: Runs that are not exported.
        unreadable: Results that are damaged, with the reason.
    """

    entries: list[Entry]
    without_files: list[str]
    unreadable: list[str]


def find(folder: pathlib.Path) -> Found:
    """All runs at any depth below a folder, which may be one itself.

    Raises:
        RequestError: If there is none.
    """
    entries: list[Entry] = []
    without: list[str] = []
    unreadable: list[str] = []
    paths = sorted(folder.rglob(RESULT))
    if not paths:
        raise failures.RequestError(
            f"{folder}: no run below it (no {RESULT}); give the folder that --run_dir "
            "of several trainings lay in, such as runs"
        )
    for path in paths:
        run = path.parent.relative_to(folder).as_posix()
        run = path.parent.name if run == "." else run
        try:
            found = list(_entries(result.read(path.parent), run))
        except (ValueError, KeyError, TypeError) as error:
            unreadable.append(f"{path}: {type(error).__name__}: {error}")
            continue
        entries += found
        if not found:
            without.append(run)
    return Found(entries, without, unreadable)


def front(entries: Sequence[Entry], cost: str) -> set[Entry]:
    """Those than which none is both better and cheaper (the Pareto front).

    Args:
        cost: "latency" or "size".
    """
    judged = [entry for entry in entries if entry.value is not None]
    return {
        entry
        for entry in judged
        if not any(_beats(other, entry, cost) for other in judged)
    }


def show(found: Found) -> None:
    """Prints a table for each group, the best first, and what is left out."""
    for group, entries in grouped(found.entries).items():
        terminal.console.print(_table(group, entries))
    if found.without_files:
        terminal.console.print(f"without files: {', '.join(found.without_files)}")
    for line in found.unreadable:
        terminal.console.print(f"left out: {line}")


def grouped(entries: Iterable[Entry]) -> dict[Group, list[Entry]]:
    """The entries that can be compared with each other, the best first."""
    groups: dict[Group, list[Entry]] = {}
    for entry in entries:
        key = Group(entry.metric, *entry.judged_on)
        groups.setdefault(key, []).append(entry)
    for found in groups.values():
        found.sort(key=lambda entry: (-_value(entry), entry.latency))
    return groups


def scatter(entries: Sequence[Entry], path: pathlib.Path) -> None:
    """Draws one metric against latency and size, as a PNG; the fronts are lines."""
    from matplotlib.backends import backend_agg
    from matplotlib.figure import Figure

    shown = [entry for entry in entries if entry.value is not None]
    fronts = {cost: front(shown, cost) for cost in ("latency", "size")}
    named = [entry for entry in shown if any(entry in best for best in fronts.values())]
    figure = Figure(figsize=(11, 4.6 + 0.19 * len(named)), layout="constrained")
    backend_agg.FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2, sharey=True)
    for axis, (cost, best) in zip(axes, fronts.items(), strict=True):
        _draw(axis, shown, best, cost=cost, named=named)
    axes[0].set_ylabel(f"{shown[0].metric}, %" if shown else "")
    axes[1].legend(frameon=False, fontsize=8, loc="lower right")
    lines = [f"{n}  {e.run} {e.file}" for n, e in enumerate(named, start=1)]
    figure.supxlabel("\n".join(lines), x=0.02, ha="left", fontsize=8)
    figure.savefig(path, dpi=110)


def _draw(
    axis: Any,
    entries: Sequence[Entry],
    best: set[Entry],
    *,
    cost: str,
    named: Sequence[Entry],
) -> None:
    from matplotlib import ticker

    def places(some: Iterable[Entry]) -> tuple[list[float], list[float]]:
        points = [(_cost(entry, cost), 100 * _value(entry)) for entry in some]
        return [x for x, _ in points], [y for _, y in points]

    line = sorted(best, key=lambda entry: _cost(entry, cost))
    axis.plot(*places(line), color="#2f81f7", linewidth=1, label="Pareto front")
    for gate, marker, color in (("passed", "o", "#2f81f7"), ("failed", "x", "#d29922")):
        some = [entry for entry in entries if entry.gate == gate]
        if some:
            label = f"gate {gate}"
            axis.scatter(*places(some), color=color, marker=marker, label=label)
    for number, entry in enumerate(named, start=1):
        if entry in best:
            place = (_cost(entry, cost), 100 * _value(entry))
            axis.annotate(str(number), place, xytext=(5, 4), textcoords="offset points")
    axis.set_xscale("log")
    axis.margins(0.1)
    axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axis.xaxis.set_minor_locator(ticker.NullLocator())
    units = {"latency": "latency, ms (1 thread)", "size": "size, MB"}
    axis.set_xlabel(units[cost])
    axis.grid(alpha=0.25)


def _entries(content: dict, run: str) -> Iterable[Entry]:
    for row in content.get("rows", ()):
        if "file" in row:
            yield Entry(
                run=run,
                file=row["name"],
                metric=content["metric"],
                value=row["metrics"][content["metric"]],
                size=int(row["size_bytes"]),
                latency=float(row["latency_ms"]),
                gate=row["gate"],
                judged_on=(
                    str(content["split"]),
                    int(content["examples"]),
                    tuple(content["classes"]),
                ),
            )


def _table(group: Group, entries: Sequence[Entry]) -> rich.table.Table:
    fronts = {
        "fast": front(entries, "latency"),
        "small": front(entries, "size"),
    }
    rows = [
        (
            f"{entry.run} {entry.file}",
            "-" if entry.value is None else f"{100 * entry.value:.2f}",
            f"{entry.latency:.2f} ms",
            f"{entry.size / 1e6:.2f} MB",
            entry.gate,
            ", ".join(mark for mark, best in fronts.items() if entry in best) or "-",
        )
        for entry in entries
    ]
    title = (
        f"{len(rows)} files by {group.metric} on {group.images} images of "
        f"{group.split!r}"
    )
    columns = ("run, file", f"{group.metric}, %", "latency", "size", "gate", "front")
    view = terminal.table(title, columns, rows)
    view.columns[0].overflow = "fold"
    view.columns[0].no_wrap = False
    view.caption = (
        "front: no other file is better and as fast (fast), or as small (small)"
    )
    view.caption_justify = "left"
    return view


def as_json(found: Found) -> str:
    """All of it as one line for programs."""
    return json.dumps(
        found._asdict() | {"entries": [e._asdict() for e in found.entries]}
    )


def _beats(one: Entry, other: Entry, cost: str) -> bool:
    mine, theirs = _cost(one, cost), _cost(other, cost)
    not_worse = _value(one) >= _value(other) and mine <= theirs
    return not_worse and (_value(one) > _value(other) or mine < theirs)


def _cost(entry: Entry, cost: str) -> float:
    return entry.latency if cost == "latency" else entry.size / 1e6


def _value(entry: Entry) -> float:
    return -1.0 if entry.value is None else entry.value
