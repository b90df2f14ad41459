"""Which of the classes in the data are learned, and their order."""

import pathlib
from collections.abc import Collection, Iterable

from official import failures, spelling
from official.data import image_files


def chosen(
    wanted: tuple[str, ...] | None,
    found: Collection[str],
    source: pathlib.Path | str,
) -> tuple[str, ...]:
    """What `dataset.classes` asks for, or all that is found in `source`.

    Raises:
        failures.DataError: If nothing is found, or what is wanted is not.
    """
    if not found:
        raise failures.DataError(f"{source} has no class")
    if wanted is None:
        return tuple(found)
    if not wanted or len(set(wanted)) < len(wanted):
        raise failures.DataError(f"dataset.classes = {wanted!r}: want names, each once")
    for name in wanted:
        if name not in found:
            raise failures.DataError(
                f"dataset.classes: {source} has no class {name!r}"
                f"{spelling.hint(name, found)}"
            )
    return wanted


def require_known(
    names: Iterable[str], known: Collection[str], source: pathlib.Path | str
) -> None:
    """Refuses classes that the training data has not.

    Raises:
        failures.DataError: Names the first.
    """
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise failures.DataError(
            f"{source}: class {unknown[0]!r} is not among the {len(known)} classes of "
            f"the training data{spelling.hint(unknown[0], known)} (they are "
            f"{image_files.few(known)}; correct the name, or choose with "
            "dataset.classes)"
        )
