"""Which classes are taken for which."""

import csv
import dataclasses
import io
import pathlib
from collections.abc import Sequence

import numpy as np

from official import atomic

TABLE = "confusion.csv"
PICTURE = "confusion.png"

_MOST_NUMBERS = 20
_MOST_NAMES = 80


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
    """A class that is taken for another.

    Attributes:
        truth: What it is.
        prediction: What it is said to be.
        count: How often: images, pixels, or objects.
        share: Of all that are `truth`.
    """

    truth: str
    prediction: str
    count: int
    share: float


def write(
    run_dir: pathlib.Path, counts: np.ndarray | None, class_names: Sequence[str]
) -> None:
    """Writes `TABLE` and `PICTURE`; without counts removes those of before.

    Args:
        counts: `[truth, prediction]`.
    """
    table, picture = run_dir / TABLE, run_dir / PICTURE
    if counts is None:
        table.unlink(missing_ok=True)
        picture.unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["truth / prediction", *class_names])
    for name, row in zip(class_names, counts, strict=True):
        writer.writerow([name, *(int(count) for count in row)])
    atomic.write(table, text.getvalue())
    atomic.write(picture, png(counts, class_names))


def read(run_dir: pathlib.Path) -> tuple[np.ndarray, list[str]] | None:
    """Counts and class names as `write` left them, or None."""
    file = run_dir / TABLE
    if not file.exists():
        return None
    with file.open(newline="", encoding="utf-8") as lines:
        (_, *names), *rows = csv.reader(lines)
    return np.array([[int(count) for count in row[1:]] for row in rows]), names


def pairs(
    counts: np.ndarray, class_names: Sequence[str], *, most: int = 12
) -> list[Pair]:
    """The most frequent mistakes, the worst first; at most `most`."""
    wrong = counts - np.diag(np.diag(counts))
    totals = counts.sum(axis=1)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    found = []
    for truth, prediction in zip(*np.unravel_index(order, wrong.shape), strict=True):
        count = int(wrong[truth, prediction])
        if count:
            share = count / int(totals[truth])
            names = class_names[truth], class_names[prediction]
            found.append(
                Pair(truth=names[0], prediction=names[1], count=count, share=share)
            )
    return found


def png(counts: np.ndarray, class_names: Sequence[str]) -> bytes:
    """A picture of the shares of each row: of all that are of a class.

    Counts are written into the cells while they are few, names beside them while they
    can be read. Of many classes small shares are drawn darker than they are, so that a
    single cell is seen.
    """
    from matplotlib.backends import backend_agg
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    classes = len(class_names)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    inches = float(np.clip(3.5 + 0.42 * classes, 5, 11))
    figure = Figure(figsize=(inches + 1, inches), layout="constrained", dpi=110)
    backend_agg.FigureCanvasAgg(figure)
    axis = figure.subplots()
    norm = PowerNorm(1.0 if classes <= _MOST_NUMBERS else 0.4, vmin=0, vmax=1)
    # Neighboring pixels of a large matrix would be dropped by "nearest".
    smooth = "antialiased" if classes <= _MOST_NAMES else "hanning"
    image = axis.imshow(shares, cmap="Blues", norm=norm, interpolation=smooth)
    bar = figure.colorbar(image, ax=axis, fraction=0.04)
    bar.set_label("share of what is of a class: images, pixels or objects")
    axis.set_xlabel("prediction")
    axis.set_ylabel("truth")
    if classes <= _MOST_NAMES:
        size = 9 if classes <= _MOST_NUMBERS else 6
        names = [name if len(name) <= 24 else f"{name[:23]}…" for name in class_names]
        axis.set_xticks(range(classes), names, rotation=90, fontsize=size)
        axis.set_yticks(range(classes), names, fontsize=size)
    if classes <= _MOST_NUMBERS:
        _write_numbers(axis, counts, shares)
    content = io.BytesIO()
    figure.savefig(content, format="png", bbox_inches="tight")
    return content.getvalue()


def _write_numbers(axis, counts: np.ndarray, shares: np.ndarray) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if count:
            axis.text(
                column,
                row,
                brief(int(count)),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if shares[row, column] > 0.5 else "black",
            )


def brief(count: int) -> str:
    """About two digits and a unit: of pixels there are many."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            digits = 1 if count < 10 * size else 0
            return f"{count / size:.{digits}f}{unit}"
    return str(count)
