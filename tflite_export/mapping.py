"""Which ops of a file hardware takes, and which it leaves to the CPU."""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Protocol

from tflite_export import arena, flatbuffer, multiply_adds
from tflite_export.targets import base

MAPS, CPU, REFUSED = "maps", "cpu", "refused"

SECOND_SUBGRAPH = "more than one subgraph is not supported: depends on ops outside"
"""Why an op that could map does not."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where an op runs.

    Attributes:
        status: "maps" (on the hardware), "cpu" (beside it) or "refused" (nowhere: the
            file does not run).
        reason: Why it does not map, or what is in doubt if it does; may be "".
        multiply_adds: Of one image.
        constant: It computes of constants alone, thus the same for every image.
    """

    status: str
    reason: str
    multiply_adds: int
    constant: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mapped:
    """The share of a file that hardware takes.

    Attributes:
        ops: That map.
        total_ops: Of the file.
        multiply_adds: Of the ops that map, for one image.
        total_multiply_adds: Of the file.
        first_outside: Number of the first op, in the order of execution, that is left
            to the CPU for a reason of its own; one that depends on the image if there
            is one, -1 if there is none at all.
    """

    ops: int
    total_ops: int
    multiply_adds: int
    total_multiply_adds: int
    first_outside: int

    @property
    def share(self) -> float:
        """Of the multiply-adds, 0..1; of the ops where a file has no multiply-adds."""
        if self.total_multiply_adds:
            return self.multiply_adds / self.total_multiply_adds
        return self.ops / self.total_ops if self.total_ops else 1.0


def places(file: flatbuffer.File, target: base.Target) -> list[Place]:
    """A place for each op of a file, in the order of execution."""
    constant = _constant(file)
    found = [
        _place(op, target, constant=number in constant)
        for number, op in enumerate(file.ops)
    ]
    if not target.one_subgraph:
        return found
    taken = _first_subgraph(file, [place.status == MAPS for place in found])
    return [
        dataclasses.replace(place, status=CPU, reason=SECOND_SUBGRAPH)
        if place.status == MAPS and number not in taken
        else place
        for number, place in enumerate(found)
    ]


