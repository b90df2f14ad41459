"""What the splits of a dataset hold, as a table for the terminal."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import rich.table
import rich.text

from official import spelling
from official.data import base, box_summary, boxes
from official.report import terminal

_SHOWN = 12  # classes
_VARIANTS = 5
_RARE = 0.1
"""A class with at most this share of the objects of one that is called alike may be the
same, misspelt."""

_MOST_COMPARED = 300
"""Classes: all pairs are looked at, and names written by hand are few."""

_SIZES = {
    "small": "area below 32 x 32 pixels",
    "medium": "below 96 x 96",
    "large": "above",
}
_KINDS = {
    "crowds (not learned)": "crowds",
    "difficult (not learned)": "difficult",
}


def table(
    dataset: base.Dataset, splits: tuple[str, ...], *, most_boxes: int | None = None
) -> rich.table.Table | None:
    """A column for each split; None where the dataset counts nothing.

    Args:
        most_boxes: Of an image, that are learned; more are pointed out.

    Raises:
        failures.DataError: If a split is missing or faulty.
    """
    found = {split: dataset.summary(split) for split in dict.fromkeys(splits)}
    counted = {split: one for split, one in found.items() if one is not None}
    if not counted:
        return None
    rows = _rows(counted, most_boxes)
    view = terminal.table(
        "boxes", ("", *counted), [(name, *cells) for name, cells in rows.items()]
    )
    if notes := [*_faulty(counted), *_misspelt(list(counted.values()))]:
        view.caption = rich.text.Text("\n".join(notes))
        view.caption_justify = "left"
    return view


def _rows(
    found: Mapping[str, box_summary.Summary], most_boxes: int | None
) -> dict[str, list[str]]:
    def most(one: box_summary.Summary) -> str:
        if most_boxes is None or one.most <= most_boxes:
            return str(one.most)
        return f"{one.most}: only {most_boxes} are learned (task.max_boxes)"

    summaries = list(found.values())
    rows = {
        "images": [str(one.total) for one in summaries],
    }
    if any(one.images < one.total for one in summaries):
        rows["counted below"] = [counted(one.images, of=one.total) for one in summaries]
    rows |= {
        "images without an object": [str(one.empty) for one in summaries],
        "most boxes in an image": [most(one) for one in summaries],
        "objects": [str(sum(one.classes.values())) for one in summaries],
    }
    rows |= class_rows(
        [one.classes for one in summaries], unseen="classes without an object"
    )
    for size, meaning in _SIZES.items():
        rows[f"{size} ({meaning})"] = [str(one.sizes[size]) for one in summaries]
    # Root of the share of the area; a tenth of the objects is smaller than the first.
    rows["box side / image side"] = [_quantiles(one.sides) for one in summaries]
    for name, field in _KINDS.items():
        counts = [getattr(one, field) for one in summaries]
        if any(counts):
            rows[name] = [str(count) for count in counts]
    for problem in _problems(summaries):
        action = "" if problem == boxes.CLIPPED else " (dropped)"
        rows[f"problem: {problem}{action}"] = [
            str(one.problems.get(problem, 0)) for one in summaries
        ]
    return rows


def _problems(summaries: Iterable[box_summary.Summary]) -> list[str]:
    return sorted({name for one in summaries for name in one.problems})


def _faulty(found: Mapping[str, box_summary.Summary]) -> Iterator[str]:
    """Where to look for the first box with each problem, in each split."""
    for problem in _problems(found.values()):
        images = [
            f"{split} image {one.first[problem].removeprefix(f'{split}/')}"
            for split, one in found.items()
            if problem in one.first
        ]
        yield f"{problem}: first in {', '.join(images)}"


def counted(images: int, *, of: int) -> str:
    """Which images of a split were counted."""
    return "all" if images == of else f"of the first {images}"


def class_rows(
    found: Sequence[Mapping[str, int]], *, unseen: str, shown: int = _SHOWN
) -> dict[str, list[str]]:
    """The classes with most in the first split, and the others together.

    Args:
        found: A number by class, of each split.
        unseen: Name of the row with the number of classes of which there is none.
        shown: The most classes that have a row of their own.
    """
    first = found[0]
    ranked = sorted(first, key=lambda name: first[name], reverse=True)
    top = ranked if len(ranked) <= shown + 1 else ranked[:shown]
    rows = {f"  {name}": [str(one[name]) for one in found] for name in top}
    if others := ranked[len(top) :]:
        rows[f"  {len(others)} other classes"] = [
            str(sum(one[name] for name in others)) for one in found
        ]
    lacking = [sum(not count for count in one.values()) for one in found]
    if any(lacking):
        rows[unseen] = [str(count) for count in lacking]
    return rows


def _misspelt(summaries: list[box_summary.Summary]) -> list[str]:
    """Warns of classes that may be others, misspelt."""
    totals = {n: sum(s.classes[n] for s in summaries) for n in summaries[0].classes}
    if len(totals) > _MOST_COMPARED:
        return []
    lines = []
    for rare, count in totals.items():
        # Of two that are as frequent, one is the other's variant, not both.
        more = [n for n, c in totals.items() if (c, rare) > (count, n)]
        near = spelling.variant_of(rare, more) if count else None
        if near and (spelling.same_word(rare, near) or count <= _RARE * totals[near]):
            lines.append(
                f"warning: class {rare!r} ({count}) may be {near!r} ({totals[near]}), "
                "misspelt"
            )
    return lines[:_VARIANTS]


def _quantiles(sides: tuple[float, float, float]) -> str:
    if math.isnan(sides[0]):
        return "-"
    low, middle, high = (f"{side:.2f}" for side in sides)
    return f"{low} .. {middle} .. {high}"
