"""Whether a file holds what its precision promises."""

import dataclasses
import json
import pathlib

import rich.console
import rich.table

from official import failures
from tflite_export import flatbuffer
from tflite_export.targets import base


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """An op of a file.

    Attributes:
        op: Its name.
        layer: Layer that it came from; "" where the file does not say.
        problems: Why it is refused; empty if it is fine.
    """

    op: str
    layer: str
    problems: tuple[str, ...]


def verdicts(
    file: flatbuffer.File, *, precision: str, target: base.Target
) -> list[Verdict]:
    """Judges op by op, in the order of execution.

    An int8 file may hold no float tensor but its inputs and outputs, and what turns
    these into integers. A file of any precision must be static and free of Flex ops,
    and hold only ops that the target runs.
    """
    interface = {t.name for t in (*file.inputs.values(), *file.outputs.values())}
    return [
        Verdict(
            op=op.name,
            layer=op.layer,
            problems=tuple(_problems(op, precision, target, interface)),
        )
        for op in file.ops
    ]


def require(file: flatbuffer.File, *, precision: str, target: base.Target) -> None:
    """Holds a file to its precision.

    Raises:
        GateError: If an op is refused; names the first one and its layer.
    """
    refused = [
        verdict
        for verdict in verdicts(file, precision=precision, target=target)
        if verdict.problems
    ]
    if refused:
        raise failures.GateError(summary(file.path, refused))


def run(path: pathlib.Path, *, target: base.Target) -> None:
    """Prints a table of the ops of a file from anyone; last a line of JSON.

    The file is held to the precision that most of its convolutions have.

    Raises:
        RequestError: If it is no model.
        GateError: If an op is refused.
    """
    file = flatbuffer.read(path)
    judged = verdicts(file, precision=file.precision, target=target)
    table = rich.table.Table(title=f"{path.name}: {file.precision}, {len(judged)} ops")
    table.add_column("", justify="right")
    for title in ("op", "layer", "verdict"):
        table.add_column(title, overflow="fold")
    for number, verdict in enumerate(judged):
        reason = "; ".join(verdict.problems) or "ok"
        table.add_row(str(number), verdict.op, verdict.layer, reason)
    rich.console.Console(markup=False).print(table)
    refused = [verdict for verdict in judged if verdict.problems]
    content = {
        "model": str(path),
        "precision": file.precision,
        "ops": file.histogram,
        "refused": [dataclasses.asdict(verdict) for verdict in refused],
    }
    print(json.dumps(content))
    if refused:
        raise failures.GateError(summary(path, refused))


def summary(path: pathlib.Path, refused: list[Verdict]) -> str:
    """One line on one of the refused ops and the number of the others."""
    # An op that computes tells more than the conversions around it.
    first = min(
        refused, key=lambda v: (not v.layer, v.op in ("QUANTIZE", "DEQUANTIZE"))
    )
    layer = f"layer {first.layer!r}" if first.layer else "a layer that it does not name"
    others = f" (and {len(refused) - 1} more ops)" if len(refused) > 1 else ""
    return f"{path}: {first.op} from {layer}: {first.problems[0]}{others}"


def _problems(
    op: flatbuffer.Op, precision: str, target: base.Target, interface: set[str]
) -> list[str]:
    problems = []
    if reason := target.refuses(op):
        problems.append(reason)
    for tensor in (*op.inputs, *op.outputs):
        if tensor.dynamic:
            problems.append(
                f"tensor {tensor.name!r} has the dynamic shape {list(tensor.shape)}; "
                "every size must be static"
            )
    if precision == "int8":
        problems += _floats(op, interface)
    return problems


def _floats(op: flatbuffer.Op, interface: set[str]) -> list[str]:
    if op.name in ("QUANTIZE", "DEQUANTIZE"):
        # The border between an integer graph and a float input or output is allowed.
        inner = [t for t in (*op.outputs, *op.inputs) if t.name not in interface]
    else:
        inner = [*op.outputs, *op.inputs]
    return [
        f"tensor {tensor.name!r} is {tensor.dtype.lower()} in an int8 file"
        for tensor in inner
        if tensor.dtype in flatbuffer.FLOATS
    ]
