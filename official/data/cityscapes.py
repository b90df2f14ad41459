"""Cityscapes: street scenes of 50 cities, 19 classes."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from official import failures, spelling
from official.data import base, decoding, encoded, indexed, label_maps


class Class(NamedTuple):
    label_id: int
    name: str
    color: base.Color


# The 19 classes that count, in the order of their train ids, from the label table of
# the data set's own scripts (cityscapesScripts, helpers/labels.py).
CLASSES = (
    Class(7, "road", (128, 64, 128)),
    Class(8, "sidewalk", (244, 35, 232)),
    Class(11, "building", (70, 70, 70)),
    Class(12, "wall", (102, 102, 156)),
    Class(13, "fence", (190, 153, 153)),
    Class(17, "pole", (153, 153, 153)),
    Class(19, "traffic light", (250, 170, 30)),
    Class(20, "traffic sign", (220, 220, 0)),
    Class(21, "vegetation", (107, 142, 35)),
    Class(22, "terrain", (152, 251, 152)),
    Class(23, "sky", (70, 130, 180)),
    Class(24, "person", (220, 20, 60)),
    Class(25, "rider", (255, 0, 0)),
    Class(26, "car", (0, 0, 142)),
    Class(27, "truck", (0, 0, 70)),
    Class(28, "bus", (0, 60, 100)),
    Class(31, "train", (0, 80, 100)),
    Class(32, "motorcycle", (0, 0, 230)),
    Class(33, "bicycle", (119, 11, 32)),
)

_LABEL_IDS = 34  # 0..33; the license plate (-1) is 255 in 8 bits
CLASS_OF_LABEL = dict.fromkeys([*range(_LABEL_IDS), 255], base.IGNORE_LABEL) | {
    row.label_id: class_id for class_id, row in enumerate(CLASSES)
}
"""Class id, or `IGNORE_LABEL`, of each number in a `labelIds` file."""


class Record(NamedTuple):
    image: pathlib.Path
    labels: pathlib.Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cityscapes(indexed.IndexedDataset):
    """Cityscapes with fine annotations, in folders as its archives unpack.

    Cordts et al., 2016, https://arxiv.org/abs/1604.01685: 2975 training, 500 validation
    and 1525 test images of 2048x1024 pixels; the labels of "test" are blank.

    Attributes:
        data_dir: Folder that holds `leftImg8bit` and `gtFine`.
    """

    data_dir: str

    IMAGE_END: ClassVar[str] = "_leftImg8bit.png"
    LABELS_END: ClassVar[str] = "_gtFine_labelIds.png"

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(row.name for row in CLASSES)

    @property
    def palette(self) -> Sequence[base.Color]:
        return tuple(row.color for row in CLASSES)

    def records(self, split: str) -> Sequence[Record]:
        images = self._folder("leftImg8bit")
        labels = self._folder("gtFine")
        splits = sorted(folder.name for folder in images.iterdir() if folder.is_dir())
        if split not in splits:
            raise failures.DataError(
                f"{images} has no split {split!r}; it has {', '.join(splits) or 'none'}"
            )
        records = [
            Record(path, self._labels(labels / split, path))
            for path in sorted((images / split).glob(f"*/*{self.IMAGE_END}"))
        ]
        _require_labels(records, images / split)
        return records

    def read(self, record: Record) -> dict[str, Any]:
        image = encoded.read(record.image)
        stored = decoding.label_map(record.labels)
        label_maps.require_same_size(image, stored, path=record.labels)
        return {
            "image": image,
            "semantic": label_maps.from_numbers(
                stored, CLASS_OF_LABEL, path=record.labels
            ),
            "image_id": self.image_id(record),
        }

    def glance(self, record: Record) -> dict[str, Any]:
        return {"image": encoded.read(record.image), "image_id": self.image_id(record)}

    def image_id(self, record: Record) -> str:
        """Such as "train/ulm_000000_000019"."""
        name = record.image.name.removesuffix(self.IMAGE_END)
        return f"{record.image.parent.parent.name}/{name}"

    def _folder(self, name: str) -> pathlib.Path:
        folder = pathlib.Path(self.data_dir).expanduser() / name
        if not folder.is_dir():
            raise failures.DataError(
                f"{spelling.missing(folder)}. Register at https://www.cityscapes-dataset."
                "com, download leftImg8bit_trainvaltest.zip and gtFine_trainvaltest."
                f"zip, and unpack both into {self.data_dir} (dataset.data_dir); or try "
                'made-up streets: --set "dataset = @SyntheticStreets()"'
            )
        return folder

    def _labels(self, folder: pathlib.Path, image: pathlib.Path) -> pathlib.Path:
        stem = image.name.removesuffix(self.IMAGE_END)
        return folder / image.parent.name / f"{stem}{self.LABELS_END}"


def _require_labels(records: Sequence[Record], folder: pathlib.Path) -> None:
    if not records:
        raise failures.DataError(
            f"{folder} has no image <city>/*{Cityscapes.IMAGE_END}; "
            "unpack leftImg8bit_trainvaltest.zip again"
        )
    missing = [record.labels for record in records if not record.labels.exists()]
    if missing:
        raise failures.DataError(
            f"{len(missing)} of the {len(records)} images in {folder} have no labels: "
            f"{missing[0]} does not exist; unpack gtFine_trainvaltest.zip again"
        )
