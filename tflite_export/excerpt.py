"""A part of a file's graph as a file of its own."""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from tflite_export import model_tables

SIGNATURE = "serving_default"

# Entries that say how the file was made. Others tell of the whole.
_KEPT = ("min_runtime_version", "CONVERSION_METADATA")


def cut(
    model: Any,
    *,
    ops: Sequence[int],
    inputs: Mapping[str, int],
    outputs: Mapping[str, int],
) -> bytes:
    """The file of some ops, with the constants that they read and no others.

    Tensors keep their names, types, scales and zero points. What was attached to the
    whole is left out.

    Args:
        model: The whole, a `ModelT` of one graph; is left as it is. See `obstacle`.
        ops: Numbers of the ops, in the order of execution.
        inputs: Indices of tensors, by their names in the signature.
        outputs: Likewise.
    """
    whole = model.subgraphs[0]
    operators = [copy.copy(whole.operators[number]) for number in ops]
    touched = _without_repeats(
        inputs.values(), *map(_tensors, operators), outputs.values()
    )
    tensors = {old: new for new, old in enumerate(touched)}
    codes = {
        old: new
        for new, old in enumerate(_without_repeats(op.opcodeIndex for op in operators))
    }
    for op in operators:
        op.opcodeIndex = codes[op.opcodeIndex]
        for field in ("inputs", "outputs", "intermediates"):
            if getattr(op, field) is not None:
                renumbered = [tensors.get(int(i), -1) for i in getattr(op, field)]
                setattr(op, field, renumbered)
    part = copy.copy(model)
    graph = copy.copy(whole)
    part.subgraphs, part.metadataBuffer = [graph], None
    part.operatorCodes = [model.operatorCodes[old] for old in codes]
    graph.operators = operators
    graph.inputs = _without_repeats(tensors[i] for i in inputs.values())
    graph.outputs = _without_repeats(tensors[i] for i in outputs.values())
    _copy_buffers(model, part, [whole.tensors[old] for old in tensors])
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
    signature.inputs, signature.outputs = (
        [model_tables.named(name, tensors[index]) for name, index in ends.items()]
        for ends in (inputs, outputs)
    )
    part.signatureDefs = [signature]
    return model_tables.packed(part)


def obstacle(model: Any) -> str | None:
    """Why no part of a model can stand alone, or None."""
    if len(model.subgraphs) != 1:
        return f"has {len(model.subgraphs)} graphs (loops, branches)"
    for tensor in model.subgraphs[0].tensors:
        name = model_tables.text(tensor.name or "")
        kinds = (schema.TensorType.RESOURCE, schema.TensorType.VARIANT)
        if tensor.isVariable or tensor.type in kinds:
            return f"keeps values from one run to the next (tensor {name!r})"
        scaled = tensor.quantization
        blocks = schema.QuantizationDetails.BlockwiseQuantization
        if scaled is not None and scaled.detailsType == blocks:
            return f"has scales for blocks of values (tensor {name!r})"
    outside = any(buffer.offset > 1 for buffer in model.buffers)
    if outside or any(op.largeCustomOptionsOffset > 1 for op in _operators(model)):
        return "has constants behind its tables, as files above 2 GB do"
    return None


def _operators(model: Any) -> Iterator[Any]:
    for graph in model.subgraphs:
        yield from graph.operators


def _tensors(op: Any) -> Iterator[int]:
    """Indices of all that an op touches, but for optional ones that are absent."""
    for each in (op.inputs, op.outputs, op.intermediates):
        yield from (
            int(index) for index in ([] if each is None else each) if index >= 0
        )


def _without_repeats(*indices: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(index for each in indices for index in each))


def _copy_buffers(model: Any, part: Any, tensors: Sequence[Any]) -> None:
    """Gives a part the tensors and metadata, and of the model's buffers theirs."""
    places = {0: 0}  # by the schema an empty one
    buffers = [schema.BufferT()]

    def place(old: int) -> int:
        if old not in places:
            places[old] = len(buffers)
            buffers.append(model.buffers[old])
        return places[old]

    graph = part.subgraphs[0]
    graph.tensors = [copy.copy(tensor) for tensor in tensors]
    entries = model.metadata or []
    kept = [e for e in entries if model_tables.text(e.name or "") in _KEPT]
    part.metadata = [copy.copy(entry) for entry in kept]
    for each in (*graph.tensors, *part.metadata):
        each.buffer = place(each.buffer)
    part.buffers = buffers
