"""The list of classes that lies beside a folder of masks."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence

from official import failures, spelling
from official.data import base, palettes, text_file

NO_CLASS = frozenset({"ignore", "void"})
"""Names, in any case, of entries whose pixels count as unlabelled."""

_LARGEST_NUMBER = 2**16 - 1  # that a label map stores


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassList:
    """Classes in the order of their ids, and how a mask stores them.

    Attributes:
        names: Of the classes.
        palette: A color for each class.
        numbers: Class id, or `IGNORE_LABEL`, of each number in an indexed mask.
        colors: The same for each color in a color mask; empty if no colors were listed.
        thing_ids: Classes that are things, increasing; None if the list does not say.
    """

    names: tuple[str, ...]
    palette: tuple[base.Color, ...]
    numbers: dict[int, int]
    colors: dict[base.Color, int]
    thing_ids: tuple[int, ...] | None = None


def read(folder: pathlib.Path, *, ignore_label: int | None) -> ClassList:
    """The list of `classes.json` or, without one, of `classes.txt`.

    `classes.json` holds `{"classes": [name, ...], "ignore_index": number,
    "palette": [[r, g, b], ...], "things": [name, ...]}`, the last three optional;
    `classes.txt` a line `name` or `name r g b` for each class. The place in the list is
    the number in indexed masks. Entries named "ignore" or "void" are no class: the
    classes after them move up.

    Args:
        ignore_label: Another number for unlabelled pixels; overrides the file's.

    Raises:
        failures.DataError: If there is no list, or a faulty one.
    """
    path = folder / "classes.json"
    if path.exists():
        names, colors, number, things = _from_json(path)
        made = make(
            names,
            colors,
            ignore_label=number if ignore_label is None else ignore_label,
            source=str(path),
        )
        return made if things is None else with_things(made, things, source=str(path))
    path = folder / "classes.txt"
    if path.exists():
        names, colors = _from_text(path)
        return make(names, colors, ignore_label=ignore_label, source=str(path))
    raise failures.DataError(
        f"{folder} has neither classes.json nor classes.txt: write the names of the "
        "classes into classes.txt, a line each, or set dataset.classes"
    )


def make(
    names: Sequence[str],
    colors: Sequence[base.Color] | None,
    *,
    ignore_label: int | None,
    source: str,
) -> ClassList:
    """A list of given entries; `source` names where they came from in messages.

    Raises:
        failures.DataError: If names or colors repeat, their numbers differ, or no label
            map can store `ignore_label`.
    """
    _require_unique(names, what="class", source=source)
    if colors is not None:
        if len(colors) != len(names):
            raise failures.DataError(
                f"{source}: {len(names)} classes but {len(colors)} colors"
            )
        _require_unique(colors, what="color", source=source)
    kept = [place for place, name in enumerate(names) if name.lower() not in NO_CLASS]
    if not 1 <= len(kept) <= base.IGNORE_LABEL:
        raise failures.DataError(f"{source}: {len(kept)} classes; want 1 to 255")
    ids = dict.fromkeys(range(len(names)), base.IGNORE_LABEL)
    ids |= {place: class_id for class_id, place in enumerate(kept)}
    unlabelled = [base.IGNORE_LABEL]
    if ignore_label is not None:
        _require_storable(ignore_label, source=source)
        unlabelled.append(ignore_label)
    return ClassList(
        names=tuple(names[place] for place in kept),
        palette=tuple(colors[place] for place in kept)
        if colors
        else palettes.named([names[place] for place in kept]),
        numbers=ids | dict.fromkeys(unlabelled, base.IGNORE_LABEL),
        colors={color: ids[place] for place, color in enumerate(colors or ())},
    )


def with_things(classes: ClassList, things: Sequence[str], *, source: str) -> ClassList:
    """A list that says which of its classes are things, by their names.

    Raises:
        failures.DataError: If a name is there twice, or is none of a class.
    """
    _require_unique(things, what="thing", source=source)
    for name in things:
        if name not in classes.names:
            raise failures.DataError(
                f"{source}: thing {name!r} is no class"
                f"{spelling.hint(name, classes.names)} (write it as in the list of "
                "classes)"
            )
    ids = sorted(classes.names.index(name) for name in things)
    return dataclasses.replace(classes, thing_ids=tuple(ids))


def _require_unique(values: Sequence[object], *, what: str, source: str) -> None:
    repeated = [value for value in values if values.count(value) > 1]
    if repeated:
        raise failures.DataError(f"{source}: {what} {repeated[0]!r} is listed twice")


def _require_storable(ignore_label: int, *, source: str) -> None:
    if not 0 <= ignore_label <= _LARGEST_NUMBER:
        raise failures.DataError(
            f"{source}: no mask stores {ignore_label} for unlabelled pixels; want 0 to "
            f"{_LARGEST_NUMBER} (dataset.ignore_label, or ignore_index in classes.json)"
        )


def _from_json(
    path: pathlib.Path,
) -> tuple[list[str], list[base.Color] | None, int | None, list[str] | None]:
    text = text_file.read(path)
    try:
        content = json.loads(text)
        names = [str(name) for name in _listed(content["classes"])]
        palette = content.get("palette")
        colors = None if palette is None else [_color(color) for color in palette]
        number = content.get("ignore_index")
        things = content.get("things")
        return (
            names,
            colors,
            None if number is None else int(number),
            None if things is None else [str(name) for name in _listed(things)],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise failures.DataError(
            f'{path}: want {{"classes": ["road", ...], "ignore_index": 255, "palette": '
            f'[[r, g, b], ...], "things": ["car", ...]}}, the last three optional '
            f"({error!r})"
        ) from error


def _listed(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError(f"want a list of names, got {value!r:.60}")
    return value


def _from_text(path: pathlib.Path) -> tuple[list[str], list[base.Color] | None]:
    lines = [line.split() for line in text_file.read(path).splitlines()]
    rows = [words for words in lines if words]
    colored = [
        len(words) > 3 and all(word.isdecimal() for word in words[-3:])
        for words in rows
    ]
    if not any(colored):
        return [" ".join(words) for words in rows], None
    if not all(colored):
        plain = " ".join(rows[colored.index(False)])
        raise failures.DataError(
            f"{path}: {plain!r} has no color and others have; want 'name r g b' in "
            "every line, or in none"
        )
    try:
        return [" ".join(w[:-3]) for w in rows], [_color(w[-3:]) for w in rows]
    except ValueError as error:
        raise failures.DataError(f"{path}: {error}") from error


def _color(values: Sequence[object]) -> base.Color:
    red, green, blue = (int(str(value)) for value in values)
    if not all(0 <= value <= 255 for value in (red, green, blue)):
        raise ValueError(f"color {(red, green, blue)}: want values from 0 to 255")
    return red, green, blue
