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
    whole: bool,
    watched: Watched,
) -> failures.DataError | None:
    """An error that names up to 20 of them, to be mended at one go.

    Args:
        places: That are read, one by one.
        first: What was found already.
        decoded: Look into the images, too, and not only at their heads.
        whole: No example is left out but those that were read without fault before.

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
    more = "" if whole and len(found) < _MOST else " or more"
    listed = "".join(f"\n  {message}" for message in found)
    return failures.DataError(
        f"{len(found)}{more} examples of {split!r} are faulty:{listed}"
    )


def _messages(tried: Iterable[Tried], num_classes: int) -> Generator[str, None, None]:
    for example in tried:
        if isinstance(example, failures.DataError):
            yield str(example)
            continue
        try:
            pipeline.require_labels(example, num_classes)
        except failures.DataError as error:
            yield str(error)
