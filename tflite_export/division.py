"""The child process that divides a file, and runs the whole and the parts.

`python -m tflite_export.division FOLDER` divides a file into `FOLDER/trunk.tflite` and
`FOLDER/rest.tflite` as `FOLDER/request.json` says, and prints one line of JSON: how
many values of each output differ between the whole and the two in a row.
"""

import json
import pathlib
import sys
from typing import Any

import numpy as np

from official import failures
from tflite_export import (
    border,
    child,
    excerpt,
    flatbuffer,
    interpreter,
    model_tables,
    probe,
)

TRUNK, REST = "trunk.tflite", "rest.tflite"
RUNS = 3
"""Random inputs that are tried."""

_SECONDS = 600

Values = dict[str, np.ndarray]


def run(
    path: pathlib.Path, found: border.Border, folder: pathlib.Path
) -> dict[str, int]:
    """Divides a file, which may come from anyone.

    Args:
        found: Where.
        folder: Gets the two parts.

    Returns:
        How many values of each output of the whole differ, over `RUNS` random inputs.

    Raises:
        RequestError: If the file does not run, or cannot be divided.
        RunError: If a part does not run.
    """
    request = {
        "model": str(path),
        TRUNK: _described(found.trunk),
        REST: _described(found.rest),
    }
    (folder / "request.json").write_text(json.dumps(request))
    different: dict[str, int] = child.answer(
        "division",
        str(folder),
        path=path,
        what="dividing and running it",
        seconds=_SECONDS,
    )
    return different


def _described(side: border.Side) -> dict[str, Any]:
    """What `excerpt.cut` wants to know."""
    return {
        "ops": side.ops,
        "inputs": {name: tensor.index for name, tensor in side.inputs.items()},
        "outputs": {name: tensor.index for name, tensor in side.outputs.items()},
    }


def _divide(folder: pathlib.Path) -> None:
    probe.limit_memory()
    request = json.loads((folder / "request.json").read_text())
    path = pathlib.Path(request["model"])
    try:
        different = _tried(path, folder, request)
    except failures.Failure:
        raise
    except _PartFailed as error:
        line = str(error).replace(f"{folder}/", "")
        raise failures.RunError(f"{path}: divided, {line}") from error
    except (*flatbuffer.DAMAGE, RuntimeError) as error:
        line = flatbuffer.printable(" ".join(str(error).split()))[:200]
        raise failures.RequestError(
            f"{path}: damaged TFLite model ({type(error).__name__}: {line}); export or "
            "download it again"
        ) from error
    print(json.dumps(different))


def _tried(
    path: pathlib.Path, folder: pathlib.Path, request: dict[str, Any]
) -> dict[str, int]:
    """Writes the parts; how many values of each output differ."""
    # LiteRT verifies offsets, so that what is taken apart after this can be read.
    whole = _Signature(path)
    model = model_tables.unpacked(path.read_bytes())
    if reason := excerpt.obstacle(model):
        raise failures.RequestError(
            f"{path}: cannot be divided: it {reason}, and a part of it would not stand "
            "alone"
        )
    trunk, rest = (
        _written(folder / name, model, request[name]) for name in (TRUNK, REST)
    )
    return _differences(whole, trunk, rest)


class _PartFailed(Exception):
    """LiteRT cannot run what it was divided into."""


class _Signature:
    """A file that is run by the names of its inputs and outputs."""

    def __init__(self, path: pathlib.Path):
        file = flatbuffer.read(path)
        self._path = path
        self._loaded = interpreter.load(path)
        self._inputs = {name: t.index for name, t in file.inputs.items()}
        self._outputs = {name: t.index for name, t in file.outputs.items()}

    def random_inputs(self, seed: int) -> Values:
        interpreter.fill(self._loaded, seed=seed)
        return self._values(self._inputs)

    def __call__(self, values: Values) -> Values:
        """All outputs; of the values those are taken that the file has inputs for."""
        try:
            for name, index in self._inputs.items():
                self._loaded.set_tensor(index, values[name])
            self._loaded.invoke()
        except (RuntimeError, ValueError) as error:
            raise interpreter.cannot_run(self._path, error) from error
        return self._values(self._outputs)

    def _values(self, indices: dict[str, int]) -> Values:
        return {n: self._loaded.get_tensor(i).copy() for n, i in indices.items()}


def _written(path: pathlib.Path, model: Any, side: dict[str, Any]) -> _Signature:
    path.write_bytes(excerpt.cut(model, **side))
    try:
        return _Signature(path)
    except failures.RequestError as error:
        raise _PartFailed(str(error)) from error


def _differences(
    whole: _Signature, trunk: _Signature, rest: _Signature
) -> dict[str, int]:
    found: dict[str, int] = {}
    for seed in range(RUNS):
        given = whole.random_inputs(seed)
        expected = whole(given)
        try:
            first = trunk(given)
            both = first | rest(given | first)
        except failures.RequestError as error:
            raise _PartFailed(str(error)) from error
        for name, values in expected.items():
            found[name] = found.get(name, 0) + _different(values, both[name])
    return found


def _different(expected: Any, found: Any) -> int:
    """Values that differ in a bit; so what is no number may equal itself."""
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return int(expected.size)
    ours, theirs = (
        np.ascontiguousarray(values).reshape(-1, 1).view(np.uint8)
        for values in (found, expected)
    )
    return int(np.sum(np.any(ours != theirs, axis=1)))


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    sys.exit(failures.run(lambda: _divide(folder), debug=False))
