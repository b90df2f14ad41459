"""Weights in the layout of `keras.applications`."""

import pathlib
from collections.abc import Iterator, Mapping

import h5py
import keras
import numpy as np

from official import failures
from official.backbones import base, mobilenet_v1, mobilenet_v2, mobilenet_v3, trunk
from official.weights import transfer

SUFFIX = ".h5"

Layers = dict[str, list[np.ndarray]]
"""Weights by name of the layer, in the order of the network."""

# role in our names: role in theirs
_ROLES_V1 = {
    "depthwise_conv": "conv_dw_{}",
    "depthwise_norm": "conv_dw_{}_bn",
    "project_conv": "conv_pw_{}",
    "project_norm": "conv_pw_{}_bn",
}
_ROLES_V2 = {
    "expand_conv": "expand",
    "expand_norm": "expand_BN",
    "depthwise_conv": "depthwise",
    "depthwise_norm": "depthwise_BN",
    "project_conv": "project",
    "project_norm": "project_BN",
}
_ROLES_V3 = {
    "expand_conv": "expand",
    "expand_norm": "expand_bn",
    "depthwise_conv": "depthwise",
    "depthwise_norm": "depthwise_bn",
    "squeeze_excite_reduce_conv": "squeeze_excite_conv",
    "squeeze_excite_expand_conv": "squeeze_excite_conv_1",
    "project_conv": "project",
    "project_norm": "project_bn",
}


_KNOWN: dict[str, base.Backbone] = {
    "MobileNetV1()": mobilenet_v1.MobileNetV1(),
    "MobileNetV2()": mobilenet_v2.MobileNetV2(),
    "MobileNetV3(variant='large')": mobilenet_v3.MobileNetV3(variant="large"),
    "MobileNetV3(variant='small')": mobilenet_v3.MobileNetV3(variant="small"),
}


def layer_names(backbone: base.Backbone) -> dict[str, str]:
    """Names of the layers with weights of an ImageNet classifier, ours to theirs.

    In the order of the network: the backbone's, then the classifier's.

    Raises:
        RequestError: If `keras.applications` has no such backbone.
    """
    if isinstance(backbone, mobilenet_v1.MobileNetV1):
        return {
            "stem_conv": "conv1",
            "stem_norm": "conv1_bn",
            **dict(_names_v1(backbone)),
            "classes": "conv_preds",
        }
    if isinstance(backbone, mobilenet_v2.MobileNetV2):
        return {
            "stem_conv": "Conv1",
            "stem_norm": "bn_Conv1",
            **dict(_names_v2(backbone)),
            "last_conv": "Conv_1",
            "last_norm": "Conv_1_bn",
            "classes": "predictions",
        }
    if isinstance(backbone, mobilenet_v3.MobileNetV3):
        return {
            "stem_conv": "conv",
            "stem_norm": "conv_bn",
            **dict(_names_v3(backbone)),
            "last_conv": "conv_1",
            "last_norm": "conv_1_bn",
            "embedding_conv": "conv_2",
            "classes": "logits",
        }
    raise failures.RequestError(
        f"keras.applications weights are known for MobileNetV1, MobileNetV2 and "
        f"MobileNetV3, not for {type(backbone).__name__}"
    )


def _names_v1(backbone: mobilenet_v1.MobileNetV1) -> Iterator[tuple[str, str]]:
    placed_blocks = trunk.place(backbone.separables(), 32, norm=backbone.norm)
    for number, placed in enumerate(placed_blocks, start=1):
        for ours, theirs in _ROLES_V1.items():
            yield f"{placed.name}_{ours}", theirs.format(number)


def _names_v2(backbone: mobilenet_v2.MobileNetV2) -> Iterator[tuple[str, str]]:
    residuals = backbone.inverted_residuals()
    placed_blocks = trunk.place(residuals, 32, norm=backbone.norm)
    for number, placed in enumerate(placed_blocks):
        prefix = f"block_{number}_" if number else "expanded_conv_"
        for ours, theirs in _ROLES_V2.items():
            if number or not ours.startswith("expand"):
                yield f"{placed.name}_{ours}", prefix + theirs


