"""Weights in the layout of PyTorch."""

import re
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from official import failures
from official.layers import layer_scale
from official.weights import torch_files

Names = dict[str, str]
"""Names of layers with weights: ours to the prefix of PyTorch's tensors."""

_BLOCK = re.compile(r"(C\d_block\d+)_")
_TENSORS = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def arrays(
    tensors: torch_files.Tensors, names: Names, network: keras.Model
) -> dict[str, np.ndarray]:
    """Arrays in our axes by path of the network's weight.

    A layer of the network whose tensors are absent gets none.
    """
    found = {}
    for layer in network.layers:
        prefix = names.get(layer.name)
        for weight in layer.weights if prefix else ():
            suffix = _TENSORS[weight.name]
            if isinstance(layer, layer_scale.LayerScale):
                suffix = "gamma"
            if (tensor := tensors.get(f"{prefix}.{suffix}")) is not None:
                found[weight.path] = _ours(tensor, layer).astype("float32")
    return found


def _ours(tensor: np.ndarray, layer: keras.layers.Layer) -> np.ndarray:
    """A tensor with the axes of the layer's weight."""
    if tensor.ndim == 2 and isinstance(layer, keras.layers.Conv2D):
        tensor = tensor[:, :, None, None]
    if tensor.ndim == 4 and isinstance(layer, keras.layers.Dense):
        tensor = tensor[:, :, 0, 0]
    if tensor.ndim == 4:
        # output, input, height, width; of a depthwise kernel the input is 1
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        return tensor.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
    return tensor.T


def pair_blocks(
    ours: tuple[str, ...], theirs: Sequence[Mapping[str, str]], *, source: str
) -> Names:
    """Names of the layers of all blocks, which both have in one order.

    Args:
        ours: The network's blocks. Where its head uses no deep level, the last are
            missing.
        theirs: By role in our names ("expand_conv"), for each block.
        source: For the error.

    Raises:
        RequestError: If theirs are fewer.
    """
    if len(theirs) < len(ours):
        raise failures.RequestError(
            f"{source} is of another variant: it has {len(theirs)} blocks, the network "
            f"{len(ours)}"
        )
    return {
        f"{block}_{role}": prefix
        for block, roles in zip(ours, theirs, strict=False)
        for role, prefix in roles.items()
    }


def blocks_of(network: keras.Model) -> tuple[str, ...]:
    """The names of the network's blocks, "C1_block1" and so on, in order."""
    matches = (_BLOCK.match(layer.name) for layer in network.layers)
    return tuple(dict.fromkeys(found[1] for found in matches if found))


def in_order(tensors: torch_files.Tensors) -> list[str]:
    """Names of tensors, numbers within them in their order."""
    return sorted(
        tensors,
        key=lambda name: [
            (0, int(part), "") if part.isdigit() else (1, 0, part)
            for part in name.split(".")
        ],
    )
