"""From the network that was trained to the graph that is converted."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from official import export_spec
from official import graph as graph_lib
from official.layers import dilated, fake_quant, quantized
from official.quantization import rewrite

_NORMALIZE = "normalize"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Graph:
    """A network as a file will hold it.

    Attributes:
        model: One input "images" `[1, H, W, 3]`, a dict of outputs.
        scale: The input is `pixel * scale + offset` for pixels 0..255.
        offset: Likewise.
    """

    model: keras.Model
    scale: float = 1.0
    offset: float = 0.0


def build(network: keras.Model, *, spec: export_spec.Export, precision: str) -> Graph:
    """A copy of the network for one file: batch 1, its input type, convolutions whole.

    An int8 or mixed file that takes integers has no normalisation among its ops: the
    input's quantisation parameters are the normalisation. All others have it inside.
    What follows it for each channel stays among the ops of every file.

    Args:
        network: Input `[None, H, W, 3]`, float32 pixels 0..255, that goes into a
            `Rescaling` named "normalize"; the outputs of the file, a dict: see
            `official.tasks.base.Task.finish`.

    Raises:
        ValueError: If the network has no such layer.
    """
    normalize = _normalize(network)
    if precision == "int16x8":
        # Symmetric: no zero point could hold an offset. Its input means pixels.
        return Graph(model=_clone(network, dtype="float32", normalize=normalize))
    if precision in export_spec.INTEGER and spec.input_type != "float32":
        model = _clone(network, dtype="float32", normalize=None)
        return Graph(model=model, scale=normalize.scale, offset=normalize.offset)
    if spec.input_type == "int8":
        # The file is fed pixel - 128; the layer makes up for it.
        normalize = keras.layers.Rescaling(
            normalize.scale,
            offset=normalize.offset + 128 * normalize.scale,
            name=_NORMALIZE,
        )
        shifted = _clone(network, dtype="int8", normalize=normalize)
        return Graph(model=shifted, offset=-128.0)
    return Graph(model=_clone(network, dtype=spec.input_type, normalize=normalize))


def _normalize(network: keras.Model) -> keras.layers.Rescaling:
    layer = next((x for x in network.layers if x.name == _NORMALIZE), None)
    if not isinstance(layer, keras.layers.Rescaling):
        raise ValueError(
            f"network {network.name!r} has no Rescaling layer {_NORMALIZE!r} for the "
            f"images; its first layers: {[x.name for x in network.layers[:3]]}"
        )
    return layer


def _clone(
    network: keras.Model, *, dtype: str, normalize: keras.layers.Rescaling | None
) -> keras.Model:
    shape = (1, *network.input_shape[1:])
    images = keras.Input(batch_shape=shape, dtype=dtype, name="images")

    def visit(node: graph_lib.Node, args: Any, kwargs: Any) -> Any:
        if _is_dilated(node.operation):
            layer = dilated.DilatedConv2D.from_config(node.operation.get_config())
            return layer(*args, **kwargs)
        if node.name != _NORMALIZE:
            return graph_lib.copy(node, args, kwargs)
        if normalize is None:
            return args[0]
        if rewrite.is_quantized(network):
            return _on_grid(normalize)(*args)
        return graph_lib.renew(normalize)(*args)

    model = graph_lib.rebuild(network, visit, inputs=images)
    graph_lib.copy_weights(network, model)
    _tell_biases_apart(model)
    return model


def _is_dilated(operation: keras.Operation) -> bool:
    """Whether it is a convolution that TensorFlow would take apart.

    One that is trained quantization-aware is another class, and stays as it is.
    """
    return type(operation) is keras.layers.Conv2D and max(operation.dilation_rate) > 1


def _tell_biases_apart(model: keras.Model) -> None:
    """Moves one value of each bias whose values are all equal, by as little as can be.

    Of such a constant the converter keeps one integer for all channels, in the scale of
    the first, and so gives every other channel a wrong bias.
    """
    for layer in model.layers:
        bias = getattr(layer, "bias", None)
        if not isinstance(bias, keras.Variable):
            continue
        values = keras.ops.convert_to_numpy(bias).copy()
        if values[0] != 0 and (values == values[0]).all():
            values[0] = np.nextafter(values[0], np.float32(0))
            bias.assign(values)


def _on_grid(normalize: keras.layers.Rescaling) -> Callable[[Any], Any]:
    """The normalization as an op of integers, which changes none of them."""
    pixels = fake_quant.FakeQuant(fixed=(0, 255), name="pixels_range")
    scale = quantized.QuantizedRescaling(
        normalize.scale, offset=normalize.offset, name=_NORMALIZE
    )
    return lambda images: scale(pixels(images))
