"""An example as the bytes of a `tf.train.Example`, and back.

| key | feature |
|---|---|
| `image` | bytes: the image's file as it was, else a PNG |
| `semantic`, `instance` | bytes: a PNG of 8 or 16 bits |
| `image_id` | bytes: UTF-8 |
| `label`, `box_classes`, `box_kinds` | integers |
| `labels`, `boxes`, `box_areas` | floats; of boxes one after the other |
"""

import io
from typing import Any

import numpy as np
from PIL import Image

from official import failures
from official.data import base, decoding, encoded, indexed

_MAPS = ("semantic", "instance")
_IN_16_BITS = 2**16


def to_bytes(example: base.Example) -> bytes:
    """What `from_bytes` reads.

    Raises:
        failures.DataError: If an image is none, or a map does not fit into 16 bits.
    """
    import tensorflow as tf

    name = example.get("image_id", "an example")
    features = {key: _feature(key, value, name) for key, value in example.items()}
    stored = tf.train.Example(features=tf.train.Features(feature=features))
    return stored.SerializeToString(deterministic=True)


def from_bytes(data: bytes, *, name: str) -> base.Example:
    """An example, its image `encoded.Encoded`.

    Args:
        name: Stands for the record in messages.

    Raises:
        failures.DataError: If it is none.
    """
    import tensorflow as tf
    from google.protobuf import message

    try:
        features = tf.train.Example.FromString(data).features.feature
    except message.DecodeError as error:
        raise failures.DataError(f"{name}: is no tf.train.Example") from error
    image_id = _bytes(features["image_id"]).decode()
    name = f"{name} ({image_id})"
    return {key: _value(key, features[key], name) for key in sorted(features)}


def _feature(key: str, value: Any, name: str) -> Any:
    import tensorflow as tf

    dtype = indexed.ELEMENTS[key][0]
    if key == "image" or key in _MAPS or dtype == "string":
        stored = tf.train.BytesList(value=[_content(key, value, name)])
        return tf.train.Feature(bytes_list=stored)
    flat = np.asarray(value, dtype).reshape(-1)
    if dtype.startswith("float"):
        return tf.train.Feature(float_list=tf.train.FloatList(value=flat))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=flat))


def _content(key: str, value: Any, name: str) -> bytes:
    if isinstance(value, encoded.Encoded):
        _ = value.shape  # what is no image ends the writing, not a training
        return value.data
    if isinstance(value, str):
        return value.encode()
    array = np.asarray(value)
    if key in _MAPS:
        low, high = array.min(initial=0), array.max(initial=0)
        if low < 0 or high >= _IN_16_BITS:
            raise failures.DataError(
                f"{name}: {key} has values from {low} to {high}; records hold 0 to "
                f"{_IN_16_BITS - 1}"
            )
        array = array.astype(np.uint8 if high < 2**8 else np.uint16)
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def _value(key: str, feature: Any, name: str) -> Any:
    if key == "image":
        return encoded.Encoded(_bytes(feature), name)
    if key in _MAPS:
        return decoding.label_map_of_bytes(_bytes(feature), name=f"{name}: {key}")
    dtype, shape = indexed.ELEMENTS[key]
    if dtype == "string":
        return _bytes(feature).decode()
    stored = feature.float_list if dtype.startswith("float") else feature.int64_list
    return np.array(stored.value, dtype).reshape([n or -1 for n in shape])


def _bytes(feature: Any) -> bytes:
    return feature.bytes_list.value[0] if feature.bytes_list.value else b""
