"""All faulty examples of a split, once one has been found."""

from collections.abc import Callable, Iterable
from concurrent import futures

from official import failures
from official.data import base, pipeline

_MOST = 20
_READERS = 4
_AHEAD = 64


def of_split(
    dataset: base.Dataset,
    split: str,
    places: Iterable[int],
    first: failures.DataError,
    *,
    decoded: bool,
) -> failures.DataError:
    """An error that names up to 20 of them, to be mended at one go.

    Args:
        places: That are read, one by one.
        first: What was found; it is given back where it is the only one, or where
            single examples cannot be read.
        decoded: Look into the images, too, and not only at their heads.
    """
    if type(dataset).pick is base.Dataset.pick:
        return first
    read = dataset.pick if decoded else dataset.stored

    def fault(place: int) -> str:
        try:
            for example in read(split, [place]):
                pipeline.require_labels(example, dataset.num_classes)
                _ = example["image"].shape  # of a file: reads its head
        except failures.DataError as error:
            return str(error)
        return ""

    found: dict[str, None] = {}
    for message in _in_threads(fault, places):
        if message:
            found[message] = None
        if len(found) == _MOST:
            break
    if len(found) < 2:
        return first
    count = f"{len(found)} or more" if len(found) == _MOST else str(len(found))
    listed = "".join(f"\n  {message}" for message in found)
    return failures.DataError(f"{count} examples of {split!r} are faulty:{listed}")


def _in_threads(call: Callable[[int], str], places: Iterable[int]) -> Iterable[str]:
    with futures.ThreadPoolExecutor(max_workers=_READERS) as pool:
        some: list[int] = []
        for place in places:
            some.append(place)
            if len(some) == _AHEAD:
                yield from pool.map(call, some)
                some = []
        yield from pool.map(call, some)
