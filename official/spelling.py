"""Suggestions for names that do not exist."""

import difflib
from collections.abc import Iterable


def hint(wrong: str, right: Iterable[str]) -> str:
    """Names the nearest of the right names, as the end of an error message."""
    near = difflib.get_close_matches(wrong, list(right), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else ""
