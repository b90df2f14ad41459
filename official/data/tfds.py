"""Data sets prepared by TensorFlow Datasets, for semantic segmentation."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from official import failures
from official.data import base, decoding, indexed, label_maps, memory, palettes

_OTHER_NAMES = {"val": ("validation", "test")}
"""What others call a split of ours, the best first."""


class Record(NamedTuple):
    source: Sequence[dict[str, Any]]
    place: int
    split: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class TFDS(indexed.IndexedDataset):
    """A data set in the catalog of TensorFlow Datasets, already on the disk.

    `TFDS(name="oxford_iiit_pet", classes=("pet", "background", "border"),
    label_ids=(1, 2, 3))`. The split "val" is "validation" or, failing that, "test";
    slices such as "train[:80%]" are splits too.

    Data prepared as ArrayRecord is read example by example; TFRecord files allow no
    such thing, so their examples are kept in memory, undecoded.

    Attributes:
        name: As in the catalog, with a config where there are several: "name/config".
        data_dir: Where the data was prepared; None is `~/tensorflow_datasets`.
        image_key: Feature with the image.
        mask_key: Feature with the label map.
        classes: Names of the classes; None takes those that the feature holds.
        label_ids: The number that masks store for each class, others being unlabelled;
            None means 0, 1, 2, ..., and 255 for unlabelled.
    """

    name: str
    data_dir: str | None = None
    image_key: str = "image"
    mask_key: str = "segmentation_mask"
    classes: tuple[str, ...] | None = None
    label_ids: tuple[int, ...] | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        names = self.classes or getattr(_mask_feature(self), "names", None)
        if not names:
            raise failures.DataError(
                f"{self.name}: feature {self.mask_key!r} holds no names of classes; "
                "set dataset.classes = ('name', ...)"
            )
        return tuple(names)

    @property
    def palette(self) -> Sequence[base.Color]:
        return palettes.distinct(self.num_classes)

    def records(self, split: str) -> Sequence[Record]:
        builder = _builder(self.name, self.data_dir)
        for key in (self.image_key, self.mask_key):
            _require_image(builder, key)
        name = _split_name(builder, split)
        source = self._source(builder, name)
        return [Record(source, place, name) for place in range(len(source))]

    def read(self, record: Record) -> dict[str, Any]:
        stored = record.source[record.place]
        image_id = f"{record.split}/{record.place:06d}"
        path = f"{self.name} {image_id}"
        image = decoding.image_of_bytes(stored[self.image_key], name=path)
        labels = decoding.label_map_of_bytes(stored[self.mask_key], name=path)
        label_maps.require_same_size(image, labels, path=path)
        semantic = label_maps.from_numbers(labels, _allowed(self), path=path)
        return {"image": image, "semantic": semantic, "image_id": image_id}

    def _source(self, builder: Any, split: str) -> Sequence[dict[str, Any]]:
        import tensorflow_datasets as tfds

        raw = {
            key: tfds.decode.SkipDecoding() for key in (self.image_key, self.mask_key)
        }
        if builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
            return builder.as_data_source(split, decoders=raw)
        memory.require(
            builder.info.splits[split].num_bytes,
            what=f"{self.name}, split {split!r}",
            way_out="prepare it as ArrayRecord, which stays on the disk: tfds build "
            f"{self.name} --file_format=array_record --data_dir=<another folder>",
        )
        examples = builder.as_dataset(split, decoders=raw).as_numpy_iterator()
        return [{key: example[key] for key in raw} for example in examples]


@functools.lru_cache(maxsize=16)
def _allowed(dataset: TFDS) -> dict[int, int]:
    count = dataset.num_classes
    if dataset.label_ids is None:
        return {index: index for index in range(count)} | {255: base.IGNORE_LABEL}
    if len(dataset.label_ids) != count:
        raise failures.DataError(
            f"dataset.label_ids has {len(dataset.label_ids)} numbers, "
            f"there are {count} classes"
        )
    ids = {number: index for index, number in enumerate(dataset.label_ids)}
    return dict.fromkeys(range(256), base.IGNORE_LABEL) | ids


@functools.lru_cache(maxsize=16)
def _builder(name: str, data_dir: str | None) -> Any:
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import read_only_builder

    folder = None if data_dir is None else pathlib.Path(data_dir).expanduser()
    try:
        return read_only_builder.builder_from_files(name, data_dir=folder)
    except tfds.core.DatasetNotFoundError as error:
        shown = data_dir or "~/tensorflow_datasets"
        raise failures.DataError(
            f"{name} is not prepared in {shown}; download and prepare it with: "
            f"tfds build {name} --data_dir={shown} (names: "
            "https://www.tensorflow.org/datasets/catalog)"
        ) from error


def _mask_feature(dataset: TFDS) -> Any:
    builder = _builder(dataset.name, dataset.data_dir)
    return _require_image(builder, dataset.mask_key)


def _require_image(builder: Any, key: str) -> Any:
    import tensorflow_datasets as tfds

    features = builder.info.features
    images = [k for k, v in features.items() if isinstance(v, tfds.features.Image)]
    if key not in images:
        raise failures.DataError(
            f"{builder.info.name} has no image {key!r}; it has {', '.join(images)} "
            "(set dataset.image_key and dataset.mask_key)"
        )
    return features[key]


def _split_name(builder: Any, split: str) -> str:
    splits = builder.info.splits
    for name in (split, *_OTHER_NAMES.get(split, ())):
        if name.split("[")[0] in splits:
            return _checked_slice(builder, name)
    raise failures.DataError(
        f"{builder.info.name} has no split {split!r}; it has {', '.join(splits)}"
    )


def _checked_slice(builder: Any, name: str) -> str:
    try:
        builder.info.splits[name]
    except (KeyError, ValueError) as error:
        raise failures.DataError(
            f"{builder.info.name}: split {name!r} cannot be read; want for example "
            "'train[:80%]'"
        ) from error
    return name
