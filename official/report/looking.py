"""Looks data over while something else is done."""

import itertools
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent import futures
from types import TracebackType

from official.data import base, looked_over, pipeline
from official.report import terminal

_PATIENCE = 2.0  # seconds without a sign
_TICK = 0.1


class Looking:
    """Reads the splits of a dataset in a thread; a context that ends it.

    The network is built meanwhile, so that a training begins as early as without.

    Args:
        dataset: Of one that a program draws nothing is read.
        sources: Of the training, then of the evaluation; one split is read once.
    """

    def __init__(self, dataset: base.Dataset, sources: Sequence[pipeline.Input]):
        self._dataset = dataset
        self._sources = {} if dataset.drawn else {each.split: each for each in sources}
        self._stopped = threading.Event()
        self._done = 0
        self._pool = futures.ThreadPoolExecutor(max_workers=1)
        self._found = self._pool.submit(self._read)

    def __enter__(self) -> "Looking":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._pool.shutdown()

    def found(self) -> dict[str, looked_over.LookedOver]:
        """What was found, by split; waits for it, with a bar if that takes a while.

        Raises:
            failures.DataError: As `looked_over.quickly`.
        """
        try:
            return self._found.result(timeout=_PATIENCE)
        except futures.TimeoutError:
            # How much will be read is not known before a part of each split was.
            ticks = terminal.track(self._ticks(), "reading", total=None)
            for _ in ticks:
                pass
        return self._found.result()

    def _read(self) -> dict[str, looked_over.LookedOver]:
        return {
            split: looked_over.quickly(self._dataset, each, watched=self._counted)
            for split, each in self._sources.items()
        }

    def _counted(
        self, examples: Iterable[base.Example], count: int
    ) -> Iterator[base.Example]:
        del count
        for example in examples:
            if self._stopped.is_set():
                return
            yield example
            self._done += 1

    def _ticks(self) -> Iterator[None]:
        """One for each example that has been read, until all are."""
        told = 0
        while not self._found.done():
            now = self._done
            yield from itertools.repeat(None, now - told)
            told = now
            self._stopped.wait(_TICK)
