"""The pictures of a run folder, as they stand in the page."""

import base64
import io
import pathlib
import re
from collections.abc import Mapping
from typing import NamedTuple

from PIL import Image

from official.report import extremes, predictions

_WIDTH = 1400
_LEAST, _SHEET = 640, 1000
_FOLDER = "predictions"
_TITLES = {
    "worst": "Worst",
    "best": "Best",
    "mistakes": "Mistakes",
    "": "Spread evenly over the evaluation set",
}


class Picture(NamedTuple):
    """A picture as an address of data, and what stands above it."""

    url: str
    caption: str


class Group(NamedTuple):
    """Pictures below a heading; `least` is the width that their text wants, pixels."""

    title: str
    text: str
    pictures: list[Picture]
    least: int


def groups(run_dir: pathlib.Path) -> list[Group]:
    """The predictions that were drawn; without a group that has none."""
    chosen = extremes.read(run_dir / _FOLDER)
    values = chosen.get("values", {})
    found = []
    for kind, paths in ordered(run_dir).items():
        shown = []
        for path in paths:
            value = values.get(path.stem)
            caption = "" if value is None else f"{value:.3f}"
            shown.append(Picture(_jpeg_url(path), caption))
        least = _SHEET if kind == "mistakes" else _LEAST
        if shown:
            found.append(Group(_TITLES[kind], _text(kind, chosen), shown, least))
    return found


def _text(kind: str, chosen: Mapping[str, str]) -> str:
    if kind == "mistakes":
        return "Those that the model was most sure of."
    if kind in extremes.KINDS and chosen:
        return (
            f"By the {chosen['by']}, of {chosen['model']}; the number is that figure."
        )
    return ""


def ordered(run_dir: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """Files by kind: of `extremes.KINDS`, "mistakes", and "" for the others."""
    found: dict[str, list[pathlib.Path]] = {kind: [] for kind in _TITLES}
    files = (run_dir / _FOLDER).glob("*.png")
    for path in sorted(files, key=_number):
        kind = path.stem.partition("_")[0]
        if path.name != predictions.TRAINING:
            found[kind if kind in (*extremes.KINDS, "mistakes") else ""].append(path)
    return found


def samples(run_dir: pathlib.Path) -> list[str]:
    """The picture of training images, if there is one."""
    file = run_dir / _FOLDER / predictions.TRAINING
    return [_jpeg_url(file)] if file.exists() else []


def png_url(path: pathlib.Path) -> str:
    """A file as it is."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _number(path: pathlib.Path) -> tuple[int, str]:
    """By number, then the others by name."""
    digits = re.search(r"\d+$", path.stem)
    return (int(digits[0]) if digits else 1_000_000, path.name)


def _jpeg_url(path: pathlib.Path) -> str:
    with Image.open(path) as picture:
        picture.thumbnail((_WIDTH, _WIDTH))
        content = io.BytesIO()
        picture.convert("RGB").save(content, "JPEG", quality=85)
    text = base64.b64encode(content.getvalue()).decode()
    return f"data:image/jpeg;base64,{text}"
