"""A table of what splits hold once their examples were read, and warnings."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import rich.table

from official import spelling
from official.data import base
from official.data import looked_over as looked_over_lib
from official.report import terminal

_SHOWN = 12  # classes
_NAMED = 3  # examples in a line
_COMPARED = 300  # classes, each with each


def show(
    found: Mapping[str, looked_over_lib.LookedOver], class_names: Sequence[str]
) -> tuple[list[rich.table.Table], list[str]]:
    """Prints a column for each split, then what is odd about them.

    Args:
        found: By split, the training's first; nothing is printed of none.

    Returns:
        What was printed: the table, and the warnings.
    """
    if not found:
        return [], []
    rows = [(name, *cells) for name, cells in _rows(found, class_names)]
    table = terminal.table("images", ("", *found), rows)
    warnings = list(_odd(found, class_names))
    terminal.console.print(table)
    for line in warnings:
        terminal.console.print(f"warning: {line}")
    return [table], warnings


def _rows(
    found: Mapping[str, looked_over_lib.LookedOver], class_names: Sequence[str]
) -> Iterator[tuple[str, list[str]]]:
    splits = list(found.values())
    yield "can be read", [str(one.count) for one in splits]
    if not all(one.whole for one in splits):
        # Looked at are those spread evenly over a split.
        yield "of", [_part(one) for one in splits]
    yield "height, least .. median .. most", [_spread(one.heights) for one in splits]
    yield "width", [_spread(one.widths) for one in splits]
    if any(one.mapped not in (0, one.count) for one in splits):
        yield "maps read, spread evenly", [str(one.mapped) for one in splits]
    for number, name in enumerate(class_names[:_SHOWN]):
        if any(one.classes for one in splits):
            yield f"images of {name}", [str(one.classes[number]) for one in splits]
        elif any(one.pixels.any() for one in splits):
            yield f"pixels of {name}", [_share(one.pixels, number) for one in splits]
    if any(one.pixels[base.IGNORE_LABEL] for one in splits):
        yield (
            "pixels without a class",
            [_share(one.pixels, base.IGNORE_LABEL) for one in splits],
        )
    if any(one.repeated for one in splits):
        yield "pictures more than once", [str(len(one.repeated)) for one in splits]


def _odd(
    found: Mapping[str, looked_over_lib.LookedOver], class_names: Sequence[str]
) -> Iterator[str]:
    for split, one in found.items():
        # Of a part, a class that is missing tells nothing.
        if one.wholly_mapped and (names := one.unseen(class_names)):
            yield f"{split!r} has nothing of {_few(names)}"
        if pairs := [f"{a} = {b}" for a, b, *_ in one.repeated]:
            yield f"{split!r} has {len(pairs)} pictures more than once: {_few(pairs)}"
    for place, name in enumerate(class_names[:_COMPARED]):
        for other in class_names[place + 1 : _COMPARED]:
            if spelling.same_word(name, other):
                yield f"classes {name!r} and {other!r} may be one, written in two ways"
    splits = list(found.items())
    for place, (split, one) in enumerate(splits):
        for other, two in splits[place + 1 :]:
            if shared := one.shared(two):
                pairs = [f"{a} = {b}" for a, b in shared]
                yield (
                    f"{len(shared)} pictures are in both {split!r} and {other!r}, so "
                    f"the figures will be too good: {_few(pairs)}"
                )


def _part(one: looked_over_lib.LookedOver) -> str:
    return "all" if one.whole else f"{one.total}, spread evenly"


def _spread(values: Sequence[int]) -> str:
    return f"{min(values)} .. {int(np.median(values))} .. {max(values)}"


def _share(pixels: np.ndarray, number: int) -> str:
    return f"{100 * pixels[number] / max(pixels.sum(), 1):.1f} %"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
