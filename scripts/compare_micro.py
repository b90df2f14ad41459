"""A file in TFLite Micro's own interpreter, beside LiteRT's: outputs and memory.

    python scripts/compare_micro.py MODEL.tflite [PHOTO ...] --micro_python=PYTHON

PYTHON is one that can import `tflite_micro`, in an environment of its own:

    python -m venv micro && micro/bin/pip install tflite-micro

The interpreter there is that of microcontrollers with its reference kernels, built for
this machine. It and LiteRT get the same bytes, once with LiteRT's reference kernels,
which compute as TFLite Micro's do, and once with XNNPACK, which `evaluate` and the gate
use. A folder stands for the photographs in it; without any, 16 images of noise are
taken. The last line is JSON; exit status 3 if an output differs from that of LiteRT's
reference kernels.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

_CHILD = pathlib.Path(__file__).resolve().parent / "micro_outputs.py"
_ALLOCATED = re.compile(r"Arena allocation (total|head|tail) (\d+) bytes")
_NOISE = 16
_SUFFIXES = (".jpg", ".jpeg", ".png")


def photographs(given: list[pathlib.Path], height: int, width: int) -> Any:
    """uint8 `[N, height, width, 3]`, stretched to the size; noise if none is given.

    Raises:
        RequestError: If there is no photograph in a folder, or a file is none.
    """
    import numpy as np
    from PIL import Image

    from official import failures

    if not given:
        random = np.random.default_rng(0)
        return random.integers(0, 256, (_NOISE, height, width, 3), np.uint8)
    files: list[pathlib.Path] = []
    for path in given:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found = [file for file in inside if file.suffix.lower() in _SUFFIXES]
        if not found:
            raise failures.RequestError(
                f"{path}: no photograph there; those end in {', '.join(_SUFFIXES)}"
            )
        files += found
    pictures = (Image.open(file).convert("RGB") for file in files)
    return np.stack([np.asarray(p.resize((width, height))) for p in pictures])


def as_input(pixels: Any, dtype: Any) -> Any:
    """Pixels 0..255 as bytes of an input: uint8, or int8 128 lower."""
    import numpy as np

    if np.dtype(dtype) == np.int8:
        return (pixels.astype(np.int16) - 128).astype(np.int8)
    return pixels.astype(dtype)


def of_litert(model: pathlib.Path, inputs: Any, *, reference: bool) -> Any:
    """The first output for each input, by reference kernels or by XNNPACK."""
    import numpy as np
    from ai_edge_litert import interpreter as litert

    kinds = litert.OpResolverType
    interpreter = litert.Interpreter(
        str(model),
        experimental_op_resolver_type=kinds.BUILTIN_REF if reference else kinds.AUTO,
    )
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]
    found = []
    for values in inputs:
        interpreter.set_tensor(source, values[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(result)[0])
    return np.stack(found)


def of_micro(model: pathlib.Path, inputs: Any, python: str) -> tuple[Any, str]:
    """The same by TFLite Micro, in a process of its own, and what that says.

    Raises:
        RunError: If it fails.
    """
    import numpy as np

    from official import failures

    with tempfile.TemporaryDirectory() as folder:
        given, made = (pathlib.Path(folder) / f"{name}.npy" for name in ("in", "out"))
        np.save(given, inputs)
        command = [python, str(_CHILD), str(model.resolve()), str(given), str(made)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=folder
        )
        if done.returncode:
            raise failures.RunError(f"TFLite Micro: {done.stderr.strip()[-500:]}")
        return np.load(made), done.stderr


def allocated(text: str) -> dict[str, int]:
    """Bytes by "total", "head" (activations) and "tail" (what lasts)."""
    return {name: int(size) for name, size in _ALLOCATED.findall(text)}


def compare(given: argparse.Namespace) -> None:
    """Runs a file in both and prints how they differ.

    Raises:
        GateError: If TFLite Micro's outputs are not those of the reference kernels.
    """
    import numpy as np

    from official import failures
    from tflite_export import arena, flatbuffer

    file = flatbuffer.read(given.model)
    (tensor,) = file.inputs.values()
    _, height, width, _ = tensor.shape
    pixels = photographs(given.photographs, height, width)
    inputs = as_input(pixels, np.dtype(tensor.dtype.lower()))
    micro, said = of_micro(given.model, inputs, given.micro_python)
    planned, memory = arena.plan(file), allocated(said)
    content: dict[str, Any] = {"model": str(given.model), "images": len(inputs)}
    for name, reference in (("reference kernels", True), ("XNNPACK", False)):
        other = of_litert(given.model, inputs, reference=reference)
        difference = np.abs(micro.astype(np.float64) - other.astype(np.float64))
        same = np.mean(micro.argmax(-1) == other.argmax(-1))
        print(
            f"LiteRT, {name}: differs by {difference.max():g} at most, "
            f"{100 * np.mean(difference == 0):.1f} % of the values are equal, "
            f"{100 * same:.1f} % of the largest are the same"
        )
        content[name] = {"difference": difference.max(), "same": float(same)}
    print(
        f"TFLite Micro allocates {memory['head']} bytes for activations and "
        f"{memory['tail']} that last; planned here: {planned.planned}"
    )
    print(json.dumps(content | memory | {"planned": planned.planned}))
    if content["reference kernels"]["difference"]:
        raise failures.GateError(
            f"{given.model}: TFLite Micro's outputs are not LiteRT's"
        )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL", type=pathlib.Path)
    parser.add_argument("photographs", metavar="PHOTO", nargs="*", type=pathlib.Path)
    parser.add_argument("--micro_python", metavar="PYTHON", required=True)
    given = parser.parse_args()
    from tflite_export import command_line

    return command_line.run(lambda: compare(given), debug=False)


if __name__ == "__main__":
    sys.exit(main())
