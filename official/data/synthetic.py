"""SyntheticStreets: street scenes made on the fly, the data set that needs no files."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from official import failures
from official.data import base, cityscapes, indexed, segment_summary
from official.data.streets import classes, layout, painter, photo

_VERSION = 1  # a new picture for a given index is a new version
_SPLITS = ("train", "val")
_SMALLEST = 16  # pixels


@dataclasses.dataclass(frozen=True, kw_only=True)
class SyntheticStreets(indexed.IndexedDataset):
    """Streets with the 19 classes of Cityscapes, drawn by a program.

    Every picture is a function of the split, its index and `seed` alone. Form, place
    and texture tell the classes apart; color alone does not. Examples have `image`,
    `semantic`, `instance` (the things from person to bicycle) and `image_id`. In some
    pictures the bonnet of the camera's own car is unlabelled.

    Attributes:
        height: Pixels.
        width: Pixels; any aspect will do.
        train_size: Pictures in "train".
        val_size: Pictures in "val".
        seed: Another seed gives other pictures in both splits.
    """

    height: int = 256
    width: int = 512
    train_size: int = 2000
    val_size: int = 200
    seed: int = 0
    threads: ClassVar[int | None] = 1

    def __post_init__(self) -> None:
        for name, least in (
            ("height", _SMALLEST),
            ("width", _SMALLEST),
            ("train_size", 1),
            ("val_size", 1),
            ("seed", 0),
        ):
            value = getattr(self, name)
            if value < least:
                raise failures.RequestError(
                    f"SyntheticStreets: {name} = {value} is too small; "
                    f"give {least} or more"
                )

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(row.name for row in cityscapes.CLASSES)

    @property
    def palette(self) -> Sequence[base.Color]:
        return tuple(row.color for row in cityscapes.CLASSES)

    @property
    def thing_ids(self) -> tuple[int, ...]:
        return classes.THING_IDS

    @property
    def drawn(self) -> bool:
        return True

    def records(self, split: str) -> Sequence[tuple[str, int]]:
        """Pairs of split and index."""
        if split not in _SPLITS:
            raise failures.DataError(
                f"SyntheticStreets has no split {split!r}; it has 'train' and 'val'"
            )
        size = self.train_size if split == "train" else self.val_size
        return [(split, index) for index in range(size)]

    def read(self, record: tuple[str, int]) -> dict[str, Any]:
        """Draws one picture."""
        split, index = record
        # Seeding with a sequence keeps the streams of neighbours independent.
        rng = np.random.default_rng((_VERSION, self.seed, _SPLITS.index(split), index))
        scene = layout.scene(rng, size=(self.height, self.width))
        painting = painter.paint(scene)
        image = photo.develop(
            painting, camera=scene.camera, light=scene.weather, rng=rng
        )
        semantic, instance = _split_labels(painting.labels)
        return {
            "image": image,
            "semantic": semantic,
            "instance": instance,
            "image_id": f"{split}/{index:06d}",
        }

    def segment_counts(self, split: str) -> segment_summary.Summary:
        """As `Dataset.segment_counts`, of the first pictures."""

        def look(record: tuple[str, int]) -> segment_summary.Image:
            street = self.read(record)
            return segment_summary.of_maps(
                street["semantic"], street["instance"], self.thing_ids
            )

        return segment_summary.of_first(self, split, look)


def _split_labels(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Classes, and the visible instances numbered from 1 without gaps, int32 [H, W]."""
    numbers = labels >> 8
    visible = np.bincount(numbers.reshape(-1)) > 0
    visible[0] = False
    renumbered = np.where(visible, np.cumsum(visible), 0).astype(np.int32)
    return (labels & 255).astype(np.int32), renumbered[numbers]
