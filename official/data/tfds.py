"""Data sets prepared by TensorFlow Datasets, for classification and segmentation."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from official import failures, spelling
from official.data import (
    base,
    decoding,
    encoded,
    indexed,
    label_maps,
    palettes,
    tfds_source,
)


class Record(NamedTuple):
    source: Sequence[dict[str, Any]]
    place: int
    split: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class TFDS(indexed.IndexedDataset):
    """A data set in the catalog of TensorFlow Datasets, already on the disk.

    `TFDS(name="cifar10")` gives the class of each image, or, where `label_key` is a
    sequence of classes, all of them. Data with a feature `mask_key` gives label maps
    instead: `TFDS(name="oxford_iiit_pet", classes=("pet", "background", "border"),
    label_ids=(1, 2, 3))`.

    The split "val" is "validation" or, failing that, "test"; slices such as
    "train[:80%]" are splits too.

    Data prepared as ArrayRecord is read example by example; TFRecord files allow no
    such thing, so their examples are kept in memory, undecoded.

    Attributes:
        name: As in the catalog, with a config where there are several: "name/config".
        data_dir: Where the data was prepared; None is `~/tensorflow_datasets`.
        image_key: Feature with the image.
        mask_key: Feature with the label map; None uses `label_key` in any case.
        label_key: Feature with the class, or a sequence of classes, of the image.
        classes: Names of the classes; None takes those that the feature holds.
        label_ids: The number stored for each class, others being unlabelled; None
            means 0, 1, 2, ..., and 255 in a map, or -1, for unlabelled.
    """

    name: str
    data_dir: str | None = None
    image_key: str = "image"
    mask_key: str | None = "segmentation_mask"
    label_key: str = "label"
    classes: tuple[str, ...] | None = None
    label_ids: tuple[int, ...] | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        key = self._target_key()
        feature = tfds_source.builder(self.name, self.data_dir).info.features[key]
        # A sequence holds the names in the feature of its elements.
        feature = getattr(feature, "feature", feature)
        names = self.classes or getattr(feature, "names", None)
        if not names:
            raise failures.DataError(
                f"{self.name}: feature {key!r} holds no names of classes; "
                "set dataset.classes = ('name', ...)"
            )
        return tuple(names)

    @property
    def palette(self) -> Sequence[base.Color]:
        return palettes.distinct(self.num_classes)

    def records(self, split: str) -> Sequence[Record]:
        builder = tfds_source.builder(self.name, self.data_dir)
        tfds_source.require_image(builder, self.image_key)
        name = tfds_source.split_name(builder, split)
        keys = (self.image_key, self._target_key())
        source = tfds_source.examples(builder, name, keys, name=self.name)
        return [Record(source, place, name) for place in range(len(source))]

    def read(self, record: Record) -> dict[str, Any]:
        stored = record.source[record.place]
        image_id = f"{record.split}/{record.place:06d}"
        path = f"{self.name} {image_id}"
        image = encoded.Encoded(stored[self.image_key], path)
        key = self._target_key()
        target = stored[key]
        example = {"image": image, "image_id": image_id}
        if key == self.mask_key:
            return {**example, "semantic": self._semantic(target, image, path)}
        ids = [self._class_id(int(n), path) for n in np.asarray(target).reshape(-1)]
        if np.ndim(target) == 0:
            return {**example, "label": ids[0]}
        labels = np.zeros(self.num_classes, np.float32)
        labels[[number for number in ids if number >= 0]] = 1.0
        return {**example, "labels": labels}

    def _semantic(self, stored: bytes, image: encoded.Encoded, path: str) -> np.ndarray:
        labels = decoding.label_map_of_bytes(stored, name=path)
        label_maps.require_same_size(image, labels, path=path)
        return label_maps.from_numbers(labels, _allowed(self), path=path)

    def _class_id(self, number: int, path: str) -> int:
        if self.label_ids is not None:
            ids = self.label_ids
            _require_as_many(ids, self.num_classes)
            return ids.index(number) if number in ids else -1
        if not -1 <= number < self.num_classes:
            raise failures.DataError(
                f"{path}: {self.label_key} {number}; want 0..{self.num_classes - 1} "
                "(dataset.classes), or set dataset.label_ids"
            )
        return number

    def _target_key(self) -> str:
        """The feature that is learned."""
        features = tfds_source.builder(self.name, self.data_dir).info.features
        if self.mask_key is not None and self.mask_key in features:
            tfds_source.require_image(
                tfds_source.builder(self.name, self.data_dir), self.mask_key
            )
            return self.mask_key
        if self.label_key not in features:
            near = spelling.hint(self.label_key, features)
            raise failures.DataError(
                f"{self.name} has neither a label map {self.mask_key!r} nor a class "
                f"{self.label_key!r}{near}; it has {', '.join(sorted(features))} (set "
                "dataset.mask_key or dataset.label_key)"
            )
        _require_class(features[self.label_key], self.name, self.label_key)
        return self.label_key


@functools.lru_cache(maxsize=16)
def _allowed(dataset: TFDS) -> dict[int, int]:
    count = dataset.num_classes
    if dataset.label_ids is None:
        return {index: index for index in range(count)} | {255: base.IGNORE_LABEL}
    _require_as_many(dataset.label_ids, count)
    ids = {number: index for index, number in enumerate(dataset.label_ids)}
    return dict.fromkeys(range(256), base.IGNORE_LABEL) | ids


def _require_as_many(label_ids: Sequence[int], count: int) -> None:
    if len(label_ids) != count:
        raise failures.DataError(
            f"dataset.label_ids has {len(label_ids)} numbers, there are {count} classes"
        )


def _require_class(feature: Any, name: str, key: str) -> None:
    """Refuses what is neither whole numbers nor a flat sequence of them."""
    import tensorflow as tf

    flat = not isinstance(feature.dtype, dict) and len(feature.shape) <= 1
    if not flat or not tf.as_dtype(feature.dtype).is_integer:
        raise failures.DataError(
            f"{name}: feature {key!r} is no class, nor a sequence of classes: {feature}"
            " (set dataset.label_key)"
        )
