"""`report.html`: one self-contained page about a run."""

import base64
import io
import pathlib

import jinja2
from PIL import Image

from official import atomic
from official.report import (
    confusion,
    curves,
    history,
    layer_errors,
    precision_recall,
    predictions,
    result,
)

_PICTURE_WIDTH = 1400
_SAMPLES = pathlib.Path("predictions") / predictions.TRAINING

_ClassRow = tuple[str, list[float | None]]
"""A class, and its value in every row of the result."""


def write(run_dir: pathlib.Path) -> pathlib.Path:
    """Draws the page from what lies in the run folder; returns its path.

    What is not there yet (a run that has not been exported) is left out.
    """
    found = result.read(run_dir)
    rows = history.read(run_dir / "metrics.csv")
    metric = found.get("metric", "")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("official.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["words"] = _words
    results = found.get("rows", [])
    confused = confusion.read(run_dir)
    precisions = precision_recall.read(run_dir)
    page = environment.get_template("report.html.jinja").render(
        result=found,
        metrics=_overall(results, metric),
        tables=_by_class(results),
        curves=curves.svg(rows, _plots(rows, metric)) if rows else "",
        pictures=[_data_url(path) for path in _pictures(run_dir)],
        samples=[_data_url(path) for path in [run_dir / _SAMPLES] if path.exists()],
        confusion=_png_url(run_dir / confusion.PICTURE) if confused else "",
        pairs=confusion.pairs(*confused) if confused else [],
        precision=precision_recall.svg(precisions) if precisions else "",
        errors=[
            (name, found, layer_errors.svg(found["layers"]), layer_errors.worst)
            for name, found in layer_errors.read(run_dir).items()
            if found["layers"]
        ],
        config=(run_dir / "config.gin").read_text(),
    )
    file = run_dir / "report.html"
    atomic.write(file, page)
    return file


def _overall(rows: list[result.Row], metric: str) -> list[str]:
    """Names of what is measured over all classes, the main metric first."""
    names = dict.fromkeys(key for row in rows for key in row["metrics"])
    return sorted((name for name in names if "/" not in name), key=metric.__ne__)


def _by_class(rows: list[result.Row]) -> list[tuple[str, list[_ClassRow]]]:
    """What is measured of each class: tables by the word before the slash."""
    keys = dict.fromkeys(key for row in rows for key in row["metrics"] if "/" in key)
    tables: dict[str, list[_ClassRow]] = {}
    for key in keys:
        measure, _, name = key.partition("/")
        values = [row["metrics"].get(key) for row in rows]
        tables.setdefault(measure, []).append((name, values))
    return list(tables.items())


def _plots(rows: list[dict[str, str]], metric: str) -> list[list[str]]:
    """Columns that share a plot: losses, metrics over all classes, the rate."""
    names = dict.fromkeys(name for row in rows for name in row)
    judged = [n for n in names if n.startswith("val_") and "/" not in n]
    main = f"val_{metric}"
    others = [name for name in judged if name not in (main, "val_loss")]
    return [["loss", "val_loss"], [main, *others[:3]], ["learning_rate"]]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _pictures(run_dir: pathlib.Path) -> list[pathlib.Path]:
    """By number, then the others by name."""
    found = (run_dir / "predictions").glob("*.png")
    found = (path for path in found if path != run_dir / _SAMPLES)
    return sorted(found, key=lambda path: (not path.stem.isdigit(), path.name))


def _data_url(path: pathlib.Path) -> str:
    with Image.open(path) as picture:
        picture.thumbnail((_PICTURE_WIDTH, _PICTURE_WIDTH))
        content = io.BytesIO()
        picture.convert("RGB").save(content, "JPEG", quality=85)
    text = base64.b64encode(content.getvalue()).decode()
    return f"data:image/jpeg;base64,{text}"


def _png_url(path: pathlib.Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
