"""What a layer costs."""

import math

import keras

_COUNTED = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of one image through the convolutions and dense layers of a model.

    Norms, activations, pooling, resizing and elementwise products count nothing, as in
    the MobileNet papers. All shapes but the batch must be static.

    Raises:
        ValueError: If a layer has a kernel of a kind that is not counted here, or an
            output size is unknown.
    """
    return sum(layer_multiply_adds(layer) for layer in model.layers)


def layer_multiply_adds(layer: keras.layers.Layer) -> int:
    """Multiply-adds of one image through one layer; 0 for a layer without a kernel.

    Raises:
        ValueError: As `multiply_adds`.
    """
    if isinstance(layer, _COUNTED):
        # Every weight works once at every output position. Kernels: Conv2D
        # [height, width, C_in / groups, C_out], DepthwiseConv2D [height, width, C,
        # multiplier], Dense [C_in, C_out].
        return _positions(layer) * math.prod(layer.kernel.shape)
    if hasattr(layer, "kernel"):
        raise ValueError(
            f"layer {layer.name!r}: the multiply-adds of {type(layer).__name__} are "
            "not known; known are Conv2D, DepthwiseConv2D and Dense"
        )
    return 0


def _positions(layer: keras.layers.Layer) -> int:
    size = layer.output.shape[1:-1]
    if None in size:
        raise ValueError(
            f"layer {layer.name!r} has output size {size}: build the model with a "
            "static input size to count its multiply-adds"
        )
    return math.prod(size)
