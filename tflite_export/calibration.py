"""Images whose activation ranges an int8 file is made from."""

from collections.abc import Iterable

import numpy as np


def collect(images: Iterable[np.ndarray]) -> np.ndarray:
    """uint8 `[N, H, W, 3]`: what the file will be fed.

    One corner pixel of the first image is set to black and one to white. So the
    recorded range of the input is that of all pixels, whatever the images are, and
    the input's quantisation parameters are known beforehand.

    Args:
        images: float32 `[1, H, W, 3]`, pixels 0..255, at least one.
    """
    pixels = np.concatenate([to_uint8(image) for image in images])
    pixels[0, 0, 0] = 0
    pixels[0, -1, -1] = 255
    return pixels


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Rounds float pixels as an app does that resizes to 8-bit pixels."""
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)
