"""Layer by layer: how far an integer file is from the float network.

The file is run with all its tensors kept, the Keras network beside it on the same
images. An op of the file belongs to the tensor of the network that its name speaks of,
or to one that follows (norm and activation are part of a convolution in a file): of
these the one whose values are nearest.
"""

import dataclasses
import math
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import keras
import numpy as np

from official import graph as graph_lib
from tflite_export import calibration, flatbuffer, inference, interpreter

_QUANTIZED = (*flatbuffer.INTEGER_8, "INT16")
_BORDERS = ("QUANTIZE", "DEQUANTIZE")
_RESEMBLES_DB = 0.0
_FOLLOWERS = 6
_TAIL = 1e-3
_MOST_DB = 100.0

_FACTOR = 0.2
"""Smallest difference from 1 of a factor that makes other values of a layer's."""

_GAIN_DB = 10.0
"""How much nearer to a layer's values such a factor must bring a tensor."""

_FAIR_DB = 25.0
"""Of a MobileNetV2 in 8 bits (flowers, 128x128) all layers but one add less."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerError:
    """An op of a file against the tensor of the network that it belongs to.

    Attributes:
        layer: Whose output it is.
        op: Name in the schema.
        snr_db: Power of the network's values over that of the file's error in them, in
            dB: all error up to here.
        own_snr_db: The same where the network's layer is fed the file's inputs: what
            this op adds.
        range_use: Share of the levels that lie between the 0.1 and the 99.9 percentile
            of what is stored.
        clipped: Share of the network's values that lie beyond what can be stored.
        channel_spread: Largest magnitude of the channel with the largest, over the
            median channel's.
        advice: In words; empty where there is nothing to do.
    """

    layer: str
    op: str
    snr_db: float
    own_snr_db: float
    range_use: float
    clipped: float
    channel_spread: float
    advice: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """What was found of a file.

    Attributes:
        images: Number of images.
        layers: In the order of execution.
        unmatched: Ops with quantised outputs to which no tensor of the network belongs,
            such as those within a layer: "OP name".
    """

    images: int
    layers: tuple[LayerError, ...]
    unmatched: tuple[str, ...]

    @property
    def worst(self) -> tuple[LayerError, ...]:
        """Layers with advice, those that add most error first."""
        advised = [row for row in self.layers if row.advice]
        return tuple(sorted(advised, key=lambda row: row.own_snr_db))


def measure(
    path: pathlib.Path,
    graph: inference.Graph,
    images: Iterable[np.ndarray],
    *,
    calibration: str,
) -> Report:
    """Compares a file with the network that it was made from.

    Args:
        path: An int8, int16x8 or mixed file of ours.
        graph: From `inference.build`, as it was converted.
        images: `[H, W, 3]`, pixels 0..255, of the size that the file takes; at least
            one.
        calibration: How the file was calibrated, see `export_spec`; the advice is
            another.
    """
    network, tallies, count = _Network(graph), {}, 0
    tensors = _Tensors(path)
    for image in images:
        stored = tensors.run(image)
        expected = network.run(image)
        if not count:
            pairs = _match(tensors, stored, network, expected)
            tallies = {i: _Tally(tensors.ops[i], name) for i, name in pairs.items()}
            functions = _own_functions(tensors, pairs, network)
        for index, tally in tallies.items():
            function, sources = functions[index]
            given = [
                tensors.real(stored, source).reshape(tensor.shape)
                for source, tensor in sources
            ]
            tally.add(
                stored[index],
                tensors.real(stored, index),
                expected[tally.layer],
                np.asarray(function(given)),
            )
        count += 1
    rows = [tally.result(calibration) for _, tally in sorted(tallies.items())]
    unmatched = [
        f"{op.name} {op.layer or op.outputs[0].name}"
        for index, op in tensors.ops.items()
        if index not in tallies
    ]
    return Report(images=count, layers=tuple(rows), unmatched=tuple(unmatched))


class _Tensors:
    """A file that is run with all tensors kept.

    `ops` are those with quantised outputs, by the index of the output; `makers` all.
    """

    def __init__(self, path: pathlib.Path):
        from ai_edge_litert import interpreter as litert

        self.file = flatbuffer.read(path)
        self.makers = {op.outputs[0].index: op for op in self.file.ops}
        self.ops = {
            index: op
            for index, op in self.makers.items()
            if op.outputs[0].dtype in _QUANTIZED and op.name not in _BORDERS
        }
        (self.input,) = self.file.inputs.values()
        resolver = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self._interpreter = litert.Interpreter(
            str(path),
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=resolver,
        )
        self._interpreter.allocate_tensors()
        self._tensors = {tensor.index: tensor for tensor in self.file.tensors}

    def run(self, image: np.ndarray) -> dict[int, np.ndarray]:
        """Stored values by index of the tensor: of all ops, and of the input."""
        (detail,) = self._interpreter.get_input_details()
        given = interpreter.stored(image, detail)[None]
        self._interpreter.set_tensor(detail["index"], given)
        self._interpreter.invoke()
        found = {i: self._interpreter.get_tensor(i) for i in self.makers}
        return found | {self.input.index: given}

    def real(self, stored: dict[int, np.ndarray], index: int) -> np.ndarray:
        """float32 values of a tensor."""
        tensor, values = self._tensors[index], stored[index].astype(np.float32)
        if not tensor.scales:
            return values
        return (values - tensor.zero_points[0]) * np.float32(tensor.scales[0])

    def scales_for_norm(self, index: int) -> bool:
        """Whether this is the product of a norm that stands alone, still to be shifted.

        It can lie near the end of the norm, which is the sum behind it.
        """
        op = self.makers[index]
        readers = [o for o in self.file.ops if any(t.index == index for t in o.inputs)]
        return (
            op.name == "MUL"
            and [reader.name for reader in readers] == ["ADD"]
            and all(any(t.constant for t in o.inputs) for o in (op, *readers))
        )

    def sources(self, index: int, known: set[int]) -> Iterator[int]:
        """The nearest known tensors that an op is computed from."""
        for tensor in self.makers[index].inputs:
            if tensor.index in known:
                yield tensor.index
            elif tensor.index in self.makers:
                yield from self.sources(tensor.index, known)


class _Network:
    """The Keras network, run with the output of every layer kept."""

    def __init__(self, graph: inference.Graph):
        self._graph = graph
        nodes = graph_lib.nodes(graph.model)
        self.nodes = {n.name: n for n in nodes if len(n.outputs) == 1}
        self.input = graph.model.inputs[0]
        outputs = {name: node.outputs[0] for name, node in self.nodes.items()}
        self.outputs = outputs
        self._run = keras.Function([self.input], outputs)
        self._makers = {id(out): node for node in nodes for out in node.outputs}

    def reads_input(self, name: str, given: Sequence[keras.KerasTensor]) -> bool:
        """Whether the images are needed to compute a layer beside tensors given."""
        seen = {id(tensor) for tensor in given}
        left = list(self.nodes[name].inputs)
        while left:
            tensor = left.pop()
            if id(tensor) in seen:
                continue
            seen.add(id(tensor))
            if tensor is self.input:
                return True
            left += self._makers[id(tensor)].inputs
        return False

    def run(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Values by name of the layer."""
        pixels = calibration.to_uint8(image)[None].astype(np.float32)
        given = pixels * np.float32(self._graph.scale) + np.float32(self._graph.offset)
        found = self._run([keras.ops.cast(given, self.input.dtype)])
        return {name: np.asarray(value) for name, value in found.items()}

    def candidates(self, op: flatbuffer.Op) -> list[str]:
        """Layers that an op may end with."""
        parts = op.outputs[0].name.split(";")
        named = [*map(flatbuffer.layer, parts), op.layer]
        found = [name for name in dict.fromkeys(named) if name in self.nodes]
        if not found:
            # Outputs of a file have a name that speaks of no layer.
            return [node.name for node in self.nodes.values() if node.is_output]
        for name in list(found):
            found += self._followers(name)
        return list(dict.fromkeys(found))

    def _followers(self, name: str) -> Iterator[str]:
        for _ in range(_FOLLOWERS):
            following = self.nodes[name].only_consumer
            if following is None or hasattr(following, "kernel"):
                return
            name = following.name
            if name not in self.nodes:
                return
            yield name


