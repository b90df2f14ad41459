"""The compilers that make a hardware's own file of a .tflite file."""

import pathlib

from tflite_export import compiled, edgetpu_compiler, litert_aot
from tflite_export.targets import base

_COMPILERS = {"edgetpu_compiler": edgetpu_compiler.run, "litert_aot": litert_aot.run}


def run(path: pathlib.Path, target: base.Target) -> list[compiled.Outcome]:
    """Compiles a file, where the target has a compiler and it is installed.

    What it makes lies beside the file. Where it is not installed, the outcome says in a
    line how to get it.
    """
    if not target.compiler:
        return []
    return [_COMPILERS[target.compiler](path)]
