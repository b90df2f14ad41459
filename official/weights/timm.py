"""Weights in the layout of timm, https://github.com/huggingface/pytorch-image-models."""

import re
from collections.abc import Mapping

import keras

from official.weights import torch_files, torch_layout

_BLOCK = re.compile(r"(blocks\.\d+\.\d+)\.(.+)\.\w+")

# Role in our names: layer in theirs, for each of timm's kinds of block.
_SQUEEZE_EXCITE = {
    "squeeze_excite_reduce_conv": "se.conv_reduce",
    "squeeze_excite_expand_conv": "se.conv_expand",
}
_CONV = {"conv": "conv", "norm": "bn1"}
_FUSED = {
    "expand_conv": "conv_exp",
    "expand_norm": "bn1",
    "project_conv": "conv_pwl",
    "project_norm": "bn2",
}
_SEPARABLE = _SQUEEZE_EXCITE | {
    "depthwise_conv": "conv_dw",
    "depthwise_norm": "bn1",
    "project_conv": "conv_pw",
    "project_norm": "bn2",
}
_RESIDUAL = _SQUEEZE_EXCITE | {
    "expand_conv": "conv_pw",
    "expand_norm": "bn1",
    "depthwise_conv": "conv_dw",
    "depthwise_norm": "bn2",
    "project_conv": "conv_pwl",
    "project_norm": "bn3",
}
_UNIVERSAL = {
    "start_conv": "dw_start.conv",
    "start_norm": "dw_start.bn",
    "expand_conv": "pw_exp.conv",
    "expand_norm": "pw_exp.bn",
    "depthwise_conv": "dw_mid.conv",
    "depthwise_norm": "dw_mid.bn",
    "project_conv": "pw_proj.conv",
    "project_norm": "pw_proj.bn",
    "layer_scale": "layer_scale",
}
_ATTENTION = {
    "input_norm": "norm",
    "query_conv": "attn.query.proj",
    "key_down_conv": "attn.key.down_conv",
    "key_down_norm": "attn.key.norm",
    "key_conv": "attn.key.proj",
    "value_down_conv": "attn.value.down_conv",
    "value_down_norm": "attn.value.norm",
    "value_conv": "attn.value.proj",
    "project_conv": "attn.output.proj",
    "layer_scale": "layer_scale",
}
# Each is known by a layer that those before it do not have.
_KINDS = (
    ("attn.query.proj", _ATTENTION),
    ("pw_exp.conv", _UNIVERSAL),
    ("conv_exp", _FUSED),
    ("conv_pwl", _RESIDUAL),
    ("conv_dw", _SEPARABLE),
    ("conv", _CONV),
)


def recognizes(tensors: torch_files.Tensors) -> bool:
    """Whether the names are those of one of timm's mobile networks."""
    return "conv_stem.weight" in tensors


def names(
    tensors: torch_files.Tensors, network: keras.Model, *, source: str
) -> torch_layout.Names:
    """Names of the network's layers, ours to theirs.

    Raises:
        RequestError: If the network has more blocks.
    """
    found = {"stem_conv": "conv_stem", "stem_norm": "bn1", "classes": "classifier"}
    if "bn2.weight" in tensors:
        found |= {"last_conv": "conv_head", "last_norm": "bn2"}
    else:
        found |= {"embedding_conv": "conv_head", "embedding_norm": "norm_head"}
    blocks = _blocks(tensors)
    # The last 1x1 convolution of V3 and V4 counts as a block there.
    if blocks and "conv" in blocks[-1]:
        last = blocks.pop()
        found |= {"last_conv": last["conv"], "last_norm": last["norm"]}
    ours = torch_layout.blocks_of(network)
    return found | torch_layout.pair_blocks(ours, blocks, source=source)


def _blocks(tensors: torch_files.Tensors) -> list[dict[str, str]]:
    """Their layers by our roles, block by block."""
    layers: dict[str, set[str]] = {}
    for name in torch_layout.in_order(tensors):
        if match := _BLOCK.fullmatch(name):
            layers.setdefault(match[1], set()).add(match[2])
    return [
        {role: f"{prefix}.{layer}" for role, layer in _roles(inside).items()}
        for prefix, inside in layers.items()
    ]


def _roles(layers: set[str]) -> dict[str, str]:
    kind: Mapping[str, str] = next((k for mark, k in _KINDS if mark in layers), {})
    return {role: layer for role, layer in kind.items() if layer in layers}
