"""A child process that takes training steps when it is asked to.

No program of its own: `serve` runs in the child, `Contender` talks to it. The child
says in a line of JSON what it is, then for each line with a number takes so many steps
and answers with their time; at the end of its input it says how much memory it took.
It runs under another Python than its parent may, so it imports the standard library
alone.

    python scripts/steps_on_request.py --help
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO

_STATUS = pathlib.Path("/proc/self/status")


def memory_mib(key: str = "VmHWM") -> float:
    """Of this process: the peak, or what is held now ("VmRSS")."""
    if not _STATUS.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(lines[key].split()[0]) / 2**10


def answers() -> TextIO:
    """Where the answers go; what others print to stdout goes to stderr from now on."""
    own = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return own


def serve(
    run: Callable[[int], list[float]],
    out: TextIO,
    *,
    version: str,
    imported: float,
    peak: Callable[[], float] = memory_mib,
) -> None:
    """Answers until the input ends.

    Besides the seconds of each step it says what all cores together worked for it.

    Args:
        run: Takes steps and gives the seconds of each.
        version: Of the framework, for people.
        imported: MiB that the process held before it built anything.
        peak: MiB that it took at most.
    """
    begun = time.perf_counter()
    run(1)
    first = time.perf_counter() - begun
    print(json.dumps({"version": version, "first_step_s": first}), file=out)
    for line in sys.stdin:
        count, worked = int(line), time.process_time()
        seconds = run(count)
        core_seconds = (time.process_time() - worked) / count
        answer = {"seconds": seconds, "core_seconds": core_seconds}
        print(json.dumps(answer), file=out)
    print(json.dumps({"peak_mib": peak(), "imports_mib": imported}), file=out)


class Contender:
    """A child in the parent's eyes; it starts at once.

    Args:
        name: For the table.
        command: That starts it.
        log: File that its stderr goes to.
        threads: That it may use; None: as many as there are cores.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: pathlib.Path,
        *,
        threads: int | None = None,
    ):
        limits = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
        limited = {} if threads is None else dict.fromkeys(limits, str(threads))
        self.name = name
        self.seconds: list[float] = []
        self.core_seconds: list[float] = []
        self._log = log
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=open(log, "w"),  # noqa: SIM115, the child holds it
            text=True,
            env=os.environ | limited,
        )
        self.facts: dict[str, Any] = {}

    def begin(self) -> None:
        """Waits for its first step, which is compiled.

        Raises:
            ChildProcessError: It ended before; the message holds its last line.
        """
        self.facts = self._answer()

    def step(self, count: int) -> None:
        """Takes steps and remembers their time."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        answer = self._answer()
        self.seconds += answer["seconds"]
        self.core_seconds.append(answer["core_seconds"])

    def forget(self) -> None:
        """Drops what was taken so far."""
        self.seconds.clear()
        self.core_seconds.clear()

    def end(self) -> None:
        """Ends the child and learns of its memory."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self.facts |= self._answer()
        self._process.wait()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            last = (self._log.read_text().strip().splitlines() or ["no message"])[-1]
            raise ChildProcessError(f"{self.name}: {last} (all of it: {self._log})")
        return json.loads(line)


def contest(
    contenders: Iterable[Contender], *, rounds: int, steps: int
) -> list[Contender]:
    """Steps in turn, so that what else the machine does falls on all alike.

    Args:
        contenders: Begun one after the other as they come; the first turn of each is
            its warm-up.
        rounds: Turns of each that count.
        steps: In a turn.

    Returns:
        Those that took part. One that ended before its first step is told of.
    """
    ready = []
    for contender in contenders:
        try:
            contender.begin()
            ready.append(contender)
        except ChildProcessError as error:
            print(f"left out: {error}", file=sys.stderr)
    for contender in ready:
        contender.step(steps)
        contender.forget()
    for _ in range(rounds):
        for contender in ready:
            contender.step(steps)
    for contender in ready:
        contender.end()
    return ready


if __name__ == "__main__":
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
