"""Suggestions for names that do not exist."""

import difflib
import pathlib
import re
from collections.abc import Iterable

_VARIANT = 0.8
"""Two names are alike where letters in common make up this share: one letter wrong in
five (`difflib.SequenceMatcher`)."""


def hint(wrong: str, right: Iterable[str]) -> str:
    """Names the nearest of the right names, as the end of an error message."""
    near = difflib.get_close_matches(wrong, list(right), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def missing(path: pathlib.Path) -> str:
    """Says that a path is not there, and what is there that may be meant."""
    for part in (*reversed(path.parents), path):
        if not part.exists():
            beside = _within(part.parent)
            # "/data/flower/train" for "/data/flowers/train".
            paths = [
                str(part.with_name(name) / path.relative_to(part))
                for name in difflib.get_close_matches(part.name, beside, n=1)
            ]
            meant = f" (did you mean {paths[0]}?)" if paths else ""
            return f"{path} does not exist{meant}"
    return f"{path} is of another kind"  # a file where a folder should be


def _within(folder: pathlib.Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []


def variant_of(name: str, others: Iterable[str]) -> str | None:
    """Which of some other names a name may be meant to be; None for none of them.

    Names with other digits are other names: "tile 1" is not "tile 2".
    """
    rated = [(_likeness(name, other), other) for other in others]
    ratio, nearest = max(rated, default=(0.0, ""))
    return nearest if ratio >= _VARIANT else None


def same_word(a: str, b: str) -> bool:
    """Whether two names differ in case, blanks and marks alone."""
    return _letters(a) == _letters(b)


def _likeness(a: str, b: str) -> float:
    if same_word(a, b):
        return 1.0
    if re.findall(r"\d+", a) != re.findall(r"\d+", b):
        return 0.0
    return difflib.SequenceMatcher(None, a.casefold(), b.casefold()).ratio()


def _letters(name: str) -> str:
    # A name of marks alone, "+" beside "-", keeps them.
    return re.sub(r"[\W_]", "", name.casefold()) or name
