"""Whether a file holds what its precision promises."""

import collections
import dataclasses
import json
import pathlib
from collections.abc import Collection

import rich.console
import rich.table

from official import export_spec, failures
from tflite_export import flatbuffer, sidecar
from tflite_export.targets import base


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """An op of a file.

    Attributes:
        op: Its name.
        layer: Layer that it came from; "" where the file does not say.
        problems: Why it is refused; empty if it is fine.
        asked: It computes in float, as was asked for.
    """

    op: str
    layer: str
    problems: tuple[str, ...]
    asked: bool = False


def verdicts(
    file: flatbuffer.File,
    *,
    precision: str,
    target: base.Target,
    float_layers: Collection[str] = (),
) -> list[Verdict]:
    """Judges op by op, in the order of execution.

    An int8 or int16x8 file may hold no float tensor but its inputs and outputs, and
    what turns these into integers; a mixed file besides what comes from the layers that
    were to stay in float. A file of any precision must be static and free of Flex ops,
    and hold only ops that the target runs.

    Args:
        float_layers: Of a mixed file.
    """
    allowed = {t.name for t in (*file.inputs.values(), *file.outputs.values())}
    islands = [op for op in file.ops if op.layer in float_layers]
    for op in islands:
        allowed |= {tensor.name for tensor in (*op.inputs, *op.outputs)}
    return [
        Verdict(
            op=op.name,
            layer=op.layer,
            problems=tuple(
                _problems(op, precision, target, allowed, asked=op in islands)
            ),
            asked=op in islands and op.outputs[0].dtype in flatbuffer.FLOATS,
        )
        for op in file.ops
    ]


def require(
    file: flatbuffer.File,
    *,
    precision: str,
    target: base.Target,
    float_layers: Collection[str] = (),
) -> None:
    """Holds a file to its precision.

    Args:
        float_layers: As for `verdicts`.

    Raises:
        GateError: If an op is refused; names the first one and its layer.
    """
    judged = verdicts(
        file, precision=precision, target=target, float_layers=float_layers
    )
    refused = [verdict for verdict in judged if verdict.problems]
    if refused:
        raise failures.GateError(summary(file.path, refused))


def run(path: pathlib.Path, *, target: base.Target, every: bool = False) -> None:
    """Prints what ops a file from anyone has, and what is wrong; last a line of JSON.

    The file is held to the precision that most of its convolutions have, a mixed one to
    the description beside it.

    Args:
        every: List every op with its layer, not only those that are refused.

    Raises:
        RequestError: If it is no model.
        GateError: If an op is refused.
    """
    file = flatbuffer.read(path)
    described = sidecar.read(path)
    float_layers = described.get("float_layers", [])
    precision = "mixed" if float_layers else file.precision
    judged = verdicts(
        file, precision=precision, target=target, float_layers=float_layers
    )
    refused = [verdict for verdict in judged if verdict.problems]
    console = rich.console.Console(markup=False)
    # As a title it would be broken to the width of the table.
    console.print(
        f"{path.name}: {precision}, {len(judged)} ops, {len(refused)} refused\n"
    )
    if float_layers:
        console.print(f"in float, as asked for: {', '.join(float_layers)}\n")
    console.print(_histogram(judged))
    if every or refused:
        console.print("", _listed(judged, every=every), sep="\n")
    content = {
        "model": str(path),
        "precision": precision,
        "float_layers": float_layers,
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


def _histogram(judged: list[Verdict]) -> rich.table.Table:
    table = _table(("op", "number", "refused"))
    ops = collections.Counter(verdict.op for verdict in judged)
    refused = collections.Counter(verdict.op for verdict in judged if verdict.problems)
    for op, count in ops.most_common():
        table.add_row(op, str(count), str(refused[op] or "-"))
    return table


def _listed(judged: list[Verdict], *, every: bool) -> rich.table.Table:
    """Ops in the order of execution, numbered from 0."""
    table = _table(("number", "op", "layer", "verdict"))
    for number, verdict in enumerate(judged):
        if every or verdict.problems:
            fine = "float, as asked for" if verdict.asked else "ok"
            reason = "; ".join(verdict.problems) or fine
            table.add_row(str(number), verdict.op, verdict.layer, reason)
    return table


def _table(columns: tuple[str, ...]) -> rich.table.Table:
    table = rich.table.Table(box=None, pad_edge=False)
    for column in columns:
        numbers = column in ("number", "refused")
        table.add_column(
            column, justify="right" if numbers else "left", overflow="fold"
        )
    return table


def _problems(
    op: flatbuffer.Op,
    precision: str,
    target: base.Target,
    allowed: set[str],
    *,
    asked: bool,
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
    if precision in export_spec.INTEGER and not asked:
        problems += _floats(op, precision, allowed)
    return problems


def _floats(op: flatbuffer.Op, precision: str, allowed: set[str]) -> list[str]:
    if op.name in ("QUANTIZE", "DEQUANTIZE"):
        # The border between an integer graph and a float input, output or layer.
        inner = [t for t in (*op.outputs, *op.inputs) if t.name not in allowed]
    else:
        inner = [*op.outputs, *op.inputs]
    kind = "a mixed" if precision == "mixed" else f"an {precision}"
    return [
        f"tensor {tensor.name!r} is {tensor.dtype.lower()} in {kind} file"
        for tensor in inner
        if tensor.dtype in flatbuffer.FLOATS
    ]
