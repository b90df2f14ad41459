"""`run.json`: what was trained on what, when, where and by which command."""

import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from official import atomic

FILE = "run.json"
_KEPT = 8
"""Of the last starts; those between the first and these are only counted."""


def begin(
    run_dir: pathlib.Path,
    facts: Mapping[str, Any],
    start: Mapping[str, Any],
    *,
    goes_on: bool,
) -> None:
    """Writes what is known when a training starts, or goes on.

    Args:
        facts: "network", "data" and "training", which replace those of before.
        start: Where and by which command; comes after those of earlier starts.
        goes_on: There were earlier starts, of which nothing may be known.
    """
    found = read(run_dir) if goes_on else {}
    starts = [*found.get("starts", [{}] if goes_on else []), dict(start)]
    # Of a run that is preempted every hour the first and the last are of interest.
    gone = starts[1:-_KEPT] if len(starts) > _KEPT + 1 else []
    before = found.get("between", {"starts": 0, "seconds": 0.0, "unknown": 0})
    between = {
        "starts": before["starts"] + len(gone),
        "seconds": before["seconds"] + sum(each.get("seconds", 0) for each in gone),
        "unknown": before["unknown"] + sum("seconds" not in each for each in gone),
    }
    starts = [starts[0], *starts[len(gone) + 1 :]]
    _write(run_dir, {**facts, "starts": starts, "between": between})


def end(run_dir: pathlib.Path, seconds: float) -> None:
    """Notes how long the last start took, to whatever end."""
    found = read(run_dir)
    if found:
        found["starts"][-1]["seconds"] = round(seconds, 1)
        _write(run_dir, found)


def forget(run_dir: pathlib.Path) -> None:
    """Takes the last start back: nothing was left to train."""
    found = read(run_dir)
    if found:
        _write(run_dir, {**found, "starts": found["starts"][:-1]})


def read(run_dir: pathlib.Path) -> dict[str, Any]:
    """As `begin` left it; empty if there is none."""
    file = run_dir / FILE
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values for a person; what is not known has no row."""
    every = [*_network(found), *_data(found), *_training(found), *_starts(found)]
    return [(name, value) for name, value in every if value]


def _write(run_dir: pathlib.Path, content: Mapping[str, Any]) -> None:
    atomic.write(run_dir / FILE, json.dumps(content, indent=1) + "\n")


def _network(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    network = found.get("network", {})
    for name in ("task", "backbone", "head"):
        yield name, network.get(name) or ""
    if count := network.get("parameters"):
        trained = network.get("trained", count)
        share = "" if trained == count else f", {trained:,} of them trained"
        yield "weights", f"{count:,}{share}"
    if size := network.get("input"):
        yield "input", f"{size[0]} x {size[1]} pixels (height x width)"


def _data(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    data = found.get("data", {})
    yield "data", ", ".join(filter(None, (data.get("kind"), data.get("where"))))
    if "training" in data:
        counts = (f"{data[name]:,} {name}" for name in ("training", "evaluation"))
        yield "images", ", ".join(counts)
    if classes := data.get("classes"):
        yield "classes", str(classes)


def _training(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    training = found.get("training", {})
    if training:
        yield "started from", training.get("weights") or "random weights"
    for name in ("epochs", "batch", "optimizer", "precision", "seed", "quantization"):
        value = training.get(name)
        yield name, "" if value is None else str(value)


def _starts(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    starts = found.get("starts", [])
    if not starts:
        return
    yield "training took", _took(starts, found.get("between", {}))
    dates = [each["date"] for each in (starts[0], starts[-1]) if each.get("date")]
    yield "date", " to ".join(dict.fromkeys(dates))
    for name in ("processor", "cores", "devices", "versions", "commit"):
        values = [str(each[name]) for each in starts if each.get(name)]
        yield name, ", then ".join(dict.fromkeys(values))


def _took(starts: Sequence[Mapping[str, Any]], between: Mapping[str, Any]) -> str:
    known = [each["seconds"] for each in starts if "seconds" in each]
    if not known:
        return ""
    count = len(starts) + between.get("starts", 0)
    # One that was killed could not say how long it took.
    unknown = len(starts) - len(known) + between.get("unknown", 0)
    least = "at least " if unknown else ""
    pieces = "" if count == 1 else f", in {count} starts"
    return f"{least}{_duration(sum(known) + between.get('seconds', 0.0))}{pieces}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
