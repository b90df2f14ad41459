"""What segments the splits of a dataset hold, as a table for the terminal."""

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import rich.table
import rich.text

from official.data import base, segment_summary
from official.report import contents, terminal
from official.tasks import base as tasks_base

_SHOWN = 8  # classes of things, and of stuff
_SMALL = "smaller than a place of the maps"


def table(
    dataset: base.Dataset, splits: tuple[str, ...], limits: tasks_base.SegmentLimits
) -> rich.table.Table | None:
    """A column for each split; None where the dataset counts nothing.

    Raises:
        failures.DataError: If a split is missing or faulty.
    """
    found = {split: dataset.segment_counts(split) for split in dict.fromkeys(splits)}
    counted = {split: one for split, one in found.items() if one is not None}
    if not counted:
        return None
    view = terminal.table(
        "segments",
        ("", *counted),
        [(name, *cells) for name, cells in _rows(counted, limits)],
    )
    side, (height, width) = limits.stride, limits.size
    view.caption = rich.text.Text(
        f"{_SMALL}: under {side}x{side} pixels once the image is {height}x{width}"
    )
    view.caption_justify = "left"
    return view


def _rows(
    found: Mapping[str, segment_summary.Summary], limits: tasks_base.SegmentLimits
) -> Iterator[tuple[str, list[str]]]:
    summaries = list(found.values())

    def row(
        name: str, cell: Callable[[segment_summary.Summary], object]
    ) -> tuple[str, list[str]]:
        return name, [str(cell(one)) for one in summaries]

    yield row("images", lambda one: one.total)
    if any(one.images < one.total for one in summaries):
        yield row("counted below", lambda o: contents.counted(o.images, of=o.total))
    yield row("images without a segment", lambda one: (one.counts == 0).sum())
    yield row("most segments in an image", lambda one: one.counts.max())
    most = limits.most
    if most is not None and any(one.counts.max() > most for one in summaries):
        yield row(
            f"beyond the {most} that are learned (task.method.max_segments)",
            lambda one: _beyond(one.counts, most),
        )
    for kind in ("things", "stuff"):
        counts = [getattr(one, kind) for one in summaries]
        yield f"segments of {kind}", [str(sum(one.values())) for one in counts]
        if counts[0]:
            unseen = f"classes of {kind} without a segment"
            yield from contents.class_rows(counts, unseen=unseen, shown=_SHOWN).items()
    if any(one.crowds for one in summaries):
        yield row("crowds (not learned as things)", lambda one: one.crowds)
    yield row("pixels without a class", lambda one: f"{100 * one.void:.1f} %")
    place = limits.stride**2 / math.prod(limits.size)
    yield row(_SMALL, lambda one: _small(one.shares, place))


def _beyond(counts: np.ndarray, most: int) -> str:
    over = np.maximum(counts - most, 0)
    return f"{over.sum()} in {(over > 0).sum()} images"


def _small(shares: np.ndarray, place: float) -> str:
    count = int((shares < place).sum())
    return f"{count} ({100 * count / max(len(shares), 1):.1f} %)"
