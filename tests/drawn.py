"""Weights and images drawn by name: the same wherever they are drawn.

So a golden file needs to hold no weights, only the names and shapes of a network of
PyTorch and what it computed (`scripts/make_goldens.py`).
"""

import zlib
from collections.abc import Mapping

import numpy as np

Shapes = dict[str, tuple[int, ...]]

MEAN = {"imagenet": (0.485, 0.456, 0.406), "symmetric": (0.5,) * 3, "unit": (0,) * 3}
DEVIATION = {
    "imagenet": (0.229, 0.224, 0.225),
    "symmetric": (0.5,) * 3,
    "unit": (1,) * 3,
}


def tensors(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Tensors of a state dict, that keep activations lively."""
    return {name: _tensor(name, tuple(shape)) for name, shape in shapes.items()}


def _tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, "int64")
    uniform = _uniform(name, shape)
    if name.endswith("running_var") or (
        name.endswith(("weight", "gamma")) and len(shape) == 1
    ):
        return (1 + 0.5 * uniform).astype("float32")
    if len(shape) == 1:
        return (0.3 * uniform).astype("float32")
    # Of variance 2 / fan in.
    return (np.sqrt(6 / np.prod(shape[1:])) * uniform).astype("float32")


def image(size: int) -> np.ndarray:
    """`[1, size, size, 3]`, pixels 0..255."""
    return (127.5 + 127.5 * _uniform("image", (1, size, size, 3))).astype("float32")


def _uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers in [-1, 1); RandomState's are the same in every version of numpy."""
    return np.random.RandomState(zlib.crc32(name.encode())).uniform(-1, 1, shape)


def fed(pixels: np.ndarray, normalization: str) -> np.ndarray:
    """The image as a network of PyTorch gets it, `[1, 3, size, size]`."""
    unit = (pixels / 255 - MEAN[normalization]) / DEVIATION[normalization]
    return unit.astype("float32").transpose(0, 3, 1, 2)