def _match(
    tensors: _Tensors,
    stored: dict[int, np.ndarray],
    network: _Network,
    expected: dict[str, np.ndarray],
) -> dict[int, str]:
    """Layer by index of the tensor, no layer twice."""
    nearest: dict[str, tuple[float, int]] = {}
    for index, op in tensors.ops.items():
        values = tensors.real(stored, index).ravel()
        found = [
            (_decibels(*_powers(expected[name], values)), name)
            for name in network.candidates(op)
            if expected[name].size == values.size
        ]
        snr, name = max(found, default=(-math.inf, ""))
        # Where the converter has merged a part of a layer into the op before it, no
        # layer has these values: such as a hard-sigmoid's x + 3 in a convolution.
        if (
            snr > _RESEMBLES_DB
            and not tensors.scales_for_norm(index)
            and not _is_multiple(expected[name], values)
            and not _is_within_hard_sigmoid(expected[name], values)
        ):
            # Of several ops within a layer, the one that ends it.
            nearest[name] = max(nearest.get(name, (-math.inf, -1)), (snr, index))
    return {index: name for name, (_, index) in nearest.items()}


def _is_multiple(expected: np.ndarray, values: np.ndarray) -> bool:
    """Whether values are a multiple of a layer's, by a factor that is not 1.

    So are queries whose division by sqrt(C) has become part of their convolution. No
    rounding multiplies all values of a tensor with one factor.
    """
    signal = expected.astype(np.float64).ravel()
    found = values.astype(np.float64).ravel()
    power = np.sum(signal**2)
    if not power:
        return False
    factor = np.sum(signal * found) / power
    direct = _decibels(*_powers(signal, found))
    scaled = _decibels(*_powers(factor * signal, found))
    return bool(abs(factor - 1) > _FACTOR and scaled > direct + _GAIN_DB)


