"""What networks are fed."""

import keras

# Of the pixels of ImageNet's photographs, in 0..1, red, green, blue: the values that
# torchvision and timm trained with.
_MEANS = (0.485, 0.456, 0.406)
_DEVIATIONS = (0.229, 0.224, 0.225)

KINDS = ("symmetric", "imagenet", "unit")
"""Ranges that pixels are brought to: "symmetric", [-1, 1]; "unit", [0, 1]; "imagenet",
each channel less its mean over ImageNet, by its deviation."""


def add(images: keras.KerasTensor, kind: str) -> keras.KerasTensor:
    """Adds the normalization of pixels 0..255 to the graph.

    The first layer, "normalize", has one factor and one offset for all channels: an
    exported file may hold it as the quantization of its input.

    Args:
        kind: One of `KINDS`.
    """
    if kind == "unit":
        return keras.layers.Rescaling(1 / 255, name="normalize")(images)
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    if kind == "symmetric":
        return x
    # With x = 2 p - 1 for p in 0..1, this is (p - mean) / deviation.
    pairs = list(zip(_MEANS, _DEVIATIONS, strict=True))
    return keras.layers.Rescaling(
        [0.5 / deviation for _, deviation in pairs],
        offset=[(0.5 - mean) / deviation for mean, deviation in pairs],
        name="normalize_channels",
    )(x)


def kind_of(network: keras.Model) -> str | None:
    """The normalization that `add` gave a network; None if it has none."""
    layers = {layer.name: layer for layer in network.layers}
    if "normalize" not in layers:
        return None
    if "normalize_channels" in layers:
        return "imagenet"
    return "symmetric" if layers["normalize"].offset else "unit"
