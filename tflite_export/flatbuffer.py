"""What a .tflite file holds, read without TensorFlow and without running it."""

import collections
import dataclasses
import functools
import pathlib
import struct
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from official import failures

INTEGER_8 = ("INT8", "UINT8")
FLOATS = ("FLOAT16", "BFLOAT16", "FLOAT32", "FLOAT64")

# Ops whose type says in what arithmetic a network runs.
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")

# No file of ours comes near; a forged count must not keep the reader busy for hours.
_MOST = 100_000

# What reading a forged offset, count or string can raise.
_DAMAGE = (
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
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    constant: bool = False

    @property
    def dynamic(self) -> bool:
        return any(size < 0 for size in self.shape)

    @property
    def layer(self) -> str:
        return layer(self.name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Op:
    """An operation: its name in the schema, or the code of a custom one."""

    name: str
    custom: bool
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

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
        return _file(schema.Model.GetRootAs(content), path, len(content))
    except _DAMAGE as error:
        raise failures.RequestError(
            f"{path}: damaged TFLite model ({type(error).__name__} while reading it); "
            "export or download it again"
        ) from error


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


def _scope(name: str) -> str:
    first, *rest = name.split("/")
    if not rest:
        return ""
    if not first.endswith("_1"):
        return name.rpartition("/")[0]
    return rest[0].removesuffix("_1") if len(rest) > 1 else rest[0]


def _file(model: Any, path: pathlib.Path, size: int) -> File:
    codes = [_code(model.OperatorCodes(i)) for i in _up_to(model.OperatorCodesLength())]
    filled = [
        model.Buffers(i).DataLength() > 0 or model.Buffers(i).Size() > 0
        for i in _up_to(model.BuffersLength())
    ]
    if not model.SubgraphsLength():
        raise ValueError("no graph")
    ops: list[Op] = []
    tensors: list[Tensor] = []
    for number in _up_to(model.SubgraphsLength()):
        graph = model.Subgraphs(number)
        own = [
            _tensor(graph.Tensors(i), i, filled) for i in _up_to(graph.TensorsLength())
        ]
        ops += [
            _op(graph.Operators(i), codes, own) for i in _up_to(graph.OperatorsLength())
        ]
        tensors += own
        if number == 0:
            inputs, outputs = _interface(model, graph, own)
    return File(
        path=path,
        size=size,
        ops=tuple(ops),
        tensors=tuple(tensors),
        inputs=inputs,
        outputs=outputs,
    )


def _up_to(count: int) -> range:
    if count > _MOST:
        raise ValueError(f"{count} entries")
    return range(count)


def _code(code: Any) -> tuple[str, bool]:
    # Codes above 127 did not fit the first field, which is kept for old readers.
    number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
    if number == schema.BuiltinOperator.CUSTOM:
        return (code.CustomCode() or b"").decode(errors="replace"), True
    return _names(schema.BuiltinOperator).get(number, f"OP_{number}"), False


@functools.cache
def _names(enumeration: type) -> dict[int, str]:
    return {
        value: name
        for name, value in vars(enumeration).items()
        if isinstance(value, int)
    }


def _tensor(tensor: Any, index: int, filled: list[bool]) -> Tensor:
    quantization = tensor.Quantization()
    scales: Any = quantization.ScaleAsNumpy() if quantization else 0
    zero_points: Any = quantization.ZeroPointAsNumpy() if quantization else 0
    shape = tensor.ShapeSignatureAsNumpy() if tensor.ShapeSignatureLength() else None
    if shape is None:
        shape = tensor.ShapeAsNumpy() if tensor.ShapeLength() else np.zeros(0, int)
    return Tensor(
        index=index,
        name=(tensor.Name() or b"").decode(errors="replace"),
        dtype=_names(schema.TensorType)[tensor.Type()],
        shape=tuple(int(size) for size in shape),
        scales=tuple(np.atleast_1d(scales).tolist()) if np.any(scales) else (),
        zero_points=tuple(np.atleast_1d(zero_points).tolist())
        if np.any(scales)
        else (),
        constant=filled[tensor.Buffer()],
    )


def _op(op: Any, codes: list[tuple[str, bool]], tensors: list[Tensor]) -> Op:
    name, custom = codes[op.OpcodeIndex()]
    return Op(
        name=name,
        custom=custom,
        inputs=_pick(tensors, op.InputsAsNumpy() if op.InputsLength() else ()),
        outputs=_pick(tensors, op.OutputsAsNumpy() if op.OutputsLength() else ()),
    )


def _pick(tensors: list[Tensor], indices: Any) -> tuple[Tensor, ...]:
    # An index below zero stands for an optional input that is absent.
    return tuple(tensors[int(index)] for index in indices if index >= 0)


def _interface(
    model: Any, graph: Any, tensors: list[Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    for number in _up_to(model.SignatureDefsLength()):
        signature = model.SignatureDefs(number)
        if signature.SubgraphIndex() == 0:
            return (
                _named(signature.Inputs, signature.InputsLength(), tensors),
                _named(signature.Outputs, signature.OutputsLength(), tensors),
            )
    inputs = _pick(tensors, graph.InputsAsNumpy() if graph.InputsLength() else ())
    outputs = _pick(tensors, graph.OutputsAsNumpy() if graph.OutputsLength() else ())
    return {t.name: t for t in inputs}, {t.name: t for t in outputs}


def _named(entry: Any, count: int, tensors: list[Tensor]) -> dict[str, Tensor]:
    entries = [entry(i) for i in _up_to(count)]
    return {
        (e.Name() or b"").decode(errors="replace"): tensors[e.TensorIndex()]
        for e in entries
    }


def _arithmetic(op: Op) -> str:
    if op.outputs[0].dtype in INTEGER_8:
        return "int8"
    if op.outputs[0].dtype == "INT16":
        return "int16x8"
    weights = op.inputs[1].dtype if len(op.inputs) > 1 else ""
    if weights in INTEGER_8:
        return "dynamic"
    # Weights kept in half precision reach a float op through a DEQUANTIZE.
    if weights == "FLOAT32" and not op.inputs[1].constant:
        return "float16"
    return "float32"
