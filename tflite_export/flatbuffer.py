"""What a .tflite file holds, read without TensorFlow and without running it."""

import collections
import dataclasses
import functools
import pathlib
import stat
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from official import failures

INTEGER_8 = ("INT8", "UINT8")
FLOATS = ("FLOAT16", "BFLOAT16", "FLOAT32", "FLOAT64")

SAME_VALUES = ("QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CAST")
"""Ops whose output means what their input means."""

# Ops whose type says in what arithmetic a network runs.
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")

# Op options that are scalars only, and say what hardware may refuse.
_OPTIONS = {
    "AddOptions",
    "ConcatenationOptions",
    "Conv2DOptions",
    "DepthwiseConv2DOptions",
    "FullyConnectedOptions",
    "MulOptions",
    "PackOptions",
    "Pool2DOptions",
    "ResizeBilinearOptions",
    "ResizeNearestNeighborOptions",
    "SoftmaxOptions",
    "StridedSliceOptions",
    "TransposeConvOptions",
}

# Axes, paddings and strides have fewer values; weights do not matter here.
_MOST_CONSTANTS = 16

# No published file comes near. Entries of a forged file may all be one and the same, so
# that a few bytes would keep the reader busy for hours: the total is limited.
_MOST_VALUES = 5_000_000
_VALUES_PER_ENTRY = 50  # a tensor or an op takes as long to read
_MOST_BYTES = 2**31 - 1

