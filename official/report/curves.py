"""Training curves."""

import io
from collections.abc import Sequence

import numpy as np

INK = "#7d8590"
"""Readable on white and on black."""
_LINES = ("#2f81f7", "#d29922", "#3fb950", "#db61a2")


def svg(rows: Sequence[dict[str, str]], plots: Sequence[Sequence[str]]) -> str:
    """One plot a group of columns, side by side, as an `<svg>` element.

    Args:
        rows: Of `metrics.csv`.
        plots: Names of columns that share a plot; absent ones are left out.
    """
    from matplotlib.backends import backend_svg
    from matplotlib.figure import Figure

    known = [[name for name in names if _has(rows, name)] for names in plots]
    known = [names for names in known if names]
    figure = Figure(figsize=(4.2 * len(known), 2.9), layout="constrained")
    backend_svg.FigureCanvasSVG(figure)
    axes = figure.subplots(1, len(known), squeeze=False)[0]
    for axis, names in zip(axes, known, strict=True):
        for name, color in zip(names, _LINES, strict=False):
            points = [(float(r["epoch"]), float(r[name])) for r in rows if r.get(name)]
            epochs, values = np.array(points).T
            axis.plot(epochs, values, color=color, label=name, marker=".", markersize=4)
        axis.set_xlabel("epoch", color=INK)
        axis.legend(frameon=False, labelcolor=INK, fontsize=8)
        style(axis)
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True)
    return text.getvalue()[text.getvalue().index("<svg") :]


def _has(rows: Sequence[dict[str, str]], name: str) -> bool:
    return any(row.get(name) for row in rows)


def style(axis) -> None:
    """Colors of a plot that are readable on white and on black."""
    axis.tick_params(colors=INK)
    axis.grid(alpha=0.25)
    axis.set_facecolor("none")
    for side in axis.spines.values():
        side.set_color(INK)
