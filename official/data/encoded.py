"""Images that are not decoded yet, so that only what is seen of them ever is."""

import functools
from typing import TYPE_CHECKING

import numpy as np

from official.data import base, decoding

if TYPE_CHECKING:
    import tensorflow as tf


JPEG = b"JPEG"
_END_OF_JPEG = b"\xff\xd9"
_MARGIN = 2  # pixels; a block of colors at half the size


class Encoded:
    """An image as a file holds it.

    Attributes:
        data: Content of the file.
        name: Stands for the file in messages.
    """

    def __init__(self, data: bytes, name: decoding.Path):
        self.data = data
        self.name = str(name)

    @property
    def shape(self) -> tuple[int, int, int]:
        """That of `decode()`, read from the file's header.

        Raises:
            failures.DataError: As `decoding.image`.
        """
        header = self._plain or decoding.header_of_bytes(self.data, name=self.name)
        return header.height, header.width, 3

    def decode(self) -> np.ndarray:
        """uint8 `[H, W, 3]`, as `decoding.image`.

        Raises:
            failures.DataError: As `decoding.image`.
        """
        return self._decoded

    @property
    def kind(self) -> bytes:
        """`JPEG` if `window` may decode a part of it, else nothing.

        A file that does not end as it should is left to `decode`, which says so.

        Raises:
            failures.DataError: If it is empty or no image.
        """
        in_parts = self._plain is not None and self._plain.kind == "JPEG"
        return JPEG if in_parts and self.data.endswith(_END_OF_JPEG) else b""

    @functools.cached_property
    def _plain(self) -> decoding.Plain | None:
        return decoding.plain(self.data, name=self.name)

    @functools.cached_property
    def _decoded(self) -> np.ndarray:
        return decoding.image_of_bytes(self.data, name=self.name)


def read(path: decoding.Path) -> Encoded:
    """The image in a file.

    Raises:
        failures.DataError: If it cannot be read or is empty.
    """
    return Encoded(decoding.content(path), path)


def image_size(example: base.Example) -> "tf.Tensor":
    """Height and width, int32 `[2]`, of an example's image, decoded or not."""
    import tensorflow as tf

    if "encoded" in example:
        return example["image_size"]
    return tf.shape(example["image"])[:2]


def window(example: base.Example, start: "tf.Tensor", size: "tf.Tensor") -> "tf.Tensor":
    """A part of an example's image, decoded or not; uint8 `[h, w, 3]`.

    Of a JPEG no row below the part is decoded, and of the others little beside it. It
    equals the same part of the whole image to the bit.

    Args:
        start: Row and column, int32 `[2]`.
        size: Height and width, int32 `[2]`.
    """
    import tensorflow as tf

    if "encoded" not in example:
        end = start + size
        return example["image"][start[0] : end[0], start[1] : end[1]]
    data, _, kind = tf.unstack(example["encoded"])
    # Declared stateless for the reason that `IndexedDataset.load` gives.
    cut = tf.cond(
        kind == JPEG,
        lambda: _window_of_jpeg(data, example["image_size"][1], start, size),
        lambda: tf.numpy_function(
            _window_of_any, [example["encoded"], start, size], tf.uint8, stateful=False
        ),
    )
    return tf.ensure_shape(cut, (None, None, 3))


def _window_of_jpeg(
    data: "tf.Tensor", width: "tf.Tensor", start: "tf.Tensor", size: "tf.Tensor"
) -> "tf.Tensor":
    import tensorflow as tf

    # Colors are stored at half the size: those at the window's edge depend on pixels
    # beside it, and libjpeg does not look beyond what it was asked for.
    left = tf.maximum(start[1] - _MARGIN, 0)
    right = tf.minimum(start[1] + size[1] + _MARGIN, width)
    decoded = tf.io.decode_and_crop_jpeg(
        data,
        tf.stack([start[0], left, size[0], right - left]),
        channels=3,
        dct_method="INTEGER_ACCURATE",
    )
    return tf.slice(decoded, [0, start[1] - left, 0], [-1, size[1], -1])


def _window_of_any(
    stored: np.ndarray, start: np.ndarray, size: np.ndarray
) -> np.ndarray:
    data, name, _ = stored.tolist()
    (top, left), (height, width) = start, size
    whole = Encoded(data, name.decode()).decode()
    return whole[top : top + height, left : left + width]
