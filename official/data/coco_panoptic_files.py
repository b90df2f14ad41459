"""Where COCO's panoptic files, maps and images are looked for."""

import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from official import failures, spelling
from official.data import coco_files, coco_panoptic_json, image_files

_ANNOTATIONS = (
    "annotations/panoptic_{split}.json",
    "annotations/panoptic_{split}2017.json",
    "panoptic_{split}.json",
    "panoptic_{split}2017.json",
    "gtFine/cityscapes_panoptic_{split}.json",  # made by cityscapesScripts
    "ade20k_panoptic_{split}.json",  # made by Mask2Former's scripts
    "annotations/{split}.json",
    "{split}.json",
)
_IMAGES = (
    *coco_files.IMAGES,
    "leftImg8bit/{split}",
    "images/{split}ing",  # ADE20K: training, and validation by its other name
)
"""Where they are looked for, in this order."""

_CITYSCAPES_END = "_leftImg8bit.png"


class Images(NamedTuple):
    """The folder of the images, and their paths in it by id."""

    folder: pathlib.Path
    names: dict[coco_panoptic_json.Number, str]


def found(data_dir: str, pattern: str | None, split: str) -> Iterator[pathlib.Path]:
    """The files that may be the annotations of a split."""
    patterns = _ANNOTATIONS if pattern is None else (pattern,)
    paths = coco_files.candidates(coco_files.root(data_dir), patterns, split)
    return (path for path in paths if path.is_file())


def any_annotations(data_dir: str) -> Iterator[pathlib.Path]:
    """The files of a folder that are, by their names, annotations of some split."""
    root = coco_files.root(data_dir)
    patterns = [name for name in _ANNOTATIONS if "panoptic" in name]
    for pattern in patterns:
        yield from sorted(root.glob(pattern.replace("{split}", "*")))


def annotations(data_dir: str, pattern: str | None, split: str) -> pathlib.Path:
    """The annotations of a split.

    Raises:
        failures.DataError: If there are none.
    """
    path = next(found(data_dir, pattern, split), None)
    if path is not None:
        return path
    root = coco_files.root(data_dir)
    if not root.is_dir():
        raise failures.DataError(
            f"{spelling.missing(root)}; dataset.data_dir must hold "
            "annotations/panoptic_train.json, the maps in annotations/panoptic_train/ "
            "and images/train/, and the same for val (or COCO's own "
            "panoptic_train2017.json and train2017/). To try the pipeline without "
            'data: --set "dataset = @SyntheticStreets()"'
        )
    looked = pattern or ", ".join(_ANNOTATIONS[:5]) + ", ..."
    raise failures.DataError(
        f"{root} has no panoptic annotations of split {split!r} (looked for {looked}; "
        "set dataset.annotations)"
    )


def maps(
    data_dir: str,
    pattern: str | None,
    split: str,
    *,
    source: pathlib.Path,
    names: Sequence[str],
) -> pathlib.Path:
    """The folder of the maps that a file of annotations names, all of which are in it.

    Raises:
        failures.DataError: If one is missing.
    """
    root = coco_files.root(data_dir)
    folders = [source.with_suffix(""), root / source.stem, source.parent]
    if pattern is not None:
        folders = list(coco_files.candidates(root, (pattern,), split))
    packed = source.with_suffix(".zip")  # COCO's archive of annotations holds archives
    if packed.is_file() and not any(folder.is_dir() for folder in folders[:2]):
        raise failures.DataError(f"{packed} is packed; unpack it where it lies")
    folder = coco_files.folder_of(
        names[0], folders, root=root, source=source, what="maps"
    )
    image_files.require(folder, names, source=str(source), what="maps")
    return folder


def images(
    data_dir: str,
    pattern: str | None,
    split: str,
    *,
    source: pathlib.Path,
    names: Mapping[coco_panoptic_json.Number, str],
) -> Images:
    """The images that a file of annotations names by their ids, all of which are there.

    Raises:
        failures.DataError: If one is missing.
    """
    root = coco_files.root(data_dir)
    patterns = _IMAGES if pattern is None else (pattern,)
    folders = [*coco_files.candidates(root, patterns, split), source.parent]
    paths = dict(names)
    if not any((folder / _first(paths)).is_file() for folder in folders):
        paths = {number: _with_city(name) for number, name in names.items()}
    folder = coco_files.folder_of(
        _first(paths), folders, root=root, source=source, what="images"
    )
    image_files.require(folder, paths.values(), source=str(source))
    return Images(folder, paths)


def _first(names: Mapping[coco_panoptic_json.Number, str]) -> str:
    return next(iter(names.values()))


def _with_city(name: str) -> str:
    """Where Cityscapes has the image that cityscapesScripts calls so; else `name`.

    Its createPanopticImgs.py writes "ulm_000000_000019_gtFine_leftImg8bit.png" for
    "ulm/ulm_000000_000019_leftImg8bit.png".
    """
    if "/" in name or not name.endswith(_CITYSCAPES_END):
        return name
    stem = name.removesuffix(_CITYSCAPES_END).removesuffix("_gtFine")
    return f"{stem.split('_')[0]}/{stem}{_CITYSCAPES_END}"
