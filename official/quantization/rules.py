"""What becomes of each layer in an integer file, and what a user can say about it."""

import dataclasses
import enum
import re
from collections.abc import Sequence
from typing import Any

import keras

from official.layers import (
    argmax,
    attention,
    batch_norm,
    box_decoding,
    foreground,
    hard_swish,
    l2_normalize,
    layer_scale,
    masks,
    queries,
)

WEIGHT_BITS = range(4, 9)
ACTIVATION_BITS = (8, 16)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """What holds for some layers instead of what the scheme says.

    Attributes:
        layers: Regular expression that matches the whole name of a layer.
        weight_bits: 4 to 8, or None: as the scheme.
        symmetric_activations: Whether the range of the op that the layer is in, or
            ends, lies around zero; or None: as the scheme.
    """

    layers: str
    weight_bits: int | None = None
    symmetric_activations: bool | None = None

    def __post_init__(self):
        try:
            re.compile(self.layers)
        except re.error as error:
            raise ValueError(
                f"Rule.layers = {self.layers!r}: not a regular expression ({error})"
            ) from error
        if self.weight_bits is not None:
            check_weight_bits(self, self.weight_bits)
        if self.weight_bits is None and self.symmetric_activations is None:
            raise ValueError(
                f"Rule(layers={self.layers!r}) says nothing: set weight_bits or "
                "symmetric_activations"
            )


def check_weight_bits(spec: object, bits: int) -> None:
    """Raises a ValueError if an int8 file cannot hold weights of so many bits."""
    if bits not in WEIGHT_BITS:
        raise ValueError(
            f"{type(spec).__name__}.weight_bits = {bits}: must be from "
            f"{WEIGHT_BITS[0]} to {WEIGHT_BITS[-1]}; TFLite kernels want int8"
        )


def resolve(rules: Sequence[Rule], names: Sequence[str]) -> dict[str, Rule]:
    """The rule of each layer that has one: the first that matches.

    Raises:
        ValueError: If a rule decides nothing: it matches no name, or only names that
            rules before it have matched.
    """
    found: dict[str, Rule] = {}
    for rule in rules:
        matched = [name for name in names if re.fullmatch(rule.layers, name)]
        fresh = [name for name in matched if name not in found]
        if not fresh:
            why = "earlier rules match all of them" if matched else "no layer has it"
            raise ValueError(
                f"Rule(layers={rule.layers!r}) decides nothing: {why}; names are such "
                f"as {', '.join(names[:3])}"
            )
        found.update(dict.fromkeys(fresh, rule))
    return found


class Kind(enum.Enum):
    """What an integer file makes of a layer."""

    KERNEL = "a weighted op"
    NORM = "part of the convolution before it, or one of its own"
    SCALE = "part of the convolution before it"
    RELU = "part of the op before it, or one of its own"
    BOUNDARY = "an op with a range of its own"
    SAME = "an op whose output has the range of its input"
    ATTENTION = "several ops; the queries become part of the convolution before it"
    IDS = "integers that are no quantities"


_SIGMOIDS = ("sigmoid", "softmax")
_RELUS = ("relu", "relu6")

# The first class that a layer is an instance of counts.
_KINDS: tuple[tuple[type, Kind], ...] = (
    (keras.layers.Conv2DTranspose, Kind.BOUNDARY),
    (keras.layers.Conv2D, Kind.KERNEL),
    (keras.layers.DepthwiseConv2D, Kind.KERNEL),
    (keras.layers.Dense, Kind.KERNEL),
    (batch_norm.BatchNormalization, Kind.NORM),
    (keras.layers.BatchNormalization, Kind.NORM),
    (layer_scale.LayerScale, Kind.SCALE),
    (keras.layers.Rescaling, Kind.BOUNDARY),
    (keras.layers.ReLU, Kind.RELU),
    (hard_swish.HardSwish, Kind.BOUNDARY),
    (hard_swish.HardSigmoid, Kind.BOUNDARY),
    (attention.MultiQueryAttention, Kind.ATTENTION),
    (argmax.ArgMax, Kind.IDS),
    (box_decoding.BoxDecoding, Kind.BOUNDARY),
    (foreground.Foreground, Kind.SAME),
    (queries.LearnedQueries, Kind.BOUNDARY),
    (masks.MaskProduct, Kind.BOUNDARY),
    (masks.KMeansUpdate, Kind.BOUNDARY),
    (l2_normalize.L2Normalize, Kind.BOUNDARY),
    (keras.layers.Softmax, Kind.BOUNDARY),
    (keras.layers.Add, Kind.BOUNDARY),
    (keras.layers.Subtract, Kind.BOUNDARY),
    (keras.layers.Multiply, Kind.BOUNDARY),
    (keras.layers.Concatenate, Kind.BOUNDARY),
    (keras.layers.GlobalAveragePooling2D, Kind.BOUNDARY),
    (keras.layers.AveragePooling2D, Kind.SAME),
    (keras.layers.MaxPooling2D, Kind.SAME),
    (keras.layers.Resizing, Kind.SAME),
    (keras.layers.UpSampling2D, Kind.SAME),
    (keras.layers.ZeroPadding2D, Kind.SAME),
    (keras.layers.Reshape, Kind.SAME),
    (keras.layers.Flatten, Kind.SAME),
    (keras.layers.Permute, Kind.SAME),
    (keras.layers.Dropout, Kind.SAME),
)


def kind(layer: Any) -> Kind:
    """What an integer file makes of a layer.

    Raises:
        ValueError: If that is not known; names layer and class.
    """
    if isinstance(layer, keras.layers.Activation):
        name = keras.activations.serialize(layer.activation)
        if name == "linear":
            return Kind.SAME
        return Kind.RELU if name in _RELUS else Kind.BOUNDARY
    for known, found in _KINDS:
        if isinstance(layer, known):
            _require_plain(layer)
            return found
    raise ValueError(
        f"layer {layer.name!r}: nothing is known of {type(layer).__name__} in integer "
        "files; build the network of other layers, or add the class to "
        "official/quantization/rules.py"
    )


def _require_plain(layer: Any) -> None:
    """A range has its place between a kernel and what follows, if they are apart."""
    activation = getattr(layer, "activation", None)
    if activation is not None and keras.activations.serialize(activation) != "linear":
        raise ValueError(
            f"layer {layer.name!r} has an activation inside; give it a layer of its own"
        )
    if isinstance(layer, keras.layers.Dense) and len(layer.input.shape) != 2:
        raise ValueError(
            f"layer {layer.name!r}: a Dense on {layer.input.shape} has no integer form "
            "here; make it a convolution of 1x1"
        )


def fixed_range(layer: Any) -> tuple[float, float] | None:
    """Range of the output, where TFLite fixes it or the function does."""
    if isinstance(layer, hard_swish.HardSigmoid | box_decoding.BoxDecoding):
        return 0.0, 1.0
    if isinstance(layer, l2_normalize.L2Normalize):
        return -1.0, 127 / 128
    softmax = isinstance(layer, keras.layers.Softmax)
    if isinstance(layer, keras.layers.Activation):
        softmax = keras.activations.serialize(layer.activation) in _SIGMOIDS
    return (0.0, 255 / 256) if softmax else None
