"""Latency, size and memory of .tflite files on this machine's CPU."""

import dataclasses
import pathlib
import statistics
import time
from collections.abc import Sequence

import rich.console
import rich.table

from tflite_export import flatbuffer, interpreter, probe

_WARM_UP = 5
_ROUNDS = 60
_SECONDS_PER_FILE = 10.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figures:
    """What was measured of a file.

    Attributes:
        path: The file.
        size: Bytes.
        latency_ms: Median of one run, in milliseconds.
        rounds: Number of runs that the median is of.
        threads: Of the CPU.
        ops: Number of ops in the file.
        partitions: Parts of the graph that a delegate runs; 1 is best.
        outside: Ops that no delegate runs, with their numbers.
        peak_memory: Bytes that loading and running took at most, on top of Python.
    """

    path: pathlib.Path
    size: int
    latency_ms: float
    rounds: int
    threads: int
    ops: int
    partitions: int
    outside: dict[str, int]
    peak_memory: int


def measure(paths: Sequence[pathlib.Path], *, threads: int = 1) -> list[Figures]:
    """Times the files in turns, so that a busy machine is busy for all of them.

    Raises:
        RequestError: If a file cannot be run.
    """
    probes = [probe.run(path) for path in paths]
    seconds = _time(paths, threads)
    figures = []
    for path, probed, times in zip(paths, probes, seconds, strict=True):
        file = flatbuffer.read(path)
        figures.append(
            Figures(
                path=path,
                size=file.size,
                latency_ms=1e3 * statistics.median(times),
                rounds=len(times),
                threads=threads,
                ops=len(file.ops),
                partitions=probed.partitions,
                outside=probed.outside,
                peak_memory=probed.peak_memory,
            )
        )
    return figures


def show(figures: Sequence[Figures]) -> None:
    """Prints a table; a line of 80 columns holds a file of ours."""
    threads = figures[0].threads
    table = rich.table.Table(
        title=f"median latency with {threads} thread{'s' if threads > 1 else ''}",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    table.add_column("file", overflow="fold")
    for title in ("MB", "ms", "ops", "parts", "peak MB"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("not delegated", overflow="fold")
    for row in figures:
        table.add_row(
            row.path.name,
            f"{row.size / 1e6:.2f}",
            f"{row.latency_ms:.2f}",
            str(row.ops),
            str(row.partitions),
            f"{row.peak_memory / 1e6:.0f}",
            "\n".join(f"{count} {op}" for op, count in row.outside.items()) or "-",
        )
    rich.console.Console(markup=False).print(table)


def describe_split(row: Figures) -> str:
    """A line for people on a graph that the CPU's delegate runs in several parts."""
    outside = ", ".join(f"{count} {op}" for op, count in row.outside.items())
    return (
        f"{row.partitions} parts under XNNPACK instead of 1, which costs time; not "
        f"delegated: {outside}"
    )


def _time(paths: Sequence[pathlib.Path], threads: int) -> list[list[float]]:
    loaded = [interpreter.load(path, threads=threads) for path in paths]
    for each in loaded:
        interpreter.fill(each)
        for _ in range(_WARM_UP):
            each.invoke()
    seconds: list[list[float]] = [[] for _ in loaded]
    end = time.monotonic() + _SECONDS_PER_FILE * len(loaded)
    for _ in range(_ROUNDS):
        for each, times in zip(loaded, seconds, strict=True):
            start = time.perf_counter()
            each.invoke()
            times.append(time.perf_counter() - start)
        if time.monotonic() > end:
            break
    return seconds
