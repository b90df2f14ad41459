"""How precise detections are at each recall, by class."""

import io
import json
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from official import atomic
from official.report import curves

FILE = "precision_recall.json"

_MOST_NAMES = 10


def write(run_dir: pathlib.Path, found: Mapping[str, Sequence[float]]) -> None:
    """Writes `FILE`; where there is nothing to write, removes that of before.

    Args:
        found: By class, the precision at evenly spaced recalls from 0 to 1.
    """
    file = run_dir / FILE
    if found:
        rounded = {name: [round(v, 4) for v in row] for name, row in found.items()}
        atomic.write(file, json.dumps(rounded) + "\n")
    else:
        file.unlink(missing_ok=True)


def read(run_dir: pathlib.Path) -> dict[str, list[float]]:
    """As `write` left it; empty if there is none."""
    file = run_dir / FILE
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def svg(found: Mapping[str, Sequence[float]]) -> str:
    """A line a class and, where there are several, their mean; an `<svg>` element.

    Of many classes the lines are thin and without names.
    """
    from matplotlib import colormaps
    from matplotlib.backends import backend_svg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    backend_svg.FigureCanvasSVG(figure)
    axis = figure.subplots()
    few = len(found) <= _MOST_NAMES
    palette = colormaps["tab10"]
    for number, (name, precision) in enumerate(found.items()):
        axis.plot(
            np.linspace(0, 1, len(precision)),
            precision,
            color=palette(number % palette.N),
            linewidth=1.6 if few else 0.6,
            alpha=1.0 if few else 0.45,
            label=f"{name} {np.mean(precision):.3f}" if few else None,
        )
    if len(found) > 1:
        mean = np.mean(list(found.values()), axis=0)
        axis.plot(
            np.linspace(0, 1, len(mean)),
            mean,
            color=curves.INK,
            linewidth=2.4,
            linestyle="--",
            label=f"mean of {len(found)} {mean.mean():.3f}",
        )
    axis.set_xlabel("recall", color=curves.INK)
    axis.set_ylabel("precision", color=curves.INK)
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1.02)
    axis.legend(frameon=False, labelcolor=curves.INK, fontsize=9, loc="lower left")
    curves.style(axis)
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True)
    return text.getvalue()[text.getvalue().index("<svg") :]
