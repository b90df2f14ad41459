"""An int8 file against the fake-quantized network that it was made from, op by op.

The two cannot agree bit by bit from end to end: TFLite kernels round twice where they
rescale, a few values in ten thousand fall to the other side, and a deep network makes
noise of the size of its quantization out of them. What can be demanded is that every
op, given what the file itself had before it, comes out within one step. That is held
here: the network runs layer by layer, and whenever the file has the tensor that a layer
ends in, the two are compared and the file's values go on.
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from official import failures, graph
from official.layers import fake_quant, quantized_attention
from official.quantization import rewrite, rules
from tflite_export import calibration, flatbuffer, inference, quiet

_INTEGERS = ("INT8", "UINT8", "INT16", "INT32")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """A layer that ends an op of the file.

    Attributes:
        layer: Its name.
        op: Of the file, the one that makes the tensor.
        elements: Number of values compared, over all images.
        exact: Share of them that are equal.
        worst: Largest difference, in steps of the tensor.
    """

    layer: str
    op: str
    elements: int
    exact: float
    worst: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """What came of it.

    Attributes:
        comparisons: In the order of the network.
        ops: Of the file that compute (not QUANTIZE or DEQUANTIZE at its ends).
        unmatched: Those of them whose tensors no layer was found for. They are compared
            too, as part of the op that reads them.
    """

    comparisons: tuple[Comparison, ...]
    ops: int
    unmatched: tuple[str, ...]

    @property
    def worst(self) -> int:
        """Largest difference of all layers, in steps."""
        return max((c.worst for c in self.comparisons), default=0)

    @property
    def exact(self) -> float:
        """Share of all values that are equal."""
        total = sum(c.elements for c in self.comparisons)
        return sum(c.exact * c.elements for c in self.comparisons) / max(total, 1)


def compare(
    path: pathlib.Path, built: inference.Graph, images: Iterable[np.ndarray]
) -> Report:
    """Runs a trusted file and its network over images.

    Args:
        path: Made from `built` by `conversion.convert`.
        built: Fake-quantized, of batch 1.
        images: `[H, W, 3]`, pixels 0..255; at least one.

    Raises:
        RequestError: If a tensor of the file has another scale than the range of the
            layer that it comes from, or no tensor is found at all.
    """
    file = flatbuffer.read(path)
    loaded = _load(path)
    found = _tensors(file, built.model)
    differences: dict[str, list[np.ndarray]] = {name: [] for name in found}
    for image in images:
        _set(loaded, file, image)
        loaded.invoke()
        for name, steps in _run(built, image, found, loaded).items():
            differences[name].append(steps)
    comparisons = []
    for name, of_images in differences.items():
        values = np.concatenate(of_images)
        comparisons.append(
            Comparison(
                layer=name,
                op=found[name].op,
                elements=values.size,
                exact=float(np.mean(values == 0)),
                worst=int(values.max()),
            )
        )
    if not comparisons:
        raise failures.RequestError(f"{path}: no tensor belongs to a layer")
    seen = {place.tensor.index for place in found.values()}
    computing = [op for op in file.ops if op.name not in ("QUANTIZE", "DEQUANTIZE")]
    return Report(
        comparisons=tuple(comparisons),
        ops=len(computing),
        unmatched=tuple(
            f"{op.name} of {op.layer or '?'}"
            for op in computing
            if not any(output.index in seen for output in op.outputs)
        ),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a layer of the network ends in the file."""

    tensor: flatbuffer.Tensor
    op: str


def _tensors(file: flatbuffer.File, model: keras.Model) -> dict[str, _Place]:
    """The tensor of each layer that has one, by the layer's name."""
    made: dict[str, list[tuple[flatbuffer.Op, flatbuffer.Tensor]]] = {}
    for op in file.ops:
        for tensor in op.outputs:
            for name in flatbuffer.layers(tensor.name):
                made.setdefault(name, []).append((op, tensor))
    found = {}
    for node in graph.nodes(model):
        wanted = _source(node, model)
        if wanted is None:
            continue
        size = int(np.prod(node.outputs[0].shape))
        fitting = [
            (op, tensor)
            for op, tensor in made.get(wanted, ())
            if tensor.dtype in _INTEGERS and int(np.prod(tensor.shape)) == size
        ]
        if fitting:
            op, tensor = fitting[-1]
            _require_scale(node.operation, tensor, file.path)
            found[node.name] = _Place(tensor=tensor, op=op.name)
    return found


