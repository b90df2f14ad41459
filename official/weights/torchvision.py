"""Weights in the layout of torchvision, https://github.com/pytorch/vision."""

import re

import keras

from official.weights import torch_files, torch_layout

# MobileNetV2 and V3: features.N.conv.* and features.N.block.*; MnasNet:
# layers.N.M.layers.*, and its first block bare in the sequence.
_BLOCK = re.compile(r"(features\.\d+\.(?:conv|block)|layers\.\d+\.\d+)\.(.+)\.weight")
_BARE = ("layers.3", "layers.6")
_ENDS = re.compile(r"(features\.\d+\.0|layers\.\d+|classifier\.\d+)\.weight")
_ROLES = ("expand", "depthwise", "project")


def recognizes(tensors: torch_files.Tensors) -> bool:
    """Whether the names are those of one of torchvision's mobile networks."""
    return "features.0.0.weight" in tensors or "layers.0.weight" in tensors


def names(
    tensors: torch_files.Tensors, network: keras.Model, *, source: str
) -> torch_layout.Names:
    """Names of the network's layers, ours to theirs.

    Raises:
        RequestError: If the network has more blocks.
    """
    kernels = [
        name
        for name in torch_layout.in_order(tensors)
        if name.endswith(".weight") and tensors[name].ndim > 1
    ]
    ours = torch_layout.blocks_of(network)
    return _ends(kernels) | torch_layout.pair_blocks(
        ours, _blocks(kernels), source=source
    )


def _ends(kernels: list[str]) -> torch_layout.Names:
    """Stem, last convolution and classifier, of which V3 has two layers."""
    ends = [match[1] for name in kernels if (match := _ENDS.fullmatch(name))]
    classifier = [name for name in ends if name.startswith("classifier")]
    convs = [name for name in ends if name not in (*classifier, *_BARE)]
    found = _conv_norm("stem", convs[0]) | _conv_norm("last", convs[-1])
    if len(classifier) > 1:
        found["embedding_conv"] = classifier[0]
    return found | ({"classes": classifier[-1]} if classifier else {})


def _blocks(kernels: list[str]) -> list[torch_layout.Names]:
    blocks: dict[str, list[str]] = {}
    for name in kernels:
        layer = name.removesuffix(".weight")
        if match := _BLOCK.fullmatch(name):
            blocks.setdefault(match[1], []).append(layer)
        elif layer in _BARE:
            blocks.setdefault("first", []).append(layer)
    return [_roles(layers) for layers in blocks.values()]


def _roles(layers: list[str]) -> torch_layout.Names:
    found = {}
    convs = []
    for layer in layers:
        gate = layer.rpartition(".")[2]
        role = {"fc1": "reduce", "fc2": "expand"}.get(gate)
        if role:
            found[f"squeeze_excite_{role}_conv"] = layer
        else:
            convs.append(layer)
    for role, layer in zip(reversed(_ROLES), reversed(convs), strict=False):
        found |= _conv_norm(role, layer)
    return found


def _conv_norm(role: str, conv: str) -> torch_layout.Names:
    """The norm is the module after the convolution."""
    parent, _, number = conv.rpartition(".")
    return {f"{role}_conv": conv, f"{role}_norm": f"{parent}.{int(number) + 1}"}
