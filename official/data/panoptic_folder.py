"""Anyone's images with a map of classes and one of instances, in folders."""

import dataclasses
import functools
import logging
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from official import failures, spelling
from official.data import (
    base,
    class_list,
    coco_panoptic_files,
    decoding,
    indexed,
    label_maps,
    mask_folder,
    segment_summary,
    segments,
)

_INSTANCES = ("instances", "instance", "annotations_instance")


class Record(NamedTuple):
    """The image with its mask, and its map of instances."""

    labelled: mask_folder.Record
    instances: pathlib.Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class PanopticFolder(indexed.IndexedDataset):
    """Images, masks as for `MaskFolder`, and maps in `instances/<split>/*.png`.

        images/train/a.jpg  labels/train/a.png  instances/train/a.png  classes.json

    Names, splits, lists and the forms of masks are those of `MaskFolder`.

    * `instance/` or `annotations_instance/` may stand for `instances/`.
    * Which classes are things stands in `classes.json`: `{"classes": ["road", "car"],
      "things": ["car"]}`.
    * A map of instances holds a number for each pixel, of 8 or 16 bits; two pixels
      belong to one thing where class and number are the same, so things may be counted
      over the image or for each class anew. Of a thing, 0 is a crowd: number things
      from 1.
    * A map of colors is read as that of ADE20K's instances: green is the number, and
      what red says of the class is not looked at.
    * Where the mask has stuff, or nothing, there is no instance whatever the map says.

    ADE20K as its archives unpack (`annotations/`, `annotations_instance/`, splits
    "training" and "validation") needs a `classes.json` whose first class is "void". In
    it some things reach beyond the mask's class; what Mask2Former's scripts make of it,
    where things go first, is read by `COCOPanoptic`.

    Attributes:
        data_dir: Folder of all this.
        classes: Names of the classes, instead of those in a file.
        things: Names of those that are things, instead of those in `classes.json`.
        ignore_label: The number that masks store where a pixel is unlabelled, besides
            255; None takes what `classes.json` says.
    """

    data_dir: str
    classes: tuple[str, ...] | None = None
    things: tuple[str, ...] | None = None
    ignore_label: int | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._masks().class_names

    @property
    def palette(self) -> Sequence[base.Color]:
        return self._masks().palette

    @property
    def thing_ids(self) -> tuple[int, ...]:
        return _thing_ids(self)

    def records(self, split: str) -> Sequence[Record]:
        _thing_ids(self)
        labelled = self._masks().records(split)
        root = pathlib.Path(self.data_dir).expanduser()
        # labels/train/a.png -> instances/train/a.png
        below = labelled[0].mask.parent.relative_to(root).parts[1:]
        folder = mask_folder.folder_of(root, _INSTANCES, what="the maps of instances")
        folder = folder.joinpath(*below)
        mask_folder.require(
            [record.mask.stem for record in labelled],
            mask_folder.names_in(folder),
            f"of split {split!r} have no map of instances {folder}/<name>.png",
        )
        records = [Record(row, folder / row.mask.name) for row in labelled]
        mask_folder.require_sizes([(r.labelled.image, r.instances) for r in records])
        return records

    def read(self, record: Record) -> dict[str, Any]:
        example = self._masks().read(record.labelled)
        instance = self._numbered(example["semantic"], record.instances)
        return {**example, "instance": instance}

    def glance(self, record: Record) -> dict[str, Any]:
        return self._masks().glance(record.labelled)

    def segment_counts(self, split: str) -> segment_summary.Summary:
        """As `Dataset.segment_counts`, of the first images."""

        def look(record: Record) -> segment_summary.Image:
            semantic = self._masks().read_mask(record.labelled.mask)
            instance = self._numbered(semantic, record.instances)
            return segment_summary.of_maps(semantic, instance, self.thing_ids)

        found = segment_summary.of_first(self, split, look)
        if 2 * found.crowded > found.peopled:
            logging.getLogger(__name__).warning(
                "%d of %d images of split %r with things have one of number 0, which "
                "is taken for a crowd and not learned; if your maps number things from "
                "0, add 1 to all of them",
                found.crowded,
                found.peopled,
                split,
            )
        return found

    def _numbered(self, semantic: np.ndarray, path: pathlib.Path) -> np.ndarray:
        """The instances of a map, given its classes, int32 `[H, W]`."""
        stored = _instances(path)
        label_maps.require_same_size(semantic, stored, path=path)
        things = np.isin(semantic, self.thing_ids) & (stored > 0)
        keys = (semantic + 1) * (stored.max(initial=0) + 1) + stored
        return segments.consecutive(np.where(things, keys, 0), path=path)

    def _masks(self) -> mask_folder.MaskFolder:
        _require_form(self)
        return mask_folder.MaskFolder(
            data_dir=self.data_dir,
            classes=self.classes,
            ignore_label=self.ignore_label,
        )


@functools.lru_cache(maxsize=16)
def _require_form(dataset: PanopticFolder) -> None:
    """Refuses what is no such folder, in words of its own.

    Raises:
        failures.DataError: If it is not there, is in another form or lacks the images
            or the list of classes.
    """
    root = pathlib.Path(dataset.data_dir).expanduser()
    if (root / "images").is_dir() and (
        dataset.classes is not None
        or any((root / name).is_file() for name in ("classes.json", "classes.txt"))
    ):
        return
    if found := next(coco_panoptic_files.any_annotations(str(root)), None):
        raise failures.DataError(
            f"{root} is in COCO's panoptic form ({found.relative_to(root)}): "
            f"--set \"dataset = @COCOPanoptic(data_dir='{root}')\""
        )
    wanted = ("images", "labels", "instances", "classes.json")
    lacking = next(name for name in wanted if not (root / name).exists())
    raise failures.DataError(
        f"{spelling.missing(root / lacking if root.is_dir() else root)}; "
        "dataset.data_dir must hold images/<split>/, labels/<split>/ (PNG, the number "
        "of the class of each pixel), instances/<split>/ (PNG, the number of the "
        'thing, from 1) and classes.json ({"classes": ["road", "car"], "things": '
        '["car"]}). '
        'To try the pipeline without data: --set "dataset = @SyntheticStreets()"'
    )


@functools.lru_cache(maxsize=16)
def _thing_ids(dataset: PanopticFolder) -> tuple[int, ...]:
    classes = mask_folder.classes_of(dataset._masks())
    if dataset.things is not None:
        classes = class_list.with_things(
            classes, dataset.things, source="dataset.things"
        )
    if not classes.thing_ids:
        path = pathlib.Path(dataset.data_dir).expanduser() / "classes.json"
        raise failures.DataError(
            'no class is a thing: write {"classes": [...], "things": ["car", ...]} '
            f"into {path}, or set dataset.things (without things: MaskFolder)"
        )
    return classes.thing_ids


def _instances(path: pathlib.Path) -> np.ndarray:
    """Numbers of instances, int64 `[H, W]`."""
    if not decoding.header(path).color:
        return decoding.label_map(path).astype(np.int64)
    colors = decoding.image(path)
    if colors[..., 2].any():
        row, column = np.argwhere(colors[..., 2])[0]
        color = tuple(int(value) for value in colors[row, column])
        raise failures.DataError(
            f"{path}: color {color} at row {row}, column {column}; want a number for "
            "each pixel (PNG of 8 or 16 bits), or ADE20K's colors: green the number of "
            "the instance, blue 0"
        )
    return colors[..., 1].astype(np.int64)
