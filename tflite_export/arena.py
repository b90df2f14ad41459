"""The memory that activations take at run time, planned from a file alone."""

import dataclasses
import itertools
import math
from typing import NamedTuple

from tflite_export import flatbuffer

ALIGNMENT = 16
"""Bytes to which TFLite Micro aligns every tensor (`MicroArenaBufferAlignment`)."""

MOST_TENSORS = 4096
"""Beyond which no plan is made: planning takes the square of the number."""

_BITS = {
    "BOOL": 8,
    "INT4": 4,
    "UINT4": 4,
    "INT8": 8,
    "UINT8": 8,
    "INT16": 16,
    "UINT16": 16,
    "FLOAT16": 16,
    "BFLOAT16": 16,
    "INT32": 32,
    "UINT32": 32,
    "FLOAT32": 32,
    "INT64": 64,
    "UINT64": 64,
    "FLOAT64": 64,
    "COMPLEX64": 64,
    "COMPLEX128": 128,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arena:
    """Bytes for the activations of one run.

    Kernels' scratch memory and the interpreter's own records are not among them: an app
    reserves tens of kilobytes more and asks `MicroInterpreter::arena_used_bytes()`.

    Attributes:
        planned: By the planner of TFLite Micro; None for more tensors than any
            microcontroller runs (`MOST_TENSORS`).
        least: At the op where most is alive; no planner needs less.
        peak_op: Number of that op, in the order of execution.
        op: Its name.
        layer: Its layer.
    """

    planned: int | None
    least: int
    peak_op: int
    op: str
    layer: str


class _Life(NamedTuple):
    """A tensor from the op that makes it to the last one that reads it, inclusive."""

    tensor: int
    size: int
    first: int
    last: int

    def overlaps(self, other: "_Life") -> bool:
        return self.first <= other.last and other.first <= self.last


def plan(file: flatbuffer.File) -> Arena | None:
    """Plans the memory of the graph that runs; None if it has no op.

    Tensors of unknown size count as if their unknown dimensions were 1.
    """
    ops = [op for op in file.ops if op.graph == 0]
    if not ops:
        return None
    lives = _lives(file, ops)
    changes = [0] * (len(ops) + 1)
    for life in lives:
        changes[life.first] += life.size
        changes[life.last + 1] -= life.size
    alive = list(itertools.accumulate(changes))
    peak = max(range(len(ops)), key=alive.__getitem__)
    return Arena(
        planned=_greedy(lives) if len(lives) <= MOST_TENSORS else None,
        least=alive[peak],
        peak_op=peak,
        op=ops[peak].name,
        layer=ops[peak].layer,
    )


def describe(memory: Arena) -> str:
    """A line for people."""
    planned = "" if memory.planned is None else f"{memory.planned / 1024:.0f} KiB, "
    layer = f" of layer {memory.layer!r}" if memory.layer else ""
    return (
        f"arena: {planned}at least {memory.least / 1024:.0f} KiB, at op "
        f"{memory.peak_op}, {memory.op}{layer}; kernels and the interpreter need some "
        "more"
    )


def _lives(file: flatbuffer.File, ops: list[flatbuffer.Op]) -> list[_Life]:
    first: dict[int, int] = {t.index: 0 for t in file.inputs.values()}
    last: dict[int, int] = dict(first)
    tensors = {t.index: t for t in file.inputs.values()}
    for number, op in enumerate(ops):
        for tensor in (*op.inputs, *op.outputs):
            if not tensor.constant:
                tensors[tensor.index] = tensor
                first.setdefault(tensor.index, number)
                last[tensor.index] = number
    for tensor in file.outputs.values():
        if tensor.index in last:
            last[tensor.index] = len(ops) - 1
    return [
        _Life(index, _aligned(tensor), first[index], last[index])
        for index, tensor in tensors.items()
    ]


def size_of(tensor: flatbuffer.Tensor) -> int:
    """Bytes of a tensor; unknown dimensions count as 1."""
    count = math.prod(max(size, 1) for size in tensor.shape)
    return (count * _BITS.get(tensor.dtype, 8) + 7) // 8


def _aligned(tensor: flatbuffer.Tensor) -> int:
    return -(-size_of(tensor) // ALIGNMENT) * ALIGNMENT


def _greedy(lives: list[_Life]) -> int:
    """Bytes of a plan by `GreedyMemoryPlanner`: the largest first, each in the lowest
    gap among those that live at the same time.

    It sorts tensors of equal size from the last of the file to the first, since it
    fills the list that it sorts from its end.
    """
    placed: list[tuple[int, _Life]] = []
    for life in sorted(lives, key=lambda life: (-life.size, -life.tensor)):
        offset = 0
        for start, other in sorted(placed):
            if not life.overlaps(other):
                continue
            if start - offset >= life.size:
                break
            offset = max(offset, start + other.size)
        placed.append((offset, life))
    return max((offset + life.size for offset, life in placed), default=0)
