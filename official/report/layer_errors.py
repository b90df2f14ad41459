"""`export/layer_errors.json`: how far an integer file is from the float network."""

import io
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from official import atomic
from official.report import curves

Row = dict[str, Any]
"""A layer: `layer`, `op`, `snr_db`, `own_snr_db`, `range_use`, `clipped`,
`channel_spread`, `advice`."""

WORST = 10
_NUMBERED = 5
_TOTAL, _OWN, _USE = "#2f81f7", "#d29922", "#3fb950"


def read(run_dir: pathlib.Path) -> dict[str, dict[str, Any]]:
    """By file: `images`, `layers` (rows in the order of execution), `unmatched`."""
    file = _path(run_dir)
    return json.loads(file.read_text()) if file.exists() else {}


def write(run_dir: pathlib.Path, found: dict[str, dict[str, Any]]) -> pathlib.Path:
    """Replaces what is there; returns the path."""
    atomic.write(_path(run_dir), json.dumps(found, indent=1) + "\n")
    return _path(run_dir)


def worst(rows: Sequence[Row]) -> list[Row]:
    """The layers that add most error, those with advice first."""
    ordered = sorted(rows, key=lambda row: (not row["advice"], row["own_snr_db"]))
    return ordered[:WORST]


def svg(rows: Sequence[Row]) -> str:
    """Signal to noise and range use over the layers, as an `<svg>` element."""
    from matplotlib.backends import backend_svg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    backend_svg.FigureCanvasSVG(figure)
    draw(figure, rows)
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True)
    return text.getvalue()[text.getvalue().index("<svg") :]


def draw(figure: Any, rows: Sequence[Row]) -> None:
    """Fills a figure of matplotlib; the worst layers are numbered as in `worst`."""
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    places = range(len(rows))
    for key, label, color in (
        ("snr_db", "all error up to here", _TOTAL),
        ("own_snr_db", "added by the layer", _OWN),
    ):
        values = [row[key] for row in rows]
        upper.plot(
            places, values, color=color, label=label, marker=".", markersize=5, lw=1.2
        )
    for number, row in enumerate(worst(rows)[:_NUMBERED], start=1):
        upper.annotate(
            str(number),
            (rows.index(row), row["own_snr_db"]),
            xytext=(0, -12),
            textcoords="offset points",
            ha="center",
            color=_OWN,
            weight="bold",
            fontsize=9,
        )
    upper.margins(y=0.12)
    upper.set_ylabel("signal to noise, dB", color=curves.INK)
    lower.bar(places, [100 * row["range_use"] for row in rows], color=_USE, width=0.8)
    lower.set_ylabel("levels used, %", color=curves.INK)
    lower.set_ylim(0, 100)
    lower.set_xlabel("layer, in the order of execution", color=curves.INK)
    for axis in (upper, lower):
        curves.style(axis)
    upper.legend(frameon=False, labelcolor=curves.INK, fontsize=8)


def _path(run_dir: pathlib.Path) -> pathlib.Path:
    return run_dir / "export" / "layer_errors.json"
