"""`report.html`: one self-contained page about a run."""

import base64
import io
import pathlib
from typing import Any

import jinja2
from PIL import Image

from official import atomic
from official.report import curves, history, result

_PICTURE_WIDTH = 1400


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
    page = environment.get_template("report.html.jinja").render(
        result=found,
        classes=_classes(found.get("rows", [])),
        curves=curves.svg(
            rows, [["loss"], [f"val_{metric}", "val_pixel_accuracy"], ["learning_rate"]]
        )
        if rows
        else "",
        pictures=[_data_url(path) for path in _pictures(run_dir)],
        config=(run_dir / "config.gin").read_text(),
    )
    file = run_dir / "report.html"
    atomic.write(file, page)
    return file


def _classes(rows: list[dict[str, Any]]) -> list[tuple[str, list[float | None]]]:
    """IoU of each class, for every row of the result."""
    names = list(
        dict.fromkeys(
            key for row in rows for key in row["metrics"] if key.startswith("iou/")
        )
    )
    return [
        (name.removeprefix("iou/"), [row["metrics"].get(name) for row in rows])
        for name in names
    ]


def _pictures(run_dir: pathlib.Path) -> list[pathlib.Path]:
    return sorted((run_dir / "predictions").glob("*.png"))


def _data_url(path: pathlib.Path) -> str:
    with Image.open(path) as picture:
        picture.thumbnail((_PICTURE_WIDTH, _PICTURE_WIDTH))
        content = io.BytesIO()
        picture.convert("RGB").save(content, "JPEG", quality=85)
    text = base64.b64encode(content.getvalue()).decode()
    return f"data:image/jpeg;base64,{text}"
