"""Where a file is to be divided: what hardware takes of it, and what passes from there.

The *trunk* is all that the hardware takes in one piece from the inputs on; the *rest*
is all else.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from official import failures
from tflite_export import flatbuffer, mapping


@dataclasses.dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two parts.

    Attributes:
        ops: Numbers of its ops, in the order of execution.
        inputs: By the names that they have in the part's signature.
        outputs: Likewise.
        multiply_adds: Of one image.
    """

    ops: tuple[int, ...]
    inputs: Mapping[str, flatbuffer.Tensor]
    outputs: Mapping[str, flatbuffer.Tensor]
    multiply_adds: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Border:
    """A graph, divided.

    Inputs and outputs of the whole keep their names, and the outputs that the trunk
    makes stay its outputs. An input that both parts read is an input of both.

    Attributes:
        trunk: No op of it depends on an op of the rest.
        rest: The others.
        passing: What the trunk makes and the rest reads, by the name that it has in
            both: that of its layer.
    """

    trunk: Side
    rest: Side
    passing: Mapping[str, flatbuffer.Tensor]


def find(file: flatbuffer.File, places: Sequence[mapping.Place]) -> Border:
    """Divides a graph at the border of what maps.

    Args:
        file: The file.
        places: Of its ops, by `mapping.places`.

    Raises:
        RequestError: If there are several graphs, or an op reads what a later one
            makes.
    """
    _require_plain(file)
    trunk, rest = _sides(file, places)
    made = _made(file, trunk)
    wanted = _read(file, rest)
    own = {t.index: name for name, t in file.outputs.items()}
    taken = {*file.inputs, *file.outputs}
    passing: dict[str, flatbuffer.Tensor] = {}
    for index, tensor in made.items():
        if index in wanted:
            name = own.get(index) or _free_name(tensor, taken)
            taken.add(name)
            passing[name] = tensor
    late = _made(file, rest)
    both = {name: t for name, t in file.inputs.items() if t.index in wanted}
    first = _read(file, trunk)
    return Border(
        trunk=Side(
            ops=tuple(trunk),
            inputs={
                name: tensor
                for name, tensor in file.inputs.items()
                if name not in both or tensor.index in first
            },
            outputs={
                name: tensor
                for name, tensor in file.outputs.items()
                if tensor.index not in late
            }
            | passing,
            multiply_adds=sum(places[number].multiply_adds for number in trunk),
        ),
        rest=Side(
            ops=tuple(rest),
            inputs=both | passing,
            outputs={n: t for n, t in file.outputs.items() if t.index in late},
            multiply_adds=sum(places[number].multiply_adds for number in rest),
        ),
        passing=passing,
    )


def _sides(
    file: flatbuffer.File, places: Sequence[mapping.Place]
) -> tuple[list[int], list[int]]:
    """Numbers of the ops of the trunk, and of the others.

    Hardware that begins after ops of the CPU takes some that depend on these: they go
    with the rest.
    """
    trunk: list[int] = []
    rest: list[int] = []
    outside: set[int] = set()
    for number, (op, place) in enumerate(zip(file.ops, places, strict=True)):
        free = not any(tensor.index in outside for tensor in op.inputs)
        if place.status == mapping.MAPS and free:
            trunk.append(number)
        else:
            rest.append(number)
            outside |= {tensor.index for tensor in op.outputs}
    return trunk, rest


def _require_plain(file: flatbuffer.File) -> None:
    if any(op.graph for op in file.ops):
        raise failures.RequestError(
            f"{file.path}: has several graphs (loops, branches); only one that runs "
            "straight through can be divided"
        )
    makers = {t.index: number for number, op in enumerate(file.ops) for t in op.outputs}
    for number, op in enumerate(file.ops):
        for tensor in op.inputs:
            if makers.get(tensor.index, -1) >= number:
                raise failures.RequestError(
                    f"{file.path}: op {number}, {op.name}, reads {tensor.name!r} "
                    "before it is made; export or download it again"
                )


def _made(
    file: flatbuffer.File, numbers: Sequence[int]
) -> dict[int, flatbuffer.Tensor]:
    """What ops make, by index, in the order of execution."""
    return {t.index: t for number in numbers for t in file.ops[number].outputs}


def _read(file: flatbuffer.File, numbers: Sequence[int]) -> set[int]:
    """Indices of all that ops read."""
    return {t.index for number in numbers for t in file.ops[number].inputs}


def _free_name(tensor: flatbuffer.Tensor, taken: Collection[str]) -> str:
    """The layer's name, with a number where another tensor has it."""
    name = tensor.layer or tensor.name or f"tensor{tensor.index}"
    count = 1
    free = name
    while free in taken:
        count += 1
        free = f"{name}_{count}"
    return free