def _is_within_hard_sigmoid(expected: np.ndarray, values: np.ndarray) -> bool:
    """Whether values are relu6(x + 3) of a layer's x.

    That part of a hard-sigmoid becomes one of the op before it, and where x is large
    enough it lies near x.
    """
    signal = expected.astype(np.float64).ravel()
    found = values.astype(np.float64).ravel()
    direct = _decibels(*_powers(signal, found))
    inner = _decibels(*_powers(np.clip(signal + 3, 0, 6), found))
    return inner > direct + _GAIN_DB


def _own_functions(
    tensors: _Tensors, pairs: dict[int, str], network: _Network
) -> dict[int, tuple[keras.Function, list[tuple[int, keras.KerasTensor]]]]:
    """What computes each layer from the nearest tensors that the file has, and them."""
    known = {index: network.outputs[name] for index, name in pairs.items()}
    known[tensors.input.index] = network.input
    functions = {}
    for index, name in pairs.items():
        sources = dict.fromkeys(tensors.sources(index, set(known)))
        given = [(source, known[source]) for source in sources]
        if network.reads_input(name, [tensor for _, tensor in given]):
            # What is constant in the file (learned queries) is made in the network by
            # a layer that reads the size of a batch.
            given = [*given, (tensors.input.index, network.input)]
        function = keras.Function([t for _, t in given], network.outputs[name])
        functions[index] = (function, given)
    return functions


