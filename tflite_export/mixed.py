"""Which layers of an int8 file to leave in float, so that it loses little.

Each layer is quantized alone, and the noise that this makes at the outputs is measured
on calibration images. Layers are left in float in the order of noise taken away for
their cost, as few as hold the loss of the metric within a bound.
"""

import dataclasses
import json
import pathlib
from collections.abc import Callable

import numpy as np

from official import export_spec, failures
from official.report import terminal
from tflite_export import conversion, flatbuffer, inference, multiply_adds

_IMAGES = 8
_SHOWN = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """What a layer costs in 8 bits, and what it would cost in float.

    Attributes:
        layer: Name.
        noise: Power at the outputs as a share of the signal's, this layer alone in 8
            bits.
        cost: Share of all multiply-adds, and of all values at the borders of layers,
            together, that would be in float.
        float: Whether it was left in float.
    """

    layer: str
    noise: float
    cost: float
    float: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixed:
    """A file and how it came about.

    Attributes:
        content: The bytes.
        table: All layers, in the order in which they are left in float.
        drop: Loss of the metric in points.
    """

    content: bytes
    table: tuple[Sensitivity, ...]
    drop: float

    @property
    def float_layers(self) -> tuple[str, ...]:
        return tuple(row.layer for row in self.table if row.float)


def search(
    graph: inference.Graph,
    *,
    spec: export_spec.Export,
    calibration: np.ndarray | None,
    drop: Callable[[bytes], float],
) -> Mixed:
    """The file with the fewest layers in float that loses at most `max_drop_mixed`.

    The number is found by doubling, then by halving, on the premise that a layer more
    in float makes no file worse.

    Args:
        graph: From `inference.build` for "mixed".
        calibration: From `calibration.collect`.
        drop: Loss of the metric of a file against the Keras model's, in points.

    Raises:
        GateError: If a file with every layer in float loses more.
        RunError: If a conversion fails.
    """
    if calibration is None:
        raise ValueError("the search needs calibration images")
    calibrated = conversion.calibrate(graph, spec=spec, calibration=calibration)
    table = sensitivities(calibrated, graph, calibration[:_IMAGES])

    def made(count: int) -> tuple[bytes, float]:
        layers = [row.layer for row in table[:count]]
        content = conversion.quantize(calibrated, graph, spec=spec, float_layers=layers)
        lost = drop(content)
        terminal.console.print(f"  {count} layers in float lose {lost:.2f} points")
        return content, lost

    count, found = _fewest(len(table), made, bound=spec.max_drop_mixed)
    content, lost = found
    marked = [
        dataclasses.replace(row, float=place < count) for place, row in enumerate(table)
    ]
    return Mixed(content=content, table=tuple(marked), drop=lost)


def sensitivities(
    calibrated: conversion.Calibrated, graph: inference.Graph, pixels: np.ndarray
) -> list[Sensitivity]:
    """All layers, the one with the most noise for its cost first.

    Args:
        calibrated: From `conversion.calibrate`.
        graph: What that was made from.
        pixels: uint8 `[N, H, W, 3]`.

    Raises:
        RunError: If the measurement fails.
    """
    noise = conversion.noise(calibrated, graph, pixels)
    costs = _costs(
        flatbuffer.parse(calibrated.plain, pathlib.Path("calibrated.tflite"))
    )
    rows = [
        Sensitivity(layer=layer, noise=value, cost=costs[layer])
        for layer, value in noise.items()
    ]
    return sorted(rows, key=lambda row: row.noise / row.cost, reverse=True)


def show(mixed: Mixed) -> None:
    """Prints the first layers of the table and all that are in float."""
    left = len(mixed.float_layers)
    rows = [
        [
            row.layer,
            f"{10 * np.log10(max(row.noise, 1e-12)):.1f} dB",
            f"{100 * row.cost:.2f} %",
            "float" if row.float else "int8",
        ]
        for row in mixed.table[: max(_SHOWN, left)]
    ]
    title = f"{left} of {len(mixed.table)} layers stay in float"
    columns = ("layer", "noise alone", "cost", "in the file")
    terminal.console.print(terminal.table(title, columns, rows))


def record(mixed: Mixed) -> str:
    """The whole table as JSON."""
    rows = [dataclasses.asdict(row) for row in mixed.table]
    return json.dumps({"drop_points": mixed.drop, "layers": rows}, indent=1) + "\n"


def _fewest(
    most: int, made: Callable[[int], tuple[bytes, float]], *, bound: float
) -> tuple[int, tuple[bytes, float]]:
    failed, count = -1, 0
    found = made(count)
    while not found[1] <= bound:
        if count == most:
            raise failures.GateError(
                f"with every layer in float the file still loses {found[1]:.2f} points "
                f"(allowed {bound:g}): it is not the 8 bits; set "
                "export.max_drop_mixed, or evaluate on more images"
            )
        failed, count = count, min(most, max(1, 2 * count))
        found = made(count)
    while count - failed > 1:
        middle = (count + failed) // 2
        tried = made(middle)
        if tried[1] <= bound:
            count, found = middle, tried
        else:
            failed = middle
    return count, found


def _costs(file: flatbuffer.File) -> dict[str, float]:
    """By layer: multiply-adds, and values that are turned into float and back."""
    work = {op.layer: 0.0 for op in file.ops}
    border = dict.fromkeys(work, 0.0)
    for op in file.ops:
        values = [t for t in (*op.inputs, *op.outputs) if not t.constant]
        border[op.layer] += sum(np.prod(t.shape, dtype=float) for t in values)
        work[op.layer] += multiply_adds.of(op)
    total = sum(work.values()) + sum(border.values())
    return {layer: (work[layer] + border[layer]) / total for layer in work}