class Placed(Protocol):
    """What `places` gives of an op, or what was made of it."""

    @property
    def status(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def multiply_adds(self) -> int: ...

    @property
    def constant(self) -> bool: ...


class Named(Placed, Protocol):
    """The same, with the op's name and its layer's."""

    @property
    def op(self) -> str: ...

    @property
    def layer(self) -> str: ...


def summarize(found: Sequence[Placed]) -> Mapped:
    """Counts what `places` gave."""
    on_it = [place for place in found if place.status == MAPS]
    outside = [
        number
        for number, place in enumerate(found)
        if place.status != MAPS and place.reason != SECOND_SUBGRAPH
    ]
    outside.sort(key=lambda number: found[number].constant)
    return Mapped(
        ops=len(on_it),
        total_ops=len(found),
        multiply_adds=sum(place.multiply_adds for place in on_it),
        total_multiply_adds=sum(place.multiply_adds for place in found),
        first_outside=next(iter(outside), -1),
    )


def describe(mapped: Mapped, found: Sequence[Named], target: base.Target) -> list[str]:
    """Lines for people on how much of a file the hardware takes.

    Empty for a target without ops of its own.
    """
    if target.ops is None:
        return []
    title = target.title[0].upper() + target.title[1:]
    lines = [
        f"{title}: {mapped.ops} of {mapped.total_ops} ops, "
        f"{mapped.multiply_adds / 1e6:.1f} of {mapped.total_multiply_adds / 1e6:.1f} "
        f"million multiply-adds ({100 * mapped.share:.1f} %)"
    ]
    if mapped.first_outside >= 0:
        first = found[mapped.first_outside]
        before = sum(place.multiply_adds for place in found[: mapped.first_outside])
        layer = f"layer {first.layer!r}" if first.layer else "an unnamed layer"
        lines.append(
            f"first op outside: number {mapped.first_outside}, {first.op} from {layer} "
            f"({first.reason}); before it {before / 1e6:.1f} million multiply-adds"
        )
    if target.one_subgraph and 0 < mapped.ops < mapped.total_ops:
        lines += _by_block(found)
    doubts = collections.Counter(
        (place.op, place.reason)
        for place in found
        if place.status == MAPS and place.reason
    )
    lines += [
        f"in doubt: {count} {op}: {reason}" for (op, reason), count in doubts.items()
    ]
    return lines


def _by_block(found: Sequence[Named]) -> list[str]:
    """What of the network the hardware takes whole, in part and not at all."""
    blocks: dict[str, list[bool]] = {}
    for place in found:
        if place.layer:
            blocks.setdefault(_block(place.layer), []).append(place.status == MAPS)
    whole = [name for name, maps in blocks.items() if all(maps)]
    partly = [
        f"{name} ({sum(maps)} of {len(maps)} ops)"
        for name, maps in blocks.items()
        if any(maps) and not all(maps)
    ]
    none = [name for name, maps in blocks.items() if not any(maps)]
    return [
        f"{how}: {', '.join(names)}"
        for how, names in (
            ("maps whole", whole),
            ("maps in part", partly),
            ("does not map", none),
        )
        if names
    ]


def _block(layer: str) -> str:
    """What a layer belongs to: "C4" of "C4_block1_expand_conv", or its scope."""
    scope = layer.rpartition("/")[0]
    return scope or layer.partition("_")[0]


def general_advice(file: flatbuffer.File, target: base.Target) -> list[str]:
    """What to do about the file as a whole."""
    constants = {
        (op.graph, t.index): t for op in file.ops for t in op.inputs if t.constant
    }
    stored = sum(arena.size_of(tensor) for tensor in constants.values())
    if not target.parameter_memory or stored <= target.parameter_memory:
        return []
    return [
        f"{stored / 2**20:.1f} MiB of weights, {target.title} keeps about "
        f"{target.parameter_memory / 2**20:.0f} MiB: the rest is sent anew for each "
        "image; choose a smaller network or width_multiplier"
    ]


def advice(
    file: flatbuffer.File, found: Sequence[Placed], target: base.Target
) -> list[str]:
    """What to do about ops that do not map, each advice once, with the op's name."""
    ends = _ends(file)
    lines = {
        f"{op.name}: {line}": None
        for number, (op, place) in enumerate(zip(file.ops, found, strict=True))
        if place.status != MAPS and place.reason != SECOND_SUBGRAPH
        if (line := target.advise(op, ends=number in ends))
    }
    return list(lines)


def _ends(file: flatbuffer.File) -> set[int]:
    """Numbers of the ops that make an output, in another type or shape perhaps."""
    wanted = {(0, tensor.index) for tensor in file.outputs.values()}
    found: set[int] = set()
    for number, op in reversed(list(enumerate(file.ops))):
        if any((op.graph, tensor.index) in wanted for tensor in op.outputs):
            found.add(number)
            if op.name in flatbuffer.SAME_VALUES:
                wanted |= {(op.graph, tensor.index) for tensor in op.inputs[:1]}
    return found


def _constant(file: flatbuffer.File) -> set[int]:
    """Numbers of the ops that compute of constants alone."""
    found: set[int] = set()
    made: set[tuple[int, int]] = set()
    for number, op in enumerate(file.ops):
        known = [t.constant or (op.graph, t.index) in made for t in op.inputs]
        if known and all(known):
            found.add(number)
            made |= {(op.graph, tensor.index) for tensor in op.outputs}
    return found


def _place(op: flatbuffer.Op, target: base.Target, *, constant: bool) -> Place:
    status, reason = MAPS, ""
    try:
        if refusal := target.refuses(op):
            status, reason = REFUSED, refusal
        elif outside := target.outside(op):
            status, reason = CPU, outside
        else:
            reason = target.doubt(op) or ""
    except (LookupError, ArithmeticError):
        status, reason = CPU, "lacks inputs or options that such an op should have"
    return Place(
        status=status,
        reason=reason,
        multiply_adds=multiply_adds.of(op),
        constant=constant,
    )


def _first_subgraph(file: flatbuffer.File, able: list[bool]) -> set[int]:
    """The ops that a delegate takes that takes one subgraph.

    As LiteRT's partitioning goes: subsets of ops that the delegate is and is not able
    to run take turns, each as large as the ops before it allow, and the first of the
    former counts (`tensorflow/lite/graph_info.cc`,
    `PartitionGraphIntoIndependentNodeSubsets`).
    """
    maker = {
        (op.graph, tensor.index): number
        for number, op in enumerate(file.ops)
        for tensor in op.outputs
    }
    readers: dict[int, list[int]] = collections.defaultdict(list)
    missing = [0] * len(file.ops)
    for number, op in enumerate(file.ops):
        for tensor in op.inputs:
            if (op.graph, tensor.index) in maker:
                readers[maker[op.graph, tensor.index]].append(number)
                missing[number] += 1
    start = next((number for number, count in enumerate(missing) if not count), None)
    if start is None:  # a forged graph, each of whose ops waits for another
        return set()
    ready: dict[bool, list[int]] = {True: [], False: []}
    for number, count in enumerate(missing):
        if not count:
            ready[able[number]].append(number)
    if not able[start]:
        _run(ready, False, readers=readers, missing=missing, able=able)
    return _run(ready, True, readers=readers, missing=missing, able=able)


def _run(
    ready: dict[bool, list[int]],
    kind: bool,
    *,
    readers: dict[int, list[int]],
    missing: list[int],
    able: list[bool],
) -> set[int]:
    """Takes all ops of a kind that are ready, and those that this makes ready."""
    taken: set[int] = set()
    while ready[kind]:
        number = ready[kind].pop()
        taken.add(number)
        for reader in readers[number]:
            missing[reader] -= 1
            if not missing[reader]:
                ready[able[reader]].append(reader)
    return taken