class _Tally:
    """Sums over images, of one op."""

    def __init__(self, op: flatbuffer.Op, layer: str):
        self.layer = layer
        self._op = op
        tensor = op.outputs[0]
        kind = np.iinfo(tensor.dtype.lower())
        self._first, levels = kind.min, kind.max - kind.min + 1
        ends = np.array([kind.min - 0.5, kind.max + 0.5]) - tensor.zero_points[0]
        self._low, self._high = ends * tensor.scales[0]
        self._levels = np.zeros(levels)
        self._powers = np.zeros(2)
        self._own = np.zeros(2)
        self._clipped = 0
        self._peaks = np.zeros(1)

    def add(
        self,
        stored: np.ndarray,
        values: np.ndarray,
        expected: np.ndarray,
        own: np.ndarray,
    ) -> None:
        """Takes in an image.

        Args:
            stored: Integers of the file.
            values: What they mean.
            expected: Of the network.
            own: Of the network's layer, fed the file's inputs.
        """
        self._powers += _powers(expected, values)
        self._own += _powers(own, values)
        places = stored.ravel().astype(np.int64) - self._first
        self._levels += np.bincount(places, minlength=self._levels.size)
        self._clipped += np.sum((expected < self._low) | (expected > self._high))
        channels = np.abs(expected).reshape(-1, expected.shape[-1]).max(axis=0)
        self._peaks = np.maximum(self._peaks, channels)

    def result(self, calibration: str) -> LayerError:
        total = self._levels.sum()
        share = self._levels.cumsum() / total
        first, last = np.searchsorted(share, (_TAIL, 1 - _TAIL))
        row = LayerError(
            layer=self.layer,
            op=self._op.name,
            snr_db=_decibels(*self._powers),
            own_snr_db=_decibels(*self._own),
            range_use=float((last - first + 1) / self._levels.size),
            clipped=float(self._clipped / total),
            channel_spread=_spread(self._peaks),
        )
        return dataclasses.replace(row, advice=_advice(row, calibration))


def _others(calibrations: Iterable[str], calibration: str) -> str:
    return " or ".join(repr(name) for name in calibrations if name != calibration)


def _wider(calibration: str) -> str:
    """Nothing is wider than the extremes."""
    if calibration == "min_max":
        return ""
    return f", or with {_others(('min_max', 'mse'), calibration)}"


def _advice(row: LayerError, calibration: str) -> str:
    """What to do about a layer that adds much error, in a file so calibrated."""
    if row.own_snr_db > _FAIR_DB:
        return ""
    if row.clipped > 0.01:
        return (
            f"{100 * row.clipped:.1f} % of the values lie beyond the range: calibrate "
            f"on more images{_wider(calibration)}"
        )
    if row.channel_spread > 8:
        return (
            f"the largest channel reaches {row.channel_spread:.0f} times as far as the "
            "median one, which has few levels left: train quantization-aware, or leave "
            "the layer in float (precision 'mixed')"
        )
    if row.range_use < 0.25:
        return (
            f"{100 * row.range_use:.0f} % of the levels hold nearly all values: "
            f"calibrate with {_others(('percentile', 'mse'), calibration)}"
        )
    if row.op == "DEPTHWISE_CONV_2D":
        return (
            "a depthwise kernel sums few products, so rounding errors do not cancel: "
            "train quantization-aware, or leave it in float (precision 'mixed')"
        )
    return (
        "rounding of weights and values: train quantization-aware, or leave the layer "
        "in float (precision 'mixed')"
    )


def _spread(peaks: np.ndarray) -> float:
    median = float(np.median(peaks))
    return float(peaks.max()) / median if median > 0 else 1.0


def _powers(expected: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Of the signal and of the error."""
    signal = expected.astype(np.float64).ravel()
    return np.array(
        [np.sum(signal**2), np.sum((signal - values.ravel().astype(np.float64)) ** 2)]
    )


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return _MOST_DB
    if signal == 0:
        return -_MOST_DB
    return float(np.clip(10 * np.log10(signal / noise), -_MOST_DB, _MOST_DB))
