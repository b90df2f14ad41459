"""SyntheticBoxes: the things in drawn streets with boxes, detection without files."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from official import failures
from official.data import (
    base,
    box_summary,
    boxed,
    boxes,
    cityscapes,
    indexed,
    synthetic,
)
from official.data.streets import classes

_CLASSES = tuple(cityscapes.CLASSES[number] for number in classes.THING_IDS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SyntheticBoxes(indexed.IndexedDataset):
    """The streets of `SyntheticStreets`, its eight kinds of things in boxes.

    A box goes around the pixels of a thing that are seen; what is seen of a thing
    behind another may be a small part. Areas are those of the pixels seen.

    Attributes:
        height: Pixels.
        width: Pixels; any aspect will do.
        train_size: Pictures in "train".
        val_size: Pictures in "val".
        seed: Another seed gives other pictures in both splits.
        smallest: A thing of which fewer pixels are seen has no box.
    """

    height: int = 320
    width: int = 320
    train_size: int = 2000
    val_size: int = 200
    seed: int = 0
    smallest: int = 24
    threads: ClassVar[int | None] = 1

    def __post_init__(self) -> None:
        if self.smallest < 1:
            raise failures.RequestError(
                f"SyntheticBoxes: smallest = {self.smallest}; give 1 or more pixels"
            )
        _streets(self)

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(row.name for row in _CLASSES)

    @property
    def palette(self) -> Sequence[base.Color]:
        return tuple(row.color for row in _CLASSES)

    @property
    def drawn(self) -> bool:
        return True

    def records(self, split: str) -> Sequence[tuple[str, int]]:
        """Pairs of split and index."""
        return _streets(self).records(split)

    def read(self, record: tuple[str, int]) -> dict[str, Any]:
        """Draws one picture."""
        street, found, _ = _drawn(self, record)
        return {
            "image": street["image"],
            "image_id": street["image_id"],
            **boxed.keys(found),
        }

    def summary(self, split: str) -> box_summary.Summary:
        """As `Dataset.summary`, of the first pictures."""

        def look(record: tuple[str, int]) -> box_summary.Image:
            street, found, problems = _drawn(self, record)
            size = self.height, self.width
            return box_summary.Image(street["image_id"], size, found, problems)

        return boxed.summary_of_first(self, split, look)


def _drawn(
    dataset: SyntheticBoxes, record: tuple[str, int]
) -> tuple[dict[str, Any], boxes.Objects, boxes.Problems]:
    street = _streets(dataset).read(record)
    semantic, instance = street["semantic"], street["instance"]
    things = _objects(semantic, instance, dataset.smallest)
    return street, *boxes.clean(things, semantic.shape)


def _streets(dataset: SyntheticBoxes) -> synthetic.SyntheticStreets:
    return synthetic.SyntheticStreets(
        height=dataset.height,
        width=dataset.width,
        train_size=dataset.train_size,
        val_size=dataset.val_size,
        seed=dataset.seed,
    )


def _objects(
    semantic: np.ndarray, instance: np.ndarray, smallest: int
) -> boxes.Objects:
    """The things of label maps `[H, W]`."""
    found, classes_of, areas = [], [], []
    for number in range(1, int(instance.max()) + 1):
        rows, columns = np.nonzero(instance == number)
        label = int(semantic[rows[0], columns[0]])
        if len(rows) < smallest or label == base.IGNORE_LABEL:
            continue
        ends = rows.max() + 1, columns.max() + 1
        found.append((rows.min(), columns.min(), *ends))
        classes_of.append(classes.THING_IDS.index(label))
        areas.append(len(rows))
    return boxes.objects(found, classes_of, areas=areas)
