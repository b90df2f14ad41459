"""Which image files a folder holds, and which of them are held out."""

import hashlib
import os
import pathlib
from collections.abc import Iterable

from official.data import decoding

_VALIDATION_SHARE = 0.2
_SHOWN = 3  # names in a message


def within(folder: pathlib.Path) -> tuple[list[str], list[str]]:
    """The files of a folder and the folders below, as sorted paths within it.

    Hidden files and folders, whose names start with a dot, are left out.

    Returns:
        Those whose ending is that of an image, and all others.
    """
    images: list[str] = []
    others: list[str] = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = pathlib.Path(place).relative_to(folder).as_posix()
        prefix = "" if below == "." else f"{below}/"
        for name in files:
            if not name.startswith("."):
                (images if is_image(name) else others).append(f"{prefix}{name}")
    return sorted(images), sorted(others)


def is_image(name: str) -> bool:
    """Whether a file name ends as those that `decoding.image` reads."""
    return os.path.splitext(name)[1].lower() in decoding.SUFFIXES


def held_out(names: Iterable[str]) -> frozenset[str]:
    """A fifth of the names, at least one, chosen by a hash: each time the same.

    A single name is not held out.
    """
    ranked = sorted(set(names), key=lambda name: hashlib.sha256(name.encode()).digest())
    count = max(1, round(len(ranked) * _VALIDATION_SHARE)) if len(ranked) > 1 else 0
    return frozenset(ranked[:count])


def few(names: Iterable[str]) -> str:
    """The first names in a message, and dots for the others."""
    names = sorted(names)
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
