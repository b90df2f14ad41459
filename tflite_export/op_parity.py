"""An int8 file against the fake-quantized network that it was made from, op by op.

The two cannot agree bit by bit from end to end: TFLite kernels round twice where they
rescale, a few values in ten thousand fall to the other side, and a deep network makes
noise of the size of its quantization out of them. What can be demanded is that every
op, given what the file itself had before it, comes out within one step. That is held
here: the network runs layer by layer, and whenever the file has the tensor that a layer
ends in, the two are compared and the file's values go on.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from official import failures, graph
from official.layers import fake_quant, quantized_attention
from official.quantization import rewrite, rules
from tflite_export import calibration, detection_op, flatbuffer, inference, quiet

# Ops that only move values: what is wrong with them is seen where these are read.
_MOVES = ("RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS", "STRIDED_SLICE", "PAD")
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
        ops: Of the file that compute (not QUANTIZE or DEQUANTIZE at its ends, nor what
            makes detections of its outputs).
        unmatched: Those of them whose tensors no layer was found for, but for ops that
            only move values. They are compared too, as part of the op that reads them.
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
    _require_ends(found, built.model, path)
    run = _Run(built, found, loaded)
    for image in images:
        _set(loaded, file, image)
        loaded.invoke()
        run(image)
    seen = {place.tensor.index for place in found.values()}
    others = [op.outputs for op in detection_op.tail(file)]  # not of the network
    computing = [
        op
        for op in file.ops
        if op.name not in ("QUANTIZE", "DEQUANTIZE") and op.outputs not in others
    ]
    return Report(
        comparisons=tuple(run.comparisons()),
        ops=len(computing),
        unmatched=tuple(
            f"{op.name} of {op.layer or '?'}"
            for op in computing
            if op.name not in _MOVES
            and not any(output.index in seen for output in op.outputs)
        ),
    )


def _require_ends(
    found: Mapping[str, "_Place"], model: keras.Model, path: pathlib.Path
) -> None:
    """Every output must be compared, so that nothing before it can be wrong unseen."""
    missing = [
        node.name
        for node in graph.nodes(model)
        if node.is_output and node.name not in found
    ]
    if missing:
        raise failures.RequestError(
            f"{path}: no tensor of the file belongs to the output of layer "
            f"{missing[0]!r}: is it the file of this network?"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a layer of the network ends in the file."""

    tensor: flatbuffer.Tensor
    op: str


def _tensors(file: flatbuffer.File, model: keras.Model) -> dict[str, _Place]:
    """The tensor of each layer that has one, by the layer's name.

    Of a layer that is several ops, those inside as well, by `<layer>/<name>`.
    """
    made: dict[str, list[_Place]] = {}
    for op in file.ops:
        for tensor in op.outputs:
            for name in flatbuffer.layers(tensor.name):
                place = _Place(tensor=tensor, op=op.name)
                made.setdefault(name, []).append(place)
    found: dict[str, _Place] = {}
    makers: dict[int, graph.Node] = {}
    for node in graph.nodes(model):
        sizes = _sizes_inside(node)
        for name, limits in getattr(node.operation, "limits_inside", {}).items():
            # What hardly moves has the same range everywhere.
            places = [
                place
                for place in made.get(node.name, ())
                if place.op not in _MOVES
                and _has_range(place, limits)
                and int(np.prod(place.tensor.shape)) == sizes.get(name)
            ]
            taken = [place.tensor.index for place in found.values()]
            free = [p for p in places if p.tensor.index not in taken]
            if free:
                found[f"{node.name}/{name}"] = free[0]
        size = int(np.prod(node.outputs[0].shape))
        fitting = [
            place
            for name in _sources(node, makers)
            for place in made.get(name, ())
            if place.tensor.dtype in _INTEGERS
            and int(np.prod(place.tensor.shape)) == size
        ]
        if node.is_output and not fitting:
            # The name of the layer may have given way to that of the output.
            fitting = _output(file, model, node)
        if fitting:
            _require_range(node.operation, fitting[-1], file.path)
            found[node.name] = fitting[-1]
        makers[id(node.outputs[0])] = node
    return found


def _sizes_inside(node: graph.Node) -> dict[str, int]:
    """How many values a layer of several ops rounds at each place inside, by name."""
    layer: Any = node.operation
    if not hasattr(layer, "limits_inside"):
        return {}
    sizes = {}
    rounded = layer.rounded

    def counted(values: Any, name: str) -> Any:
        sizes[name] = int(np.prod(values.shape))
        return rounded(values, name)

    with _seam(layer, counted):
        layer(*(keras.ops.zeros(given.shape) for given in node.inputs))
    return sizes


@contextlib.contextmanager
def _seam(layer: Any, rounded: Callable[[Any, str], Any]) -> Iterator[None]:
    """Lets a function stand for the `rounded` of a layer."""
    layer.rounded = rounded
    try:
        yield
    finally:
        del layer.rounded


