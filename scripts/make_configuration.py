"""docs/configuration.md: every component and field, from the dataclasses.

    python scripts/make_configuration.py [--check]

`--check` only says whether the page is as it would be written: exit status 1 if not.
"""

import argparse
import dataclasses
import inspect
import pathlib
import re
import sys
import typing
from collections.abc import Iterator
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

PAGE = ROOT / "docs" / "configuration.md"
HEAD = """\
# Configuration reference

Written by `python scripts/make_configuration.py`. Every row is a field that a binding
sets (`--set "task.backbone.width_multiplier = 0.5"`, [settings.md](settings.md)); a
field that holds a component takes one by its name (`--set "task.backbone =
@MobileNetV2()"`). Where no default stands, a value is needed.
"""


def page() -> str:
    """The text of the page."""
    from official import annotations, experiment

    lines = [HEAD]
    waiting: list[type] = [experiment.Experiment]
    known: set[type] = set()
    while waiting:
        kind = waiting.pop(0)
        if kind in known:
            continue
        known.add(kind)
        family = annotations.components(kind)
        for one in family.values() if family else [kind]:
            if one is not kind:
                known.add(one)
            lines += _section(one)
            for annotation in annotations.of_fields(one).values():
                waiting += list(_dataclasses(annotation))
    return "\n".join(lines)


def _section(kind: type) -> Iterator[str]:
    from official import annotations

    summary, told = _documented(kind)
    yield f"\n## {kind.__name__}\n"
    yield f"{summary} (`{kind.__module__}`)\n"
    fields = [field for field in dataclasses.fields(kind) if field.init]
    if not fields:
        yield "No fields.\n"
        return
    yield "| field | takes | default | |"
    yield "|---|---|---|---|"
    hints = annotations.of_fields(kind)
    for field in fields:
        takes = annotations.describe(hints[field.name]).replace("|", "or")
        yield (
            f"| `{field.name}` | {takes} | {_default(field)} | "
            f"{told.get(field.name, '').replace('|', 'or')} |"
        )


def _default(field: Any) -> str:
    if field.default is not dataclasses.MISSING:
        value = field.default
    elif field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    else:
        return ""
    if dataclasses.is_dataclass(value):
        return f"`@{type(value).__name__}(...)`"
    return f"`{value!r}`".replace("|", "\\|")


def _documented(kind: type) -> tuple[str, dict[str, str]]:
    """What a class is, and what it and its bases say of their fields."""
    told: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        text = inspect.cleandoc(base.__dict__.get("__doc__") or "")
        attributes = text.partition("Attributes:\n")[2]
        for match in re.finditer(
            r"^    (\w+): (.*(?:\n {6,}.*|\n(?=\n {6,}))*)", attributes, re.MULTILINE
        ):
            told[match[1]] = " ".join(match[2].split())
    summary = inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0]
    return " ".join(summary.split()), told


def _dataclasses(annotation: Any) -> Iterator[type]:
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _dataclasses(argument)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    text = page()
    if given.check:
        return int(not PAGE.exists() or PAGE.read_text() != text)
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
