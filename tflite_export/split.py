"""Two files of one: what hardware takes in one piece, and the rest.

The *trunk* is compiled for the hardware and the *rest* (of a mask transformer its
queries) runs on the CPU. What passes between them keeps its type, scale and zero point,
so that both in a row give the whole's values to the bit; that is tried before they are
written. The whole's metadata is in neither: it tells of an image and of classes, and no
part has both.
"""

import dataclasses
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

from official import atomic, failures
from official.report import terminal
from tflite_export import (
    arena,
    border,
    compilation,
    division,
    edgetpu_compiler,
    flatbuffer,
    mapping,
    sidecar,
)
from tflite_export.targets import base


class NothingToDivide(failures.RequestError):
    """A file is best used as it is: one of its parts would have nothing to compute."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """A file of the two.

    Attributes:
        file: As it was read back.
        multiply_adds: Of one image.
    """

    file: flatbuffer.File
    multiply_adds: int

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.file.path.name,
            "size_bytes": self.file.size,
            "ops": len(self.file.ops),
            "multiply_adds": self.multiply_adds,
            "inputs": sidecar.tensors(self.file.inputs),
            "outputs": sidecar.tensors(self.file.outputs),
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
    """A file in two.

    Attributes:
        target: Whose hardware runs the trunk.
        trunk: The first.
        rest: The second.
        passing: What goes from the first to the second, by its name in both.
    """

    target: base.Target
    trunk: Part
    rest: Part
    passing: Mapping[str, flatbuffer.Tensor]

    def lines(self) -> list[str]:
        """For people."""
        total = self.trunk.multiply_adds + self.rest.multiply_adds
        lines = [
            f"{part.file.path}: {len(part.file.ops)} ops, "
            f"{part.multiply_adds / 1e6:.1f} of {total / 1e6:.1f} million "
            f"multiply-adds, {part.file.size / 1e6:.2f} MB, {where}"
            for part, where in (
                (self.trunk, f"for {self.target.title}"),
                (self.rest, "for the CPU"),
            )
        ]
        sizes = {name: arena.size_of(tensor) for name, tensor in self.passing.items()}
        lines.append(f"from one to the other pass {sum(sizes.values()):,} bytes:")
        lines += [
            f"  {name} {list(self.passing[name].shape)} "
            f"{self.passing[name].dtype.lower()}, {size:,} bytes"
            for name, size in sizes.items()
        ]
        lines.append(
            "one after the other they give exactly what the whole gives "
            f"({division.RUNS} random inputs)"
        )
        return lines

    def as_json(self) -> dict[str, Any]:
        return {
            "target": base.name_of(self.target),
            "trunk": self.trunk.as_json(),
            "rest": self.rest.as_json(),
            "passing": sidecar.tensors(self.passing),
        }


_PARTS = ("trunk", "rest")


def paths(model: pathlib.Path, folder: pathlib.Path) -> tuple[pathlib.Path, ...]:
    """Where the trunk and the rest of a file lie."""
    return tuple(folder / f"{model.stem}_{part}.tflite" for part in _PARTS)


def whole_of(path: pathlib.Path) -> pathlib.Path | None:
    """What a file is a part of, if that lies beside it."""
    for part in _PARTS:
        stem = path.stem.removesuffix(f"_{part}")
        whole = path.with_name(f"{stem}.tflite")
        if stem != path.stem and whole.is_file():
            return whole
    return None


def divide(path: pathlib.Path, *, target: base.Target, folder: pathlib.Path) -> Parts:
    """Divides a file, which may come from anyone, and writes both parts.

    Parts of a file of that name, and what was compiled of them, are deleted first: they
    would pass for this one's.

    Raises:
        NothingToDivide: If the target takes it whole or nothing of it.
        RequestError: If it is no model or cannot be run, or if a part of it cannot
            stand alone.
        RunError: If both in a row give something else than the whole.
    """
    if not target.one_subgraph:
        raise failures.RequestError(
            f"{path}: {target.title} takes any number of parts of a graph, so there is "
            "no border to divide a file at: use it as it is, or give "
            f"--target={' or '.join(base.names_of_one_subgraph())}"
        )
    file = flatbuffer.read(path)
    remove(path, folder)
    places = mapping.places(file, target)
    if reason := _whole(file, places, target):
        raise NothingToDivide(f"{path}: {reason}")
    found = border.find(file, places)
    if reason := _pointless(file, places, found, target):
        raise NothingToDivide(f"{path}: {reason}")
    with tempfile.TemporaryDirectory(prefix="tflite_export_") as name:
        made = pathlib.Path(name)
        different = {k: n for k, n in division.run(path, found, made).items() if n}
        if different:
            counts = ", ".join(f"{n} of {name!r}" for name, n in different.items())
            raise failures.RunError(
                f"{path}: the parts give other values than the whole ({counts}, over "
                f"{division.RUNS} random inputs), so they are not written"
            )
        try:
            for part, to in zip(
                (division.TRUNK, division.REST), paths(path, folder), strict=True
            ):
                atomic.write(to, (made / part).read_bytes())
        except OSError:
            remove(path, folder)
            raise
    trunk, rest = (
        Part(file=flatbuffer.read(to), multiply_adds=side.multiply_adds)
        for to, side in zip(paths(path, folder), (found.trunk, found.rest), strict=True)
    )
    return Parts(target=target, trunk=trunk, rest=rest, passing=found.passing)


def run(
    path: pathlib.Path, *, target: base.Target, folder: pathlib.Path | None
) -> None:
    """Divides a file and prints what came of it; last a line of JSON.

    If the target has a compiler that is installed, it compiles the trunk, and what it
    makes is kept beside that.

    Args:
        folder: For the parts; None for the file's own.

    Raises:
        As `divide`.
    """
    parts = divide(path, target=target, folder=folder or path.parent)
    outcomes = compilation.run(parts.trunk.file.path, target)
    for line in [*parts.lines(), *(outcome.line for outcome in outcomes)]:
        terminal.console.print(line, soft_wrap=True)
    compiled = [outcome.as_json() for outcome in outcomes]
    terminal.last_line({"model": str(path)} | parts.as_json() | {"compiled": compiled})


def remove(model: pathlib.Path, folder: pathlib.Path) -> None:
    """Deletes the parts of a file in a folder, and what was compiled of them."""
    for part in paths(model, folder):
        part.unlink(missing_ok=True)
        for compiled in part.parent.glob(f"{part.stem}_*.tflite"):
            compiled.unlink()


def _whole(
    file: flatbuffer.File, places: list[mapping.Place], target: base.Target
) -> str | None:
    """Why all of a file goes to the hardware, or None."""
    if edgetpu_compiler.is_compiled(file):
        return "is compiled already; divide the file that was given to the compiler"
    if all(place.status == mapping.MAPS for place in places):
        return f"{target.title} takes all {len(places)} ops; use the file as it is"
    return None


def _pointless(
    file: flatbuffer.File,
    places: list[mapping.Place],
    found: border.Border,
    target: base.Target,
) -> str | None:
    """Why one of the parts would do nothing, or None."""
    first = mapping.summarize(places).first_outside
    op, reason = file.ops[first], f"{file.ops[first].name}: {places[first].reason}"
    if not found.trunk.multiply_adds:
        how = target.advise(op, ends=False)
        return (
            f"nothing that multiplies and adds goes to {target.title} ({reason})"
            f"{f'; {how}' if how else ''}"
        )
    if not found.rest.multiply_adds:
        return (
            f"what {target.title} leaves to the CPU ({reason}) multiplies and adds "
            "nothing; use the file as it is"
        )
    if not found.rest.outputs:
        return f"no output depends on what {target.title} leaves to the CPU ({reason})"
    return None
