"""How far confidence can be trusted: reliability diagrams."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from official.report import curves, result

_RIGHT = "#2f81f7"
_SURE = "#d29922"
_MOST = 4  # diagrams

_TEXTS = {
    "classes": (
        "share that is right",
        "How often the class that is said is right, by the score that it has, in "
        "15 bins (Guo et al., 2017).",
    ),
    "boxes": (
        "precision at an overlap of 0.5",
        "How many of the boxes of a score have an object of their class at an overlap "
        "of 0.5.",
    ),
}

Bins = Mapping[str, Any]
"""As `official.metrics.calibration` gives them."""


def of_rows(rows: Sequence[result.Row]) -> dict[str, Bins]:
    """By the name of the row; those without scores are not there."""
    return {row["name"]: row["calibration"] for row in rows if row.get("calibration")}


def section(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the page shows; None where nothing has scores.

    Args:
        found: From `result.read`.
    """
    rows = found.get("rows", [])
    known = of_rows(rows)
    if not known:
        return None
    of = next(iter(known.values()))["of"]
    right, text = _TEXTS[of]
    return {
        "text": text,
        "without": [row["name"] for row in rows if row["name"] not in known],
        "picture": svg(known, right=right),
        # Boxes are mostly unsure ones, and how many there are decides the figure.
        "errors": [(name, _figures(bins)) for name, bins in known.items()]
        if of == "classes"
        else [],
    }


def _figures(bins: Bins) -> tuple[float, float, float]:
    """Expected calibration error, mean confidence, and the share that is right."""
    count = np.asarray(bins["count"], np.float64)
    total = max(count.sum(), 1)
    means = (count @ np.asarray(bins[name]) / total for name in ("confidence", "right"))
    confidence, right = (float(value) for value in means)
    return error(bins), confidence, right


def error(bins: Bins) -> float:
    """The expected calibration error: the mean gap, by count."""
    count, confidence, right = (
        np.asarray(bins[name], np.float64) for name in ("count", "confidence", "right")
    )
    return float((count * np.abs(right - confidence)).sum() / max(count.sum(), 1))


def svg(found: Mapping[str, Bins], *, right: str) -> str:
    """A diagram a row, side by side, as an `<svg>` element; of many the first.

    Args:
        found: By name.
        right: What the bars show.
    """
    from matplotlib.backends import backend_svg
    from matplotlib.figure import Figure

    shown = dict(list(found.items())[:_MOST])
    figure = Figure(figsize=(3.1 * len(shown), 3.4), layout="constrained")
    backend_svg.FigureCanvasSVG(figure)
    axes = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
    for axis, (name, bins) in zip(axes, shown.items(), strict=True):
        _diagram(axis, bins)
        axis.set_title(name, color=curves.INK, fontsize=10)
        axis.set_xlabel("confidence", color=curves.INK)
    axes[0].set_ylabel(right, color=curves.INK)
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True)
    return text.getvalue()[text.getvalue().index("<svg") :]


def _diagram(axis, bins: Bins) -> None:
    """Bars, wider the more predictions a bin has, and its mean confidence."""
    count, confidence, right = (
        np.asarray(bins[name], np.float64) for name in ("count", "confidence", "right")
    )
    width = 1 / len(count)
    middle = (np.arange(len(count)) + 0.5) * width
    some = count > 0
    share = np.sqrt(count / max(count.max(), 1))
    wide = width * (0.25 + 0.7 * share)
    axis.bar(middle[some], right[some], wide[some], color=_RIGHT, linewidth=0)
    half = width * 0.475
    axis.hlines(
        confidence[some], middle[some] - half, middle[some] + half, color=_SURE, lw=2.5
    )
    axis.plot([0, 1], [0, 1], color=curves.INK, linewidth=1, linestyle="--")
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    axis.set_aspect("equal")
    curves.style(axis)
