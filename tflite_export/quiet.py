"""Silence for libraries that write straight to the process's standard error."""

import contextlib
import gc
import logging
import os
import sys
from collections.abc import Iterator

from tflite_export import late_parts


@contextlib.contextmanager
def stderr() -> Iterator[None]:
    """Drops what is written to standard error, by C++ code as well.

    An exception that is raised inside still carries its message.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
        sys.stderr.flush()
    finally:
        os.dup2(saved, 2)
        os.close(saved)


@contextlib.contextmanager
def _without(name: str) -> Iterator[None]:
    """A package that is imported nowhere inside; for one that others can do without.

    Keras imports matplotlib, a third of a second, for pictures that none of ours are.
    """
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


def import_tensorflow() -> None:
    """Imports TensorFlow, which reports on the machine before it reads any setting.

    Its half a million objects stay to the end: Python's garbage collector does not go
    over them again and again.
    """
    if "tensorflow" not in sys.modules:
        collects = gc.isenabled()
        gc.disable()
        try:
            with stderr(), _without("matplotlib"), late_parts.waiting():
                import tensorflow  # noqa: F401
            gc.freeze()
        finally:
            if collects:
                gc.enable()
    # Hints for authors of TensorFlow code, such as that a function was traced again.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
