"""Data sets that TensorFlow Datasets has prepared: finding and reading them."""

import functools
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from official import failures
from official.data import memory

_OTHER_NAMES = {"val": ("validation", "test")}
"""What others call a split of ours, the best first."""

_BY_HAND = {
    "imagenet2012": "register at https://image-net.org, download "
    "ILSVRC2012_img_train.tar (138 GB) and ILSVRC2012_img_val.tar (6 GB), put both, "
    "not unpacked, into a folder, and prepare them with: tfds build imagenet2012 "
    "--file_format=array_record --manual_dir=<that folder>",
}
"""How to prepare data that the catalog may not download by itself."""


@functools.lru_cache(maxsize=16)
def builder(name: str, data_dir: str | None) -> Any:
    """What reads a data set that was prepared.

    Raises:
        failures.DataError: If it was not; says how to.
    """
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import read_only_builder

    folder = None if data_dir is None else pathlib.Path(data_dir).expanduser()
    try:
        return read_only_builder.builder_from_files(name, data_dir=folder)
    except tfds.core.DatasetNotFoundError as error:
        shown = data_dir or "~/tensorflow_datasets"
        if steps := _BY_HAND.get(re.split("[:/]", name)[0]):
            raise failures.DataError(
                f"{name} is not prepared in {shown}; {steps} --data_dir={shown}"
            ) from error
        raise failures.DataError(
            f"{name} is not prepared in {shown}; download and prepare it with: "
            f"tfds build {name} --data_dir={shown} (names: "
            "https://www.tensorflow.org/datasets/catalog)"
        ) from error


def require_image(
    builder: Any, key: str, *, field: str = "image_key and dataset.mask_key"
) -> None:
    """Refuses a feature that is no image, and names those that are.

    Args:
        field: Of the dataset, that says which it is.

    Raises:
        failures.DataError: If it is none.
    """
    import tensorflow_datasets as tfds

    features = builder.info.features
    images = sorted(
        k for k, v in features.items() if isinstance(v, tfds.features.Image)
    )
    if key not in images:
        raise failures.DataError(
            f"{builder.info.name} has no image {key!r}; it has {', '.join(images)} "
            f"(set dataset.{field})"
        )


def split_name(builder: Any, split: str) -> str:
    """What the data set calls a split of ours; slices are splits, too.

    Raises:
        failures.DataError: If it has no such split.
    """
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


def examples(
    builder: Any, split: str, keys: Sequence[str], *, name: str
) -> Sequence[dict[str, Any]]:
    """The examples of a split with some features at least, images as stored bytes.

    Args:
        name: Of the data set, as it was asked for.

    Raises:
        failures.DataError: If they must be kept in memory, and there is too little.
    """
    import tensorflow_datasets as tfds

    # No image is decoded here: not ours, and none that is not used at all.
    raw = {
        key: tfds.decode.SkipDecoding()
        for key, feature in builder.info.features.items()
        if isinstance(feature, tfds.features.Image)
    }
    if builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
        return builder.as_data_source(split, decoders=raw)
    memory.require(
        builder.info.splits[split].num_bytes,
        what=f"{name}, split {split!r}",
        way_out="prepare it as ArrayRecord, which stays on the disk: tfds build "
        f"{name} --file_format=array_record --data_dir=<another folder>",
    )
    stored = builder.as_dataset(split, decoders=raw).as_numpy_iterator()
    return [{key: example[key] for key in keys} for example in stored]
