"""What TFLite Micro's interpreter makes of a file; for `compare_micro.py`.

    PYTHON micro_outputs.py MODEL.tflite INPUTS.npy OUTPUTS.npy

PYTHON is one that can import `tflite_micro` (`pip install tflite-micro`). INPUTS are
`[N, *shape]` for the file's one input; OUTPUTS become `[N, *shape]` of its first
output. What the interpreter allocated goes to stderr, as it prints it.
"""

import argparse
import pathlib
import sys

ARENA = 64 * 2**20


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="micro_outputs.py", description=__doc__.split("\n")[0]
    )
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("inputs", type=pathlib.Path)
    parser.add_argument("outputs", type=pathlib.Path)
    given = parser.parse_args()
    try:
        import numpy as np
        from tflite_micro.python.tflite_micro import runtime
    except ImportError as error:
        sys.exit(f"tflite-micro is not installed for {sys.executable}: {error}")
    interpreter = runtime.Interpreter.from_bytes(
        given.model.read_bytes(), arena_size=ARENA
    )
    found = []
    for values in np.load(given.inputs):
        interpreter.set_input(values[None], 0)
        interpreter.invoke()
        found.append(interpreter.get_output(0)[0])
    np.save(given.outputs, np.stack(found))
    interpreter.print_allocations()


if __name__ == "__main__":
    main()