def _names_v3(backbone: mobilenet_v3.MobileNetV3) -> Iterator[tuple[str, str]]:
    residuals = backbone.inverted_residuals()
    placed_blocks = trunk.place(residuals, 32, norm=backbone.norm)
    for number, placed in enumerate(placed_blocks):
        prefix = f"expanded_conv_{number}_" if number else "expanded_conv_"
        for ours, theirs in _ROLES_V3.items():
            if ours.startswith("squeeze") and not residuals[number].squeezed:
                continue
            if number or not ours.startswith("expand"):
                yield f"{placed.name}_{ours}", prefix + theirs


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
    """Copies what matches from a file of a `keras.applications` model.

    Written by `save_weights` or `save`, with or without its classifier, by this Keras
    or an old one; and from a file of any Keras model that has the same layers one after
    another under names of its own. Biases of convolutions in front of a norm become
    part of its mean.

    Raises:
        RequestError: If the file is not of this kind, or of another model.
    """
    layers = _read(file)
    names = layer_names(backbone)
    top = [name for name in names if name.startswith(("embedding_", "classes"))]
    sizes = (len(names), len(names) - len(top))
    missing = names.keys() - {*top, *_present(names, layers)}
    if missing and not (_is_ordered(file) and len(layers) in sizes):
        first = next(names[name] for name in names if name in missing)
        raise failures.RequestError(
            f"{file} is of another model than this {type(backbone).__name__}: it has "
            f"{len(layers)} layers with weights, not {sizes[0]}, or {sizes[1]} without "
            f"the classifier; {first!r} is not among them{_meant(layers)}"
        )
    if missing:
        # By their order, as Keras reads its old files: it has changed the names since.
        layers = dict(zip(names.values(), layers.values(), strict=False))
    return _transfer(layers, network, backbone, source=str(file))


def _meant(layers: Layers) -> str:
    """Of which backbone the layers are, as the end of a message; else nothing."""
    for binding, kind in _KNOWN.items():
        if layer_names(kind).keys() <= {
            *_present(layer_names(kind), layers),
            "classes",
        }:
            return f'; it is of --set "task.backbone = @{binding}"'
    return ""


def _present(names: Mapping[str, str], layers: Layers) -> set[str]:
    return {ours for ours, theirs in names.items() if theirs in layers}


def _transfer(
    layers: Layers, network: keras.Model, backbone: base.Backbone, *, source: str
) -> transfer.Transfer:
    arrays: dict[str, np.ndarray] = {}
    names = layer_names(backbone)
    ours = {layer.name: layer for layer in network.layers}
    for name, theirs in names.items():
        if theirs in layers and name in ours:
            found = _folded(name, names, layers)
            arrays |= _by_path(ours[name], found)
    return transfer.transfer(network, arrays, source=source)


def _folded(name: str, names: Mapping[str, str], layers: Layers) -> list[np.ndarray]:
    """Weights of a layer; those of a norm with the bias in front of it."""
    found = layers[names[name]]
    if not name.endswith("_norm"):
        return found
    before = layers.get(names[name.removesuffix("norm") + "conv"], [])
    if len(before) != 2 or len(found) != 4 or before[1].shape != found[2].shape:
        return found
    gamma, beta, mean, variance = found
    return [gamma, beta, mean - before[1], variance]


def _by_path(
    layer: keras.layers.Layer, found: list[np.ndarray]
) -> dict[str, np.ndarray]:
    pairs = zip(layer.weights, found, strict=False)  # a bias may be one too many
    return {weight.path: _in_axes(array, weight.shape) for weight, array in pairs}


def _in_axes(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A 1x1 convolution as a dense kernel, where that is wanted."""
    if array.ndim == 4 and len(shape) == 2 and array.shape[:2] == (1, 1):
        return array[0, 0]
    return array


def _read(file: pathlib.Path) -> Layers:
    try:
        with h5py.File(file) as archive:
            root = _old_root(archive)
            layers = _old(root) if root else _new(archive)
    except (OSError, ValueError, KeyError) as error:
        raise failures.RequestError(
            f"{file}: not a Keras weight file: {error}"
        ) from error
    if not layers:
        raise failures.RequestError(
            f"{file}: has no named layers; write it with save_weights() of a "
            "keras.applications model in a current Keras 3"
        )
    return layers


def _is_ordered(file: pathlib.Path) -> bool:
    """Whether a file says in which order its layers are."""
    with h5py.File(file) as archive:
        return _old_root(archive) is not None


def _old_root(archive: h5py.File) -> h5py.Group | None:
    """Where the weights are in the layout of Keras 1 and 2; None if it is another."""
    root = archive.get("model_weights", archive)
    return root if "layer_names" in root.attrs else None


def _new(archive: h5py.File) -> Layers:
    """The layout of Keras 3, `.weights.h5`."""
    groups = [
        layer["vars"]
        for layer in archive.get("layers", {}).values()
        if len(layer.get("vars", ()))
    ]
    if any("name" not in group.attrs for group in groups):
        return {}
    return {
        group.attrs["name"]: [group[key][()] for key in sorted(group, key=int)]
        for group in groups
    }


def _old(root: h5py.Group) -> Layers:
    """The layout of Keras 1 and 2, `.h5`."""
    layers = {
        _text(name): [root[name][key][()] for key in root[name].attrs["weight_names"]]
        for name in root.attrs["layer_names"]
    }
    return {name: arrays for name, arrays in layers.items() if arrays}


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
