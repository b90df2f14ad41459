"""What a layer costs."""

import math
from typing import Any, Protocol, runtime_checkable

import keras

_KINDS = {
    "conv": keras.layers.Conv2D,
    "depthwise": keras.layers.DepthwiseConv2D,
    "dense": keras.layers.Dense,
}
_COUNTED: Any = tuple(_KINDS.values())


@runtime_checkable
class Counted(Protocol):
    """A layer that multiplies its inputs with each other and counts that itself."""

    def multiply_adds(self) -> int:
        """Multiply-adds of one image."""


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of one image through convolutions, dense layers and attention.

    Norms, activations, pooling, resizing, softmax and elementwise products count
    nothing, as in the MobileNet papers. All shapes but the batch must be static.

    Raises:
        ValueError: If a layer has a kernel of a kind that is not counted here, or an
            output size is unknown.
    """
    return sum(multiply_adds_by_kind(model).values())


def multiply_adds_by_kind(model: keras.Model) -> dict[str, int]:
    """Multiply-adds of one image by kind of layer.

    Returns:
        "conv" (not depthwise), "depthwise", "dense" and "attention" (the products of
        queries, keys and values; the projections are convolutions).

    Raises:
        ValueError: As `multiply_adds`.
    """
    counts = dict.fromkeys((*_KINDS, "attention"), 0)
    for layer in model.layers:
        if number := layer_multiply_adds(layer):
            counts[_kind(layer)] += number
    return counts


def layer_multiply_adds(layer: keras.layers.Layer) -> int:
    """Multiply-adds of one image through one layer; 0 for a layer without a kernel.

    A layer with a method `multiply_adds` is asked.

    Raises:
        ValueError: As `multiply_adds`.
    """
    if isinstance(layer, Counted):
        return layer.multiply_adds()
    if isinstance(layer, _COUNTED):
        # Every weight works once at every output position. Kernels: Conv2D
        # [height, width, C_in / groups, C_out], DepthwiseConv2D [height, width, C,
        # multiplier], Dense [C_in, C_out].
        return _positions(layer) * math.prod(layer.kernel.shape)
    if hasattr(layer, "kernel"):
        raise ValueError(
            f"layer {layer.name!r}: the multiply-adds of {type(layer).__name__} are "
            "not known; known are Conv2D, DepthwiseConv2D and Dense, and a layer may "
            "have a method multiply_adds()"
        )
    return 0


def _kind(layer: keras.layers.Layer) -> str:
    kinds = (name for name, kind in _KINDS.items() if isinstance(layer, kind))
    return next(kinds, "attention")


def _positions(layer: keras.layers.Layer) -> int:
    size = layer.output.shape[1:-1]
    if None in size:
        raise ValueError(
            f"layer {layer.name!r} has output size {size}: build the model with a "
            "static input size to count its multiply-adds"
        )
    return math.prod(size)