def _output(
    file: flatbuffer.File, model: keras.Model, node: graph.Node
) -> list[_Place]:
    """The tensor of a node that is an output, by the output's name."""
    tensor = next(
        (
            file.outputs.get(name)
            for name, given in model.output.items()
            if given is node.outputs[0]
        ),
        None,
    )
    for op in reversed(file.ops):
        if tensor is not None and any(t.index == tensor.index for t in op.outputs):
            if op.name == "DEQUANTIZE":
                tensor = op.inputs[0]
                continue
            return [_Place(tensor=tensor, op=op.name)]
    return []


def _sources(node: graph.Node, makers: Mapping[int, graph.Node]) -> list[str]:
    """Layers that a node's tensor may be named after; none if it ends no op.

    Behind a range that is the layer before it or, where the converter has folded that
    into a convolution and its name got lost, one before that; the best comes last.
    """
    operation = node.operation
    if isinstance(operation, quantized_attention.QuantizedMultiQueryAttention):
        return [node.name]
    if not isinstance(operation, fake_quant.FakeQuant):
        ends = rules.kind(operation) in (rules.Kind.SAME, rules.Kind.IDS)
        return [node.name] if ends else []
    if node.name in (f"{rewrite.NORMALIZE}_range", "pixels_range"):
        return []  # the input itself
    names: list[str] = []
    while (before := makers.get(id(node.inputs[0]))) is not None:
        if isinstance(before.operation, fake_quant.FakeQuant):
            break
        names.insert(0, before.name)
        node = before
    return names


def _has_range(place: _Place, limits: tuple[Any, Any]) -> bool:
    low, high = (float(keras.ops.convert_to_numpy(x)) for x in limits)
    levels = {"INT8": 2**8, "UINT8": 2**8, "INT16": 2**16}.get(place.tensor.dtype, 0)
    if len(place.tensor.scales) != 1 or not levels:
        return False
    scale = (high - low) / (levels - 1)
    return bool(np.isclose(scale, place.tensor.scales[0], rtol=1e-3))


def _require_range(layer: keras.Operation, place: _Place, path: pathlib.Path) -> None:
    if isinstance(layer, fake_quant.FakeQuant) and not _has_range(place, layer.limits):
        low, high = (float(keras.ops.convert_to_numpy(x)) for x in layer.limits)
        raise failures.RequestError(
            f"{path}: tensor {place.tensor.name!r} has steps of {place.tensor.scales}, "
            f"its layer {layer.name!r} a range of {low:.6g} to {high:.6g}: the file is "
            "of another network, or the converter gave it the range of another layer"
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


class _Run:
    """Runs the network layer by layer, each on what the file had before it."""

    def __init__(
        self, built: inference.Graph, found: Mapping[str, _Place], loaded: Any
    ):
        self._built = built
        self._found = found
        self._loaded = loaded
        self._differences: dict[str, list[np.ndarray]] = {name: [] for name in found}

    def __call__(self, image: np.ndarray) -> None:
        built = self._built
        model = built.model
        pixels = calibration.to_uint8(image).astype(np.float32)[None]
        given = pixels * built.scale + built.offset
        values: dict[int, Any] = {
            id(model.inputs[0]): keras.ops.convert_to_tensor(
                given, dtype=model.inputs[0].dtype
            )
        }
        for node, args, kwargs in graph.calls(model):
            args, kwargs = keras.tree.map_structure(
                lambda x: values.get(id(x), x), (args, kwargs)
            )
            with self._inside(node):
                output = node.operation(*args, **kwargs)
            values[id(node.outputs[0])] = self._compared(node.name, output)

    @contextlib.contextmanager
    def _inside(self, node: graph.Node) -> Iterator[None]:
        """Compares what a layer of several ops rounds inside, too."""
        layer: Any = node.operation
        if not hasattr(layer, "limits_inside"):
            yield
            return
        rounded = layer.rounded

        def compared(values: Any, name: str) -> Any:
            return self._compared(f"{node.name}/{name}", rounded(values, name))

        with _seam(layer, compared):
            yield

    def _compared(self, name: str, output: Any) -> Any:
        """The file's values where it has them, and the output itself elsewhere."""
        if name not in self._found:
            return output
        tensor = self._found[name].tensor
        theirs = self._loaded.get_tensor(tensor.index).astype(np.int64).ravel()
        ours = _stored(keras.ops.convert_to_numpy(output), tensor).ravel()
        self._differences[name].append(np.abs(theirs - ours))
        real = _real(theirs, tensor).reshape(output.shape)
        return keras.ops.convert_to_tensor(real, dtype=output.dtype)

    def comparisons(self) -> Iterator[Comparison]:
        for name, of_images in self._differences.items():
            values = np.concatenate(of_images)
            yield Comparison(
                layer=name,
                op=self._found[name].op,
                elements=values.size,
                exact=float(np.mean(values == 0)),
                worst=int(values.max()),
            )


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
