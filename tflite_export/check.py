"""Whether a file holds what its precision promises, and where its ops run."""

import dataclasses
import pathlib
from collections.abc import Collection
from typing import Any

import rich.console

from official import export_spec, failures
from official.report import terminal
from tflite_export import (
    android,
    check_tables,
    compilation,
    detection_op,
    flatbuffer,
    mapping,
    metadata,
    sidecar,
)
from tflite_export import arena as arena_lib
from tflite_export.targets import base


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """An op of a file.

    Attributes:
        op: Its name.
        layer: Layer that it came from; "" where the file does not say.
        status: One of `mapping`: "maps", "cpu", "refused".
        reason: Why it does not map, or what is in doubt if it does; may be "".
        problems: Why it is refused; empty if it is fine.
        multiply_adds: Of one image.
        constant: It computes of constants alone.
        asked: It computes in float, as was asked for.
    """

    op: str
    layer: str
    status: str
    reason: str
    problems: tuple[str, ...]
    multiply_adds: int
    constant: bool = False
    asked: bool = False


def verdicts(
    file: flatbuffer.File,
    *,
    precision: str,
    target: base.Target,
    float_layers: Collection[str] = (),
) -> list[Verdict]:
    """Judges op by op, in the order of execution.

    An int8 or int16x8 file may hold no float tensor but its inputs and outputs, what
    turns these into integers, and the op that makes detections of boxes and scores; a
    mixed file besides what comes from the layers that were to stay in float. A file of
    any precision must be static and free of Flex ops, and hold only ops that some
    kernel of the target runs. What the target's hardware leaves to the CPU is no
    problem by itself.

    Args:
        float_layers: Of a mixed file.
    """
    allowed = {t.name for t in (*file.inputs.values(), *file.outputs.values())}
    # What makes detections computes in float, at the end of whatever file.
    floats = detection_op.tail(file)
    for op in floats:
        allowed |= {tensor.name for tensor in op.inputs}
    islands = [op for op in file.ops if op.layer in float_layers]
    for op in islands:
        allowed |= {tensor.name for tensor in (*op.inputs, *op.outputs)}
    exempt = [*islands, *floats]
    places = mapping.places(file, target)
    return [
        _verdict(
            op,
            place,
            tuple(_problems(op, place, precision, allowed, asked=op in exempt)),
            asked=op in islands and op.outputs[0].dtype in flatbuffer.FLOATS,
        )
        for op, place in zip(file.ops, places, strict=True)
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Assessment:
    """A file on a target.

    Attributes:
        target: The target.
        precision: What it is held to.
        verdicts: One for each op, in the order of execution.
        mapped: How much the hardware takes.
        arena: Memory, where the target wants it reserved.
        advice: What to do about what it does not take.
    """

    target: base.Target
    precision: str
    verdicts: list[Verdict]
    mapped: mapping.Mapped
    arena: arena_lib.Arena | None
    advice: list[str]

    def lines(self) -> list[str]:
        """For people; empty where there is nothing to say."""
        lines = mapping.describe(self.mapped, self.verdicts, self.target)
        if self.arena:
            lines.append(arena_lib.describe(self.arena))
        return lines + [f"advice: {line}" for line in self.advice]

    def dividing(self, path: pathlib.Path) -> list[str]:
        """How to make two files of one that maps in part; empty for others."""
        mapped = self.mapped
        in_part = 0 < mapped.multiply_adds < mapped.total_multiply_adds
        if not (self.target.one_subgraph and in_part):
            return []
        return [
            "advice: the part that maps and the rest as two files: python -m "
            f"tflite_export split {path} --target={base.name_of(self.target)}"
        ]

    def as_json(self) -> dict[str, Any]:
        """Without the single ops."""
        return {
            "target": base.name_of(self.target),
            "mapped": dataclasses.asdict(self.mapped) | {"share": self.mapped.share},
            "arena": dataclasses.asdict(self.arena) if self.arena else None,
            "advice": self.advice,
        }


def assess(
    file: flatbuffer.File, *, target: base.Target, float_layers: Collection[str] = ()
) -> Assessment:
    """Judges a file, held to the precision that most of its convolutions have.

    Args:
        float_layers: Of a mixed file, which is held to that.
    """
    precision = "mixed" if float_layers else file.precision
    judged = verdicts(
        file, precision=precision, target=target, float_layers=float_layers
    )
    advice = mapping.advice(file, judged, target)
    return Assessment(
        target=target,
        precision=precision,
        verdicts=judged,
        mapped=mapping.summarize(judged),
        arena=arena_lib.plan(file) if target.arena else None,
        advice=advice + mapping.general_advice(file, target),
    )


def run(path: pathlib.Path, *, target: base.Target, every: bool = False) -> None:
    """Prints what a file from anyone has, and what is wrong; last a line of JSON.

    The file is held to the precision that most of its convolutions have, a mixed one to
    the description beside it. If the target has a compiler that is installed, it
    compiles the file, and what it makes is kept beside it.

    Args:
        every: List every op with its layer; else what does not map is summed up.

    Raises:
        RequestError: If it is no model, or its metadata is damaged.
        GateError: If an op is refused, or the target takes one part of a graph only,
            and ops that multiply and add lie outside of it.
    """
    file = flatbuffer.read(path)
    told = metadata.read(path)
    float_layers = sidecar.read(path).get("float_layers", [])
    assessed = assess(file, target=target, float_layers=float_layers)
    judged, complaint = _judged_as_a_whole(path, assessed)
    refused = [verdict for verdict in judged if verdict.problems]
    console = rich.console.Console(markup=False)
    # As a title it would be broken to the width of the table.
    console.print(
        f"{path.name}: {assessed.precision}, {len(judged)} ops, {len(refused)} refused"
    )
    console.print(f"{android.summary(told)}\n")
    if float_layers:
        console.print(f"in float, as asked for: {', '.join(float_layers)}\n")
    console.print(check_tables.histogram(judged))
    if every:
        console.print("", check_tables.listed(judged), sep="\n")
    elif any(verdict.status != mapping.MAPS for verdict in judged):
        console.print("", check_tables.grouped(judged), sep="\n")
    # A compiler that is given a file which cannot run tells nothing more.
    hopeless = bool(refused) and not complaint
    outcomes = [] if hopeless else compilation.run(path, target)
    lines = assessed.lines() + assessed.dividing(path)
    if not refused:
        lines += target.for_app(file.histogram)
    lines += [outcome.line for outcome in outcomes]
    if lines:
        console.print("", *lines, sep="\n", soft_wrap=True)
    for outcome in outcomes:
        if outcome.rows:
            console.print("", check_tables.compiled_rows(outcome.rows), sep="\n")
    content = {
        "model": str(path),
        "precision": assessed.precision,
        "float_layers": float_layers,
        "ops": file.histogram,
        **assessed.as_json(),
        "verdicts": [dataclasses.asdict(verdict) for verdict in judged],
        "metadata": _told(told) if told else None,
        "refused": [dataclasses.asdict(verdict) for verdict in refused],
        "compiled": [outcome.as_json() for outcome in outcomes],
    }
    terminal.last_line(content)
    if refused:
        raise failures.GateError(complaint or summary(path, refused))


def _told(found: metadata.Metadata) -> dict[str, Any]:
    """Without the anchors of a detector, thousands of them."""
    content = dataclasses.asdict(found)
    if found.decoding:
        content["decoding"]["anchors"] = len(found.decoding.anchors)
    return content


def summary(path: pathlib.Path, refused: list[Verdict]) -> str:
    """One line on one of the refused ops and the number of the others."""
    # An op that computes tells more than the conversions around it.
    first = min(
        refused, key=lambda v: (not v.layer, v.op in ("QUANTIZE", "DEQUANTIZE"))
    )
    others = f" (and {len(refused) - 1} more ops)" if len(refused) > 1 else ""
    return f"{path}: {_named(first)}: {first.problems[0]}{others}"


def _named(verdict: Verdict) -> str:
    layer = (
        f"layer {verdict.layer!r}" if verdict.layer else "a layer that it does not name"
    )
    return f"{verdict.op} from {layer}"


def _judged_as_a_whole(
    path: pathlib.Path, assessed: Assessment
) -> tuple[list[Verdict], str]:
    """The verdicts, and a complaint if the target takes too little of the file.

    The op at which the target's part of the graph ends is refused then.
    """
    judged, mapped, target = assessed.verdicts, assessed.mapped, assessed.target
    computes = mapped.total_multiply_adds > mapped.multiply_adds
    if not (target.one_subgraph and computes) or any(v.problems for v in judged):
        return judged, ""
    number = mapped.first_outside
    first = judged[number]
    refused = dataclasses.replace(
        first, status=mapping.REFUSED, problems=(first.reason,)
    )
    complaint = (
        f"{path}: {_named(first)}: {first.reason}; here the part for {target.title} "
        f"ends, with {100 * mapped.share:.1f} % of the multiply-adds"
    )
    return [*judged[:number], refused, *judged[number + 1 :]], complaint


def _verdict(
    op: flatbuffer.Op, place: mapping.Place, problems: tuple[str, ...], *, asked: bool
) -> Verdict:
    return Verdict(
        op=op.name,
        layer=op.layer,
        status=mapping.REFUSED if problems else place.status,
        reason="; ".join(problems) or place.reason,
        problems=problems,
        multiply_adds=place.multiply_adds,
        constant=place.constant,
        asked=asked,
    )


def _problems(
    op: flatbuffer.Op,
    place: mapping.Place,
    precision: str,
    allowed: set[str],
    *,
    asked: bool,
) -> list[str]:
    problems = []
    if place.status == mapping.REFUSED:
        problems.append(place.reason)
    for tensor in (*op.inputs, *op.outputs):
        if tensor.dynamic:
            problems.append(
                f"tensor {tensor.name!r} has the dynamic shape {list(tensor.shape)}; "
                "every size must be static"
            )
    # The ends of what LiteRT's post-processing of detections gives are floats.
    if precision in export_spec.INTEGER and not (asked or op.custom):
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