def _source(node: graph.Node, model: keras.Model) -> str | None:
    """Name of the layer whose tensor a node's output is; None if it ends no op."""
    operation = node.operation
    if isinstance(operation, fake_quant.FakeQuant):
        if node.name in (f"{rewrite.NORMALIZE}_range", "pixels_range"):
            return None  # the input itself
        return node.name.removesuffix("_range")
    if isinstance(operation, quantized_attention.QuantizedMultiQueryAttention):
        return node.name
    kinds = (rules.Kind.SAME, rules.Kind.IDS)
    return node.name if rules.kind(operation) in kinds else None


def _require_scale(
    layer: keras.Operation, tensor: flatbuffer.Tensor, path: pathlib.Path
) -> None:
    if not isinstance(layer, fake_quant.FakeQuant) or len(tensor.scales) != 1:
        return
    low, high = (float(keras.ops.convert_to_numpy(x)) for x in layer.limits)
    scale = (high - low) / (2**layer.bits - 1)
    if not np.isclose(scale, tensor.scales[0], rtol=1e-3):
        raise failures.RequestError(
            f"{path}: tensor {tensor.name!r} has a step of {tensor.scales[0]:.6g}, its "
            f"layer {layer.name!r} one of {scale:.6g}: the file is of another network, "
            "or the converter has given it the range of another layer"
        )


def _load(path: pathlib.Path) -> Any:
    from ai_edge_litert import interpreter

    # A delegate would hide the tensors.
    plain = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    with quiet.stderr():
        loaded = interpreter.Interpreter(
            str(path),
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=plain,
        )
        loaded.allocate_tensors()
    return loaded


def _set(loaded: Any, file: flatbuffer.File, image: np.ndarray) -> None:
    (tensor,) = file.inputs.values()
    pixels = calibration.to_uint8(image)
    if tensor.dtype == "INT8":
        pixels = (pixels.astype(np.int16) - 128).astype(np.int8)
    loaded.set_tensor(
        tensor.index,
        pixels.astype(np.float32)[None] if tensor.dtype == "FLOAT32" else pixels[None],
    )


def _run(
    built: inference.Graph,
    image: np.ndarray,
    found: Mapping[str, _Place],
    loaded: Any,
) -> dict[str, np.ndarray]:
    """Differences in steps, flat, by layer, for one image."""
    model = built.model
    pixels = calibration.to_uint8(image).astype(np.float32)[None]
    values: dict[int, Any] = {
        id(model.inputs[0]): keras.ops.convert_to_tensor(
            pixels * built.scale + built.offset, dtype=model.inputs[0].dtype
        )
    }
    differences = {}
    for node, args, kwargs in graph.calls(model):
        given_args, given_kwargs = keras.tree.map_structure(
            lambda x: values.get(id(x), x), (args, kwargs)
        )
        output = node.operation(*given_args, **given_kwargs)
        if node.name in found:
            tensor = found[node.name].tensor
            theirs = loaded.get_tensor(tensor.index).astype(np.int64).ravel()
            ours = _stored(keras.ops.convert_to_numpy(output), tensor).ravel()
            differences[node.name] = np.abs(theirs - ours)
            real = _real(theirs, tensor).reshape(output.shape)
            output = keras.ops.convert_to_tensor(real, dtype=output.dtype)
        values[id(node.outputs[0])] = output
    return differences


def _stored(values: np.ndarray, tensor: flatbuffer.Tensor) -> np.ndarray:
    if not tensor.scales:
        return values.astype(np.int64)
    limits = np.iinfo(tensor.dtype.lower())
    levels = np.rint(values / tensor.scales[0]) + tensor.zero_points[0]
    return np.clip(levels, limits.min, limits.max).astype(np.int64)


def _real(levels: np.ndarray, tensor: flatbuffer.Tensor) -> np.ndarray:
    if not tensor.scales:
        return levels
    return (levels - tensor.zero_points[0]) * np.float32(tensor.scales[0])
