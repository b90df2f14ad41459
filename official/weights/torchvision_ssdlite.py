"""Weights in the layout of torchvision's SSDLite."""

import re

import keras
import numpy as np

from official.weights import torch_files, torch_layout, torchvision

# The backbone is cut in two behind the expansion of the block that has the last stride.
_FIRST_PART, _SECOND_PART = "backbone.features.0.", "backbone.features.1."
_EXTRA = re.compile(r"backbone\.extra\.(\d+)\.(\d)\.0\.weight")
_PREDICTOR = re.compile(
    r"(head\.(classification|regression)_head\.module_list\.(\d+))\.0\.0\.weight"
)
_ROLES = ("reduce", "depthwise", "project")
_OUTPUTS = {"classification": "logits", "regression": "boxes"}
_XYWH_TO_YXHW = (1, 0, 3, 2)


def recognizes(tensors: torch_files.Tensors) -> bool:
    """Whether the names are those of torchvision's SSDLite."""
    return "backbone.features.0.0.0.weight" in tensors and any(
        map(_PREDICTOR.fullmatch, tensors)
    )


def as_classifier(tensors: torch_files.Tensors) -> torch_files.Tensors:
    """The tensors with the backbone's named as in torchvision's classifiers.

    Those that predict boxes have their channels as ours, height before width.
    """
    firsts = [name for name in tensors if name.startswith(_FIRST_PART)]
    cut = max(int(name.removeprefix(_FIRST_PART).split(".")[0]) for name in firsts)
    renamed = {}
    for name, tensor in tensors.items():
        if re.fullmatch(r"head\.regression_head\.module_list\.\d+\.1\.\w+", name):
            shapes = tensor.reshape(-1, 4, *tensor.shape[1:])
            tensor = shapes[:, _XYWH_TO_YXHW].reshape(tensor.shape)
        renamed[_backbone_name(name, cut)] = np.asarray(tensor)
    return renamed


def _backbone_name(name: str, cut: int) -> str:
    if name.startswith(_FIRST_PART):
        number, _, rest = name.removeprefix(_FIRST_PART).partition(".")
        expansion = "block.0." if int(number) == cut else ""
        return f"features.{number}.{expansion}{rest}"
    if name.startswith(_SECOND_PART):
        number, _, rest = name.removeprefix(_SECOND_PART).partition(".")
        remainder = "block." if int(number) == 0 else ""
        return f"features.{cut + int(number)}.{remainder}{rest}"
    return name


def names(
    tensors: torch_files.Tensors, network: keras.Model, *, source: str
) -> torch_layout.Names:
    """Names of the network's layers, ours to those that `as_classifier` gives.

    Raises:
        RequestError: If the network has more blocks.
    """
    found = torchvision.names(tensors, network, source=source)
    for name in tensors:
        if match := _EXTRA.fullmatch(name):
            number, role = int(match[1]) + 1, _ROLES[int(match[2])]
            layer = f"ssdlite_extra{number}_{role}"
            theirs = f"backbone.extra.{match[1]}.{match[2]}"
            found |= {f"{layer}_conv": f"{theirs}.0", f"{layer}_norm": f"{theirs}.1"}
        elif match := _PREDICTOR.fullmatch(name):
            theirs, output = match[1], _OUTPUTS[match[2]]
            layer = f"ssdlite_level{int(match[3]) + 1}_{output}"
            found |= {
                f"{layer}_depthwise_conv": f"{theirs}.0.0",
                f"{layer}_depthwise_norm": f"{theirs}.0.1",
                f"{layer}_conv": f"{theirs}.1",
            }
    return found
