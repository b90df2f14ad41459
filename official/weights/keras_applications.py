"""Weights in the layout of `keras.applications`."""

import pathlib
from collections.abc import Iterator, Mapping

import h5py
import keras
import numpy as np

from official import failures
from official.backbones import base, blocks, mobilenet_v2, mobilenet_v3
from official.weights import transfer

SUFFIX = ".weights.h5"

# role in our names: role in theirs, V2 and V3
_ROLES = {
    "expand_conv": ("expand", "expand"),
    "expand_norm": ("expand_BN", "expand_bn"),
    "depthwise_conv": ("depthwise", "depthwise"),
    "depthwise_norm": ("depthwise_BN", "depthwise_bn"),
    "squeeze_excite_reduce_conv": ("", "squeeze_excite_conv"),
    "squeeze_excite_expand_conv": ("", "squeeze_excite_conv_1"),
    "project_conv": ("project", "project"),
    "project_norm": ("project_BN", "project_bn"),
}


def layer_names(backbone: base.Backbone) -> dict[str, str]:
    """Names of the backbone's layers with weights, ours to theirs.

    Raises:
        RequestError: If `keras.applications` has no such backbone.
    """
    if isinstance(backbone, mobilenet_v2.MobileNetV2):
        ends = {
            "stem_conv": "Conv1",
            "stem_norm": "bn_Conv1",
            "last_conv": "Conv_1",
            "last_norm": "Conv_1_bn",
        }
        return ends | dict(
            _block_names(backbone.inverted_residuals(), "block_{}_", version=0)
        )
    if isinstance(backbone, mobilenet_v3.MobileNetV3):
        ends = {
            "stem_conv": "conv",
            "stem_norm": "conv_bn",
            "last_conv": "conv_1",
            "last_norm": "conv_1_bn",
        }
        pairs = _block_names(
            backbone.inverted_residuals(), "expanded_conv_{}_", version=1
        )
        return ends | dict(pairs)
    raise failures.RequestError(
        f"keras.applications weights are known for MobileNetV2 and MobileNetV3, not "
        f"for {type(backbone).__name__}"
    )


def _block_names(
    specs: tuple[blocks.Block, ...], prefix: str, *, version: int
) -> Iterator[tuple[str, str]]:
    for position, placed in enumerate(blocks.place(specs, 32)):
        theirs = prefix.format(position) if position else "expanded_conv_"
        for role, names in _ROLES.items():
            if role.startswith("squeeze") and not placed.block.squeezed:
                continue
            # The first block is the one without an expansion.
            if role.startswith("expand") and not position:
                continue
            yield f"{placed.name}_{role}", theirs + names[version]


def transplant(
    source: keras.Model, network: keras.Model, backbone: base.Backbone
) -> transfer.Transfer:
    """Copies the weights of a `keras.applications` model that match the network's.

    Args:
        network: Contains the backbone.

    Raises:
        RequestError: If `keras.applications` has no such backbone.
    """
    layers = {
        layer.name: [keras.ops.convert_to_numpy(weight) for weight in layer.weights]
        for layer in source.layers
    }
    return _transfer(layers, network, backbone, source=source.name)


def load(
    file: pathlib.Path, network: keras.Model, backbone: base.Backbone
) -> transfer.Transfer:
    """Copies from a file that `save_weights` of a `keras.applications` model wrote.

    The model may have its classifier or not. Layers that the backbone's
    `reduced_tail` made narrower are skipped.

    Raises:
        RequestError: If the file is not of this kind, or of another model or width.
    """
    result = _transfer(_read(file), network, backbone, source=str(file))
    missing = layer_names(backbone).keys() & set(result.random)
    if missing:
        first = next(name for name in result.random if name in missing)
        raise failures.RequestError(
            f"{file} is of another variant than this {type(backbone).__name__}: it has "
            f"no layer {layer_names(backbone)[first]!r} for {first}"
        )
    altered = ("C5_", "last_") if getattr(backbone, "reduced_tail", False) else ()
    for item in result.skipped:
        if not item.layer.startswith(altered):
            raise failures.RequestError(
                f"{file} is of another variant or width than this "
                f"{type(backbone).__name__}: layer {item.layer}: {item.reason}"
            )
    return result


def _transfer(
    layers: Mapping[str, list[np.ndarray]],
    network: keras.Model,
    backbone: base.Backbone,
    *,
    source: str,
) -> transfer.Transfer:
    """As `transplant`; `layers` are weights by their names, in the order of Keras."""
    arrays: dict[str, np.ndarray] = {}
    for ours, theirs in layer_names(backbone).items():
        if theirs in layers and (layer := _layer(network, ours)) is not None:
            paths = (weight.path for weight in layer.weights)
            arrays |= dict(zip(paths, layers[theirs], strict=False))
    return transfer.transfer(network, arrays, source=source)


def _layer(network: keras.Model, name: str) -> keras.layers.Layer | None:
    return next((layer for layer in network.layers if layer.name == name), None)


def _read(file: pathlib.Path) -> dict[str, list[np.ndarray]]:
    """Weights by name of the layer."""
    try:
        with h5py.File(file) as archive:
            groups = [
                layer["vars"]
                for layer in archive.get("layers", {}).values()
                if len(layer.get("vars", ()))
            ]
            layers = {
                group.attrs.get("name"): [
                    group[key][()] for key in sorted(group, key=int)
                ]
                for group in groups
            }
    except (OSError, ValueError) as error:
        raise failures.RequestError(
            f"{file}: not a Keras weight file: {error}"
        ) from error
    if not layers or None in layers:
        raise failures.RequestError(
            f"{file}: has no named layers; write it with save_weights() of a "
            "keras.applications model in a current Keras 3"
        )
    return layers
