"""Images whose activation ranges an int8 file is made from."""

from collections.abc import Iterable

import numpy as np


def collect(images: Iterable[np.ndarray]) -> np.ndarray:
    """uint8 `[N, H, W, 3]`: what the file will be fed.

    The contrast of one image, the one that needs it least, is stretched to all levels.
    So the recorded range of the input is that of all pixels, whatever the images are,
    and the input's quantisation parameters are known beforehand. (Setting single
    pixels to black and white would do that too, but their edges, steeper than those of
    photographs, double the ranges of the first layers.)

    Args:
        images: float32 `[1, H, W, 3]`, pixels 0..255, at least one.
    """
    pixels = np.concatenate([to_uint8(image) for image in images])
    flat = pixels.reshape(len(pixels), -1)
    widest = int((flat.max(axis=1).astype(int) - flat.min(axis=1)).argmax())
    pixels[widest] = _stretched(pixels[widest])
    return pixels


def _stretched(image: np.ndarray) -> np.ndarray:
    low, high = float(image.min()), float(image.max())
    if low == high:  # a blank picture: a ramp has all levels and no edge
        row = np.linspace(0, 255, image.shape[1])[None, :, None]
        return to_uint8(np.broadcast_to(row, image.shape))
    return to_uint8((image - low) * (255 / (high - low)))


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Rounds float pixels as an app does that resizes to 8-bit pixels."""
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)
