"""SyntheticCrops: one thing of a street a picture, classes that need no files."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from official import failures
from official.data import base, cityscapes, indexed
from official.data.streets import closeup, painter, photo

_VERSION = 1  # a new picture for a given index is a new version
_SPLITS = ("train", "val")
_CLASSES = tuple(cityscapes.CLASSES[subject.kind] for subject in closeup.SUBJECTS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SyntheticCrops(indexed.IndexedDataset):
    """Close views of the things in the streets of `SyntheticStreets`, ten classes.

    Every picture is a function of the split, its index and `seed` alone; classes take
    turns, so each has as many pictures as any other, give or take one. Things are
    seen from all sides, against the street, in its weather; color tells no class.

    Attributes:
        side: Pixels; pictures are square.
        train_size: Pictures in "train".
        val_size: Pictures in "val".
        seed: Another seed gives other pictures in both splits.
    """

    side: int = 96
    train_size: int = 4000
    val_size: int = 500
    seed: int = 0
    threads: ClassVar[int | None] = 1

    def __post_init__(self) -> None:
        least = {"side": 16, "train_size": 1, "val_size": 1, "seed": 0}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise failures.RequestError(
                    f"SyntheticCrops: {name} = {getattr(self, name)} is too small; "
                    f"give {smallest} or more"
                )

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
        if split not in _SPLITS:
            raise failures.DataError(
                f"SyntheticCrops has no split {split!r}; it has 'train' and 'val'"
            )
        size = self.train_size if split == "train" else self.val_size
        return [(split, index) for index in range(size)]

    def read(self, record: tuple[str, int]) -> dict[str, Any]:
        """Draws one picture."""
        split, index = record
        # Seeding with a sequence keeps the streams of neighbours independent.
        rng = np.random.default_rng((_VERSION, self.seed, _SPLITS.index(split), index))
        label = index % len(closeup.SUBJECTS)
        scene = closeup.scene(rng, closeup.SUBJECTS[label], side=self.side)
        image = photo.develop(
            painter.paint(scene), camera=scene.camera, light=scene.weather, rng=rng
        )
        return {"image": image, "label": label, "image_id": f"{split}/{index:06d}"}
