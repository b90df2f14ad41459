"""All faulty examples of a split, once one has been found."""

import contextlib
from collections.abc import Callable, Generator, Iterable, Sequence

from official import failures
from official.data import base, pipeline

_MOST = 20

Tried = base.Example | failures.DataError
Watched = Callable[[Iterable[Tried], int], Iterable[Tried]]
"""Passes on what is read, given how much it is; may end early."""


def others(
    dataset: base.Dataset,
    split: str,
    places: Sequence[int],
    first: failures.DataError,
    *,
    decoded: bool,
    watched: Watched,
) -> failures.DataError | None:
    """An error that names up to 20 of them, to be mended at one go.

    Args:
        places: That are read, one by one.
        first: What was found already.
        decoded: Look into the images, too, and not only at their heads.

    Returns:
        None if the first is the only one that is known.
    """
    tried = dataset.tried(split, places, decoded=decoded)
    messages = _messages(watched(tried, len(places)), dataset.num_classes)
    found = {str(first): None}
    with contextlib.closing(messages):
        for message in messages:
            found[message] = None
            if len(found) == _MOST:
                break
    if len(found) == 1:
        return None
    whole = len(places) >= dataset.stored_size(split) and len(found) < _MOST
    count = str(len(found)) if whole else f"{len(found)} or more"
    listed = "".join(f"\n  {message}" for message in found)
    return failures.DataError(f"{count} examples of {split!r} are faulty:{listed}")


def _messages(tried: Iterable[Tried], num_classes: int) -> Generator[str, None, None]:
    for example in tried:
        if isinstance(example, failures.DataError):
            yield str(example)
            continue
        try:
            pipeline.require_labels(example, num_classes)
        except failures.DataError as error:
            yield str(error)
