"""Images that are not decoded yet, so that only what is seen of them ever is."""

import functools
from typing import TYPE_CHECKING

import numpy as np

from official.data import base, decoding

if TYPE_CHECKING:
    import tensorflow as tf


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
        """That of `decode()`, which is called only where the file is an odd one.

        Raises:
            failures.DataError: As `decoding.image`.
        """
        if self._plain is None:
            height, width = self._decoded.shape[:2]
        else:
            height, width = self._plain.height, self._plain.width
        return height, width, 3

    def decode(self) -> np.ndarray:
        """uint8 `[H, W, 3]`, as `decoding.image`.

        Raises:
            failures.DataError: As `decoding.image`.
        """
        return self._decoded

    def window(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """`decode()[top : top + height, left : left + width]`, to the bit.

        Of a JPEG that `decoding.plain` knows no row below the window is decoded, and of
        the others no pixel beside it.

        Raises:
            failures.DataError: As `decoding.image`.
        """
        if self._plain is not None and self._plain.kind == "JPEG":
            window = (top, left, height, width)
            return decoding.window_of_jpeg(
                self.data, window, whole=self._plain.width, name=self.name
            )
        return self._decoded[top : top + height, left : left + width]

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

    Args:
        start: Row and column, int32 `[2]`.
        size: Height and width, int32 `[2]`.
    """
    import tensorflow as tf

    if "encoded" not in example:
        end = start + size
        return example["image"][start[0] : end[0], start[1] : end[1]]
    # Declared stateless for the reason that `IndexedDataset.load` gives.
    cut = tf.numpy_function(
        _window, [example["encoded"], start, size], tf.uint8, stateful=False
    )
    return tf.ensure_shape(cut, (None, None, 3))


def _window(encoded: np.ndarray, start: np.ndarray, size: np.ndarray) -> np.ndarray:
    data, name = encoded.tolist()
    return Encoded(data, name.decode()).window(*start.tolist(), *size.tolist())
