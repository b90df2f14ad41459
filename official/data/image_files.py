"""Which image files a folder holds, and which of them are held out."""

import hashlib
import os
import pathlib
from collections.abc import Iterable

from official import failures
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


def require(
    folder: pathlib.Path,
    names: Iterable[str],
    *,
    source: str,
    what: str = "images",
) -> None:
    """Makes sure that a folder, or folders within, hold files; each is listed once.

    Args:
        source: Where their names stand, for the message.
        what: The field of the dataset that says where they are.

    Raises:
        failures.DataError: Names the first that are missing, and their `source`.
    """
    present: dict[str, set[str]] = {}
    missing = []
    count = 0
    for name in names:
        count += 1
        place, _, file = name.rpartition("/")
        if place not in present:
            path = folder / place
            present[place] = set(os.listdir(path)) if path.is_dir() else set()
        if file not in present[place]:
            missing.append(name)
    if missing:
        raise failures.DataError(
            f"{source}: {len(missing)} of its {count} {what} are not in {folder}: "
            f"{few(missing)} (copy them there, or set dataset.{what})"
        )


def stem(name: str) -> str:
    """A name without the ending of an image; names may hold other dots."""
    return os.path.splitext(name)[0] if is_image(name) else name


def by_stem(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """The images directly in a folder, by name without ending; hidden ones left out.

    Raises:
        failures.DataError: If two have the same name.
    """
    found: dict[str, pathlib.Path] = {}
    for name in sorted(os.listdir(folder)):
        if name.startswith(".") or not is_image(name):
            continue
        if stem(name) in found:
            raise failures.DataError(
                f"{found[stem(name)]} and {folder / name} have the same name; rename "
                "one"
            )
        found[stem(name)] = folder / name
    return found
