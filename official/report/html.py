"""`report.html`: one self-contained page about a run."""

import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import jinja2

from official import atomic
from official.report import (
    by_class,
    commands,
    confusion,
    curves,
    facts,
    history,
    layer_errors,
    overview,
    pictures,
    precision_recall,
    reliability,
    result,
)

_ACRONYMS = ("ap", "ap50", "ap75", "pq", "rq", "sq", "voc")
_MOST_METRICS = 3  # beside size and latency


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        anchor: Its address within the page, and the name of its template in `page/`.
        title: In the line of contents; one without a title is not there.
        content: What the template is given, as `it`.
    """

    anchor: str
    title: str
    content: Any


def write(run_dir: pathlib.Path) -> pathlib.Path:
    """Draws the page from what lies in the run folder; returns its path.

    What is not there (a run that has not been exported) is left out.
    """
    found = result.read(run_dir)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("official.report", "page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"words": _words, "title": _title}
    page = environment.get_template("page.html.jinja").render(
        title=found.get("experiment") or "run",
        sections=[each for each in _sections(run_dir, found) if each.content],
    )
    file = run_dir / "report.html"
    atomic.write(file, page)
    return file


def _sections(run_dir: pathlib.Path, found: dict[str, Any]) -> Iterator[Section]:
    """All parts in their order; what there is nothing to show of has no content."""
    rows: list[result.Row] = found.get("rows", [])
    told = facts.read(run_dir)
    yield Section("facts", "", facts.rows(told))
    yield Section("results", "Results", _results(found) if rows else None)
    yield Section("data", "Data", _data(run_dir))
    yield Section("curves", "Curves", _curves(run_dir, found.get("metric", "")))
    yield Section("predictions", "Predictions", pictures.groups(run_dir))
    tables = {"tables": by_class.tables(rows), "models": [row["name"] for row in rows]}
    yield Section("classes", "Classes", tables if tables["tables"] else None)
    yield Section("confusion", "Confusion", _confusion(run_dir))
    precisions = precision_recall.read(run_dir)
    curve = precision_recall.svg(precisions) if precisions else None
    yield Section("precision", "Precision and recall", curve)
    yield Section("calibration", "Calibration", reliability.section(found))
    yield Section("layers", "Quantization error", _layers(run_dir))
    mapped = [row for row in rows if "edgetpu" in row]
    yield Section("edgetpu", "EdgeTPU", mapped)
    yield Section("commands", "Commands", _commands(run_dir, told, found))
    config = (run_dir / "config.gin").read_text(encoding="utf-8")
    yield Section("configuration", "Configuration", config)


def _results(found: dict[str, Any]) -> dict[str, Any]:
    """Size and latency stand beside what counts, not beyond twenty other figures."""
    metrics = _overall(found["rows"], found["metric"])
    first = len(metrics) if len(metrics) <= _MOST_METRICS else 1
    return {"result": found, "metrics": metrics[:first], "others": metrics[first:]}


def _overall(rows: list[result.Row], metric: str) -> list[str]:
    """Names of what is measured over all classes, the main metric first."""
    names = dict.fromkeys(key for row in rows for key in row["metrics"])
    return sorted((name for name in names if "/" not in name), key=metric.__ne__)


def _data(run_dir: pathlib.Path) -> dict[str, Any] | None:
    content = {
        "found": overview.read(run_dir),
        "samples": pictures.samples(run_dir),
    }
    return content if any(content.values()) else None


def _curves(run_dir: pathlib.Path, metric: str) -> str | None:
    rows = history.read(run_dir / "metrics.csv")
    return curves.svg(rows, _plots(rows, metric)) if rows else None


def _plots(rows: list[dict[str, str]], metric: str) -> list[list[str]]:
    """Columns that share a plot: losses, metrics over all classes, the rate."""
    names = dict.fromkeys(name for row in rows for name in row)
    judged = [n for n in names if n.startswith("val_") and "/" not in n]
    main = f"val_{metric}"
    others = [name for name in judged if name not in (main, "val_loss")]
    return [["loss", "val_loss"], [main, *others[:3]], ["learning_rate"]]


def _confusion(run_dir: pathlib.Path) -> dict[str, Any] | None:
    found = confusion.read(run_dir)
    if found is None:
        return None
    picture = pictures.png_url(run_dir / confusion.PICTURE)
    return {"picture": picture, "pairs": confusion.pairs(*found)}


def _layers(run_dir: pathlib.Path) -> list[tuple[Any, ...]]:
    return [
        (name, found, layer_errors.svg(found["layers"]), layer_errors.worst)
        for name, found in layer_errors.read(run_dir).items()
        if found["layers"]
    ]


def _commands(
    run_dir: pathlib.Path, told: dict[str, Any], found: dict[str, Any]
) -> dict[str, Any] | None:
    groups = [
        ("This run", commands.reproduction(told)),
        ("Its files", commands.use(told, found, run_dir)),
    ]
    if not any(lines for _, lines in groups):
        return None
    return {"groups": groups, "snippet": commands.snippet(told, found, run_dir)}


def _words(name: str) -> str:
    """Of a figure, for people: "mean IoU"."""
    words = (w.upper() if w in _ACRONYMS else w for w in name.split("_"))
    return " ".join("IoU" if word == "iou" else word for word in words)


def _title(name: str) -> str:
    words = _words(name)
    return words[:1].upper() + words[1:]
