"""Seconds from the command to the end of the first training step.

    python scripts/benchmark.py start [--rounds=3] [--out=FILE] -- ARGUMENTS OF train.py

Starts `train.py` anew for every round and ends it after its first step, whose losses it
waits for. The last line is JSON: seconds by the clock, and of all cores together.
"""

import argparse
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import resource
import runpy
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import circumstances

ROOT = pathlib.Path(__file__).resolve().parent.parent
STEP = "official.training.trainable"
MARK = "FIRST_STEP_FILE"


class _Watch(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Has the module of the training step changed once it is imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != STEP:
            return None
        found = importlib.machinery.PathFinder.find_spec(name, path)
        assert found is not None
        assert found.loader is not None
        self._loader = found.loader
        return importlib.util.spec_from_loader(name, self, origin=found.origin)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _end_after_a_step(vars(module)["Trainable"])


def _end_after_a_step(kind: Any) -> None:
    """Lets the process write the time and end when a step has been taken."""
    make = kind.make_train_function

    def make_train_function(self: Any, force: bool = False) -> None:
        make(self, force=force)
        step = self.train_function

        def first(*arguments: Any) -> None:
            logs = step(*arguments)
            # On JAX the second of two is the state.
            for value in (logs[0] if isinstance(logs, tuple) else logs).values():
                float(value)
            pathlib.Path(os.environ[MARK]).write_text(repr(time.time()))
            os._exit(0)

        self.train_function = first

    kind.make_train_function = make_train_function


def serve(arguments: Sequence[str]) -> None:
    """Is `train.py`, to the end of its first step."""
    sys.meta_path.insert(0, _Watch())
    sys.path[0] = str(ROOT)
    sys.argv = [str(ROOT / "train.py"), *arguments]
    runpy.run_path(sys.argv[0], run_name="__main__")


def start(arguments: Sequence[str]) -> tuple[float, float]:
    """Seconds by the clock and of all cores of one start."""
    folder = pathlib.Path(tempfile.mkdtemp())
    mark = folder / "time"
    command = [sys.executable, __file__, "--serve", "--", *arguments]
    command.append(f"--run_dir={folder / 'run'}")
    worked = _children_s()
    begun = time.time()
    done = subprocess.run(
        command,
        env=os.environ | {MARK: str(mark)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    try:
        if not mark.exists():
            sys.exit(f"train.py ended before its first step:\n{done.stdout}")
        return float(mark.read_text()) - begun, _children_s() - worked
    finally:
        shutil.rmtree(folder)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    flags = argparse.ArgumentParser(
        prog="benchmark_start.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    flags.add_argument("--rounds", type=int, default=3)
    flags.add_argument("--out", type=pathlib.Path, help="JSON file")
    flags.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    flags.add_argument("arguments", nargs="+", help="of train.py, behind --")
    given = flags.parse_args()
    if given.serve:
        serve(given.arguments)
        return
    taken = []
    for _ in range(given.rounds):
        taken.append(start(given.arguments))
        print("{:.2f} s by the clock, {:.2f} s of the cores".format(*taken[-1]))
    wall, work = zip(*taken, strict=True)
    print(f"median {statistics.median(wall):.2f} s, {statistics.median(work):.2f} s")
    result = {
        "command": " ".join(["scripts/benchmark.py start", *sys.argv[1:]]),
        **circumstances.now(),
        "seconds": wall,
        "core_seconds": work,
    }
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
