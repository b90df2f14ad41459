"""Any folder of photographs, without labels."""

import dataclasses
import logging
import pathlib
from collections.abc import Sequence
from typing import Any

from official import failures, spelling
from official.data import base, decoding, encoded, image_files, indexed

_SPLIT = "train"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Photos(indexed.IndexedDataset):
    """All images in a folder and the folders below, each with label -1: unlabelled.

    To be mixed into labelled data by `WithUnlabeled`, whose classes then count; the
    one class here is a name for what has none. All images are the split "train".

    Attributes:
        data_dir: The folder.
    """

    data_dir: str

    @property
    def class_names(self) -> tuple[str, ...]:
        return ("unlabelled",)

    @property
    def palette(self) -> Sequence[base.Color]:
        return ((128, 128, 128),)

    def records(self, split: str) -> Sequence[str]:
        """Paths within the folder."""
        if split != _SPLIT:
            raise failures.DataError(f"Photos has no split {split!r}; it has 'train'")
        root = pathlib.Path(self.data_dir).expanduser()
        if not root.is_dir():
            raise failures.DataError(
                f"{spelling.missing(root)}; give the data_dir of Photos a folder of "
                "images"
            )
        images, others = image_files.within(root)
        if others:
            logging.getLogger(__name__).warning(
                "%d files in %s are no images, and left out: %s",
                len(others),
                root,
                image_files.few(others),
            )
        if not images:
            raise failures.DataError(
                f"{root} has no image; want the endings "
                f"{', '.join(sorted(decoding.SUFFIXES))}"
            )
        return images

    def read(self, record: str) -> dict[str, Any]:
        path = pathlib.Path(self.data_dir).expanduser() / record
        return {"image": encoded.read(path), "label": -1, "image_id": record}
