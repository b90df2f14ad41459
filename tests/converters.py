"""The converter's child processes, for tests, made by forking.

Each of them would import TensorFlow for itself, which takes longer than what it converts
here. A process that has imported it, and done nothing else, forks one for each request:
what runs in it is the same, from the module's first line to its exit status.
"""

import atexit
import json
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
from typing import Any

from tflite_export import child, quiet

MODULES = ("worker", "islands")

process = child.run
"""As the program runs them, for tests of that."""


class Forks:
    """Runs modules as `tflite_export.child.run` does."""

    def __init__(self) -> None:
        self._parent: subprocess.Popen[str] | None = None

    def run(self, module: str, argument: str) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory() as folder:
            files = [str(pathlib.Path(folder, name)) for name in ("out", "err")]
            status = self._ask(
                [child._environment(gpus=False), module, argument, *files]
            )
            said = [pathlib.Path(f).read_text(errors="replace") for f in files]
        return subprocess.CompletedProcess([module, argument], status, *said)

    def _ask(self, request: list[Any]) -> int:
        if self._parent is None:
            self._parent = subprocess.Popen(
                [sys.executable, __file__],
                env=child._environment(gpus=False),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            atexit.register(self._parent.kill)
        assert self._parent.stdin
        assert self._parent.stdout
        print(json.dumps(request), file=self._parent.stdin, flush=True)
        status = self._parent.stdout.readline()
        if not status:
            raise RuntimeError("the process that forks converters has died")
        return int(status)


def _serve() -> None:
    quiet.import_tensorflow()
    for line in sys.stdin:
        environment, module, argument, *files = json.loads(line)
        process = os.fork()
        if not process:
            os.environ.clear()
            os.environ.update(environment)
            _become(module, argument, files)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        print(status, flush=True)


def _become(module: str, argument: str, files: list[str]) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    sys.argv = [module, argument]
    runpy.run_module(f"tflite_export.{module}", run_name="__main__", alter_sys=True)
    sys.exit(0)


if __name__ == "__main__":
    _serve()