# What reading a forged offset, count or string can raise.
DAMAGE = (
    struct.error,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor of a graph.

    Attributes:
        index: Its place in the graph.
        name: As the converter wrote it; see `layer`.
        dtype: As the schema names it: "INT8", "FLOAT32", ...
        shape: -1 where a dimension is not static.
        scales: One for all values, or one a channel; empty without quantization.
        zero_points: Likewise. A real value is `scale * (stored - zero_point)`.
        constant: Its values are in the file.
        values: Those of a short constant int32 tensor, such as axes; else empty.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    constant: bool = False
    values: tuple[int, ...] = ()

    @property
    def dynamic(self) -> bool:
        return any(size < 0 for size in self.shape)

    @property
    def layer(self) -> str:
        return layer(self.name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Op:
    """An operation.

    Attributes:
        name: In the schema, or the code of a custom one.
        custom: Whether it is none of the schema.
        inputs: Without optional ones that are absent.
        outputs: Likewise.
        version: Of the op's semantics; runtimes know versions up to some number.
        options: Numbers that the op carries, by their names in the schema
            ("dilationHFactor"); only of ops where hardware may mind.
        graph: Number of the graph that it belongs to; 0 is the one that runs.
    """

    name: str
    custom: bool
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    version: int = 1
    options: Mapping[str, float] = dataclasses.field(default_factory=dict, hash=False)
    graph: int = 0

    @property
    def flex(self) -> bool:
        """Whether it needs TensorFlow itself at run time."""
        return self.custom and self.name.startswith("Flex")

    @property
    def layer(self) -> str:
        """Layer that it came from; its constants tell where its output does not."""
        tensors = [*self.outputs, *(t for t in self.inputs if t.constant)]
        return next((t.layer for t in tensors if t.layer), "")


@dataclasses.dataclass(frozen=True, kw_only=True)
class File:
    """A model.

    Attributes:
        path: Where it was read from.
        size: Bytes.
        ops: Of all graphs, in the order of execution.
        tensors: Of all graphs.
        inputs: By the name in the signature, or the tensor's where there is none.
        outputs: Likewise.
    """

    path: pathlib.Path
    size: int
    ops: tuple[Op, ...]
    tensors: tuple[Tensor, ...]
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]

    @property
    def histogram(self) -> dict[str, int]:
        """How often each op occurs, the most frequent first."""
        return dict(collections.Counter(op.name for op in self.ops).most_common())

    @functools.cached_property
    def precision(self) -> str:
        """The word of `official.export_spec` for what most weighted ops do."""
        kinds = collections.Counter(
            _arithmetic(op) for op in self.ops if op.name in _WEIGHTED
        )
        if kinds:
            return kinds.most_common(1)[0][0]
        types = {tensor.dtype for tensor in self.tensors}
        return "int8" if types & set(INTEGER_8) else "float32"


def read(path: pathlib.Path | str) -> File:
    """Reads a file, which may come from anyone.

    Raises:
        RequestError: If it is missing, or not a TFLite model.
    """
    path = pathlib.Path(path)
    try:
        found = path.stat()
        if stat.S_ISREG(found.st_mode) and found.st_size > _MOST_BYTES:
            raise failures.RequestError(
                f"{path}: has {found.st_size} bytes, and a TFLite model has at most "
                f"{_MOST_BYTES}"
            )
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            raise failures.RequestError(
                f"{path}: is a pipe or a device; give a .tflite file"
            )
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise failures.RequestError(f"{path}: cannot be read: {reason}") from error
    return parse(content, path)


def parse(content: bytes, path: pathlib.Path) -> File:
    """As `read`, of bytes already in memory; `path` names them in errors."""
    if len(content) < 16 or content[4:8] != b"TFL3":
        raise failures.RequestError(
            f"{path}: not a TFLite model (bytes 4 to 8 are {content[4:8]!r}, want "
            "b'TFL3'); give a .tflite file"
        )
    try:
        reader = _Reader(schema.Model.GetRootAs(content))
        return reader.file(path, len(content))
    except DAMAGE as error:
        raise failures.RequestError(
            f"{path}: damaged TFLite model ({type(error).__name__} while reading it); "
            "export or download it again"
        ) from error


def printable(text: str) -> str:
    """Text of a file for a message: nothing breaks the line or moves the cursor."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def layer(name: str) -> str:
    """Layer that a tensor came from, by its name; "" where the name does not say.

    A fused tensor has several names, joined by ";": one with a weighted op tells best.
    In a file of Keras 3 a name is `model_1/layer_1/op` (or `model_1/op` for an
    operation outside of a layer): a scope is opened twice in a trace, hence the "_1".
    Of another file it is all that stands before the op.
    """
    layers = [(_scope(part), part.rpartition("/")[2]) for part in name.split(";")]
    layers = [(scope, op) for scope, op in layers if scope]
    for scope, op in layers:
        if op.lower().startswith(("conv", "depthwise", "matmul")):
            return scope
    return layers[0][0] if layers else ""


def layers(name: str) -> list[str]:
    """All layers that a tensor came from, in the order of its names; see `layer`."""
    scopes = [_scope(part) for part in name.split(";")]
    return list(dict.fromkeys(scope for scope in scopes if scope))


def _scope(name: str) -> str:
    first, *rest = name.split("/")
    if not rest:
        return ""
    if not first.endswith("_1"):
        return name.rpartition("/")[0]
    return rest[0].removesuffix("_1") if len(rest) > 1 else rest[0]


@functools.cache
def _names(enumeration: type) -> dict[int, str]:
    return {
        value: name
        for name, value in vars(enumeration).items()
        if isinstance(value, int)
    }


class _Reader:
    """Reads a model, and gives up on one that claims to hold too much."""

    def __init__(self, model: Any):
        self._model = model
        self._left = _MOST_VALUES

    def file(self, path: pathlib.Path, size: int) -> File:
        model = self._model
        self._codes = [
            self._code(model.OperatorCodes(i))
            for i in self._up_to(model.OperatorCodesLength())
        ]
        self._buffers = [model.Buffers(i) for i in self._up_to(model.BuffersLength())]
        if not model.SubgraphsLength():
            raise ValueError("no graph")
        ops: list[Op] = []
        tensors: list[Tensor] = []
        for number in self._up_to(model.SubgraphsLength()):
            graph = model.Subgraphs(number)
            own = [
                self._tensor(graph.Tensors(i), i)
                for i in self._up_to(graph.TensorsLength())
            ]
            ops += [
                self._op(graph.Operators(i), own, number)
                for i in self._up_to(graph.OperatorsLength())
            ]
            tensors += own
            if number == 0:
                inputs, outputs = self._interface(graph, own)
        return File(
            path=path,
            size=size,
            ops=tuple(ops),
            tensors=tuple(tensors),
            inputs=inputs,
            outputs=outputs,
        )

    def _spend(self, values: int) -> None:
        self._left -= values
        if values < 0 or self._left < 0:
            raise ValueError("too many values")

    def _up_to(self, count: int) -> range:
        self._spend(count * _VALUES_PER_ENTRY)
        return range(count)

    def _values(self, length: int, values: Callable[[], Any]) -> tuple[Any, ...]:
        """Of a vector of numbers, () where it is absent."""
        self._spend(length)
        return tuple(values().tolist()) if length else ()

    def _name(self, raw: bytes | None) -> str:
        self._spend(len(raw or b""))
        return printable((raw or b"").decode(errors="replace"))

    def _code(self, code: Any) -> tuple[str, bool, int]:
        """Name, whether it is a custom op, and version."""
        version = code.Version()
        # Codes above 127 did not fit the first field, which is kept for old readers.
        number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
        if number == schema.BuiltinOperator.CUSTOM:
            return self._name(code.CustomCode()), True, version
        name = _names(schema.BuiltinOperator).get(number, f"OP_{number}")
        return name, False, version

    def _tensor(self, tensor: Any, index: int) -> Tensor:
        scales, zero_points = self._quantization(tensor.Quantization())
        signature = self._values(
            tensor.ShapeSignatureLength(), tensor.ShapeSignatureAsNumpy
        )
        shape = self._values(tensor.ShapeLength(), tensor.ShapeAsNumpy)
        dtype = _names(schema.TensorType).get(tensor.Type(), f"TYPE_{tensor.Type()}")
        buffer = self._buffers[tensor.Buffer()]
        return Tensor(
            index=index,
            name=self._name(tensor.Name()),
            dtype=dtype,
            shape=signature or shape,
            scales=scales,
            zero_points=zero_points,
            constant=buffer.DataLength() > 0 or buffer.Size() > 0,
            values=_constants(buffer) if dtype == "INT32" else (),
        )

    def _quantization(self, found: Any) -> tuple[tuple[float, ...], tuple[int, ...]]:
        if found is None:
            return (), ()
        scales = self._values(found.ScaleLength(), found.ScaleAsNumpy)
        zero_points = self._values(found.ZeroPointLength(), found.ZeroPointAsNumpy)
        return (scales, zero_points or (0,)) if any(scales) else ((), ())

    def _op(self, op: Any, tensors: list[Tensor], graph: int) -> Op:
        name, custom, version = self._codes[op.OpcodeIndex()]
        inputs = self._pick(tensors, op.InputsLength(), op.InputsAsNumpy)
        outputs = self._pick(tensors, op.OutputsLength(), op.OutputsAsNumpy)
        if name in _WEIGHTED and (len(inputs) < 2 or len(outputs) != 1):
            raise ValueError(f"{name} of {len(inputs)} tensors")
        return Op(
            name=name,
            custom=custom,
            inputs=inputs,
            outputs=outputs,
            version=version,
            options=_options(op),
            graph=graph,
        )

    def _pick(
        self, tensors: list[Tensor], length: int, indices: Callable[[], Any]
    ) -> tuple[Tensor, ...]:
        # An index below zero stands for an optional input that is absent.
        return tuple(tensors[i] for i in self._values(length, indices) if i >= 0)

    def _interface(
        self, graph: Any, tensors: list[Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        model = self._model
        for number in self._up_to(model.SignatureDefsLength()):
            signature = model.SignatureDefs(number)
            if signature.SubgraphIndex() == 0:
                return (
                    self._named(signature.Inputs, signature.InputsLength(), tensors),
                    self._named(signature.Outputs, signature.OutputsLength(), tensors),
                )
        inputs = self._pick(tensors, graph.InputsLength(), graph.InputsAsNumpy)
        outputs = self._pick(tensors, graph.OutputsLength(), graph.OutputsAsNumpy)
        return {t.name: t for t in inputs}, {t.name: t for t in outputs}

    def _named(
        self, entry: Callable[[int], Any], count: int, tensors: list[Tensor]
    ) -> dict[str, Tensor]:
        entries = [entry(i) for i in self._up_to(count)]
        return {self._name(e.Name()): tensors[e.TensorIndex()] for e in entries}


def _constants(buffer: Any) -> tuple[int, ...]:
    if not 0 < buffer.DataLength() <= 4 * _MOST_CONSTANTS:
        return ()
    return tuple(np.frombuffer(buffer.DataAsNumpy().tobytes(), "<i4").tolist())


def _options(op: Any) -> dict[str, float]:
    kind = _names(schema.BuiltinOptions).get(op.BuiltinOptionsType(), "")
    table = op.BuiltinOptions()
    if kind not in _OPTIONS or table is None:
        return {}
    options = getattr(schema, kind)()
    options.Init(table.Bytes, table.Pos)
    unpacked = vars(getattr(schema, f"{kind}T").InitFromObj(options))
    return {k: v for k, v in unpacked.items() if isinstance(v, int | float)}


def _arithmetic(op: Op) -> str:
    made = op.outputs[0].dtype if op.outputs else ""
    if made in INTEGER_8:
        return "int8"
    if made == "INT16":
        return "int16x8"
    weights = op.inputs[1].dtype if len(op.inputs) > 1 else ""
    if weights in INTEGER_8:
        return "dynamic"
    # Weights kept in half precision reach a float op through a DEQUANTIZE.
    if weights == "FLOAT32" and not op.inputs[1].constant:
        return "float16"
    return "float32"
