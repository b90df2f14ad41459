"""The commands that made a run, and those that use its files."""

import argparse
import pathlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from official.report import result

_SNIPPET = """\
import json
import pathlib

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps

file = pathlib.Path({file!r})
description = json.loads(file.with_suffix(".json").read_text())
run = Interpreter(str(file)).get_signature_runner()
(given,) = description["inputs"]
_, height, width, _ = given["shape"]
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
share = description["preprocessing"]["shown_share"]
if share:  # of the largest window of that shape, about the center
    scale = min(photo.height / height, photo.width / width)
    size = round(share * scale * width), round(share * scale * height)
    left, top = (photo.width - size[0]) // 2, (photo.height - size[1]) // 2
    photo = photo.crop((left, top, left + size[0], top + size[1]))
# Pillow smooths where it shrinks, which the training's resize does not.
pixels = np.asarray(photo.resize((width, height), Image.BILINEAR), "float32")[None]
if given["dtype"] == "int8":
    pixels -= 128
pixels = pixels.astype(given["dtype"])
for name, values in run(**{{given["name"]: pixels}}).items():
    print(name, values.shape, description["postprocessing"][name])
    if name in ("logits", "scores") and values.ndim == 2:
        print(description["class_names"][values.argmax()])
"""


class Command(NamedTuple):
    """What it does, and what to type."""

    does: str
    line: str


def reproduction(facts: Mapping[str, Any]) -> list[Command]:
    """As the run was started and continued; empty where no command did that.

    Args:
        facts: From `facts.read`.
    """
    starts = facts.get("starts", [])
    lines = [each["arguments"] for each in starts if each.get("arguments")]
    found = dict.fromkeys(_typed(("python", "train.py", *given)) for given in lines)
    first = "train, evaluate and export"
    return [
        Command(f"{first}, going on" if place else first, line)
        for place, line in enumerate(found)
    ]


def use(
    facts: Mapping[str, Any], found: Mapping[str, Any], run_dir: pathlib.Path
) -> list[Command]:
    """For the files of a run; empty where it has none.

    Args:
        facts: From `facts.read`.
        found: From `result.read`.
        run_dir: Where it is, for want of a command that says so.
    """
    rows = [row for row in found.get("rows", []) if "file" in row]
    if not rows:
        return []
    folder = _folder(facts, found, run_dir)
    return list(_use(rows, folder, found.get("experiment", "")))


def snippet(
    facts: Mapping[str, Any], found: Mapping[str, Any], run_dir: pathlib.Path
) -> str:
    """A file in Python, without this project; empty where there is none here."""
    rows = [row for row in found.get("rows", []) if "file" in row]
    if not rows:
        return ""
    folder = _folder(facts, found, run_dir)
    if "://" in folder:
        return ""
    return _SNIPPET.format(file=f"{folder}/export/{rows[_best(rows)]['file']}")


def _use(rows: Sequence[result.Row], folder: str, experiment: str) -> Iterator[Command]:
    base = ("python", "-m", "tflite_export")
    if "://" not in folder:  # only `export` reads from elsewhere
        files = [f"{folder}/export/{row['file']}" for row in rows]
        best = files[_best(rows)]
        yield Command("draw photographs", _typed((*base, "predict", best, "photo.jpg")))
        flag = f"--experiment={experiment}"
        yield Command("metrics", _typed((*base, "evaluate", best, flag)))
        yield Command("latency and memory", _typed((*base, "benchmark", *files)))
        for file, row in zip(files, rows, strict=True):
            if "edgetpu" in row:
                check = (*base, "check", file, "--target=edgetpu")
                does = f"what Coral's EdgeTPU takes of {row['name']}, op by op"
                yield Command(does, _typed(check))
    yield Command("export anew", _typed((*base, "export", f"--run_dir={folder}")))


def _best(rows: Sequence[result.Row]) -> int:
    """The smallest file, which is what an app wants, of those that passed if any."""
    order = [
        (row.get("gate") != "passed", row.get("size_bytes") or 0, place)
        for place, row in enumerate(rows)
    ]
    return min(order)[2]


def _folder(
    facts: Mapping[str, Any], found: Mapping[str, Any], run_dir: pathlib.Path
) -> str:
    """The run folder as it was given."""
    given = [each.get("arguments") for each in facts.get("starts", [])]
    if not given or not given[-1]:
        return run_dir.as_posix()
    flags = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    flags.add_argument("--run_dir", default=f"runs/{found.get('experiment')}")
    known, _ = flags.parse_known_args(given[-1])
    return known.run_dir.rstrip("/")


def _typed(words: Sequence[str]) -> str:
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    """For a shell; in double quotes where the word has single ones, as bindings do."""
    if "'" in word and not set(word) & set('"$`\\!'):
        return f'"{word}"'
    return shlex.quote(word)
