"""The ways a command can end, and the exit status of each."""

import atexit
import contextlib
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NoReturn


class Failure(Exception):
    """Ends a command with one line: what is wrong, where, and what to do."""

    exit_status: ClassVar[int] = 1


class RunError(Failure):
    """The run failed: no space left, a loss that is not a number, ..."""


class RequestError(Failure, ValueError):
    """What was asked for is wrong: an unknown experiment, a bad binding, ..."""

    exit_status: ClassVar[int] = 2


class DataError(RequestError):
    """The data is missing or wrong."""


class GateError(Failure):
    """An exported file is outside its parity gate."""

    exit_status: ClassVar[int] = 3


class Interrupted(Failure):
    """Stopped from outside, with a checkpoint kept."""

    exit_status: ClassVar[int] = 4


SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
)
"""Signals that interrupt a command; the last comes when its terminal or ssh ends."""

_AGAIN = 2.0
"""Seconds after which an interruption is raised again if the command goes on."""


def run(command: Callable[[], None], *, debug: bool) -> int:
    """Runs a command; returns its exit status and prints one line if it failed.

    Args:
        command: Raises a `Failure` where it cannot go on.
        debug: Print tracebacks.
    """
    for number in (*SIGNALS, signal.SIGALRM):
        signal.signal(number, _interrupt)
    try:
        command()
    except KeyboardInterrupt as interrupt:
        signal.setitimer(signal.ITIMER_REAL, 0)
        return _report(str(interrupt) or "interrupted", Interrupted.exit_status, debug)
    except Failure as failure:
        return _report(str(failure), failure.exit_status, debug)
    except BrokenPipeError:
        sys.stdout = None  # whoever read the output has gone; nobody is left to tell
        return 1
    except OSError as error:
        parts = (error.strerror or error, error.filename)
        return _report(": ".join(str(part) for part in parts if part), 1, debug)
    except Exception as error:  # the last resort: a defect of ours
        message = " ".join(str(error).split())[:300]
        line = f"unexpected {type(error).__name__}: {message} (--debug shows more)"
        return _report(line, 1, debug)
    return 0


_farewell = False


def bid_farewell() -> None:
    """For a process among several: `leave` then lets TensorFlow tell the others."""
    global _farewell
    _farewell = True


def leave(status: int) -> NoReturn:
    """Ends the process, for a command that may have used TensorFlow.

    While Python is taken down it ends the threads that come back to it, and TensorFlow,
    clearing away a pipeline, waits for what such a thread was reading: for ever. So
    Python is not taken down; what is registered with `atexit` is done. Only a process
    that has to `bid_farewell` takes it down, which is when TensorFlow does so.
    """
    # Nothing is left that could be interrupted.
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in (*SIGNALS, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    gc.collect()  # pipelines that an exception has kept
    if _farewell:
        sys.exit(status)
    atexit._run_exitfuncs()
    os._exit(_flushed(status))


def _flushed(status: int) -> int:
    """The exit status, once all that was printed is written: 1 where it cannot be."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        pass  # whoever read it has gone
    except OSError as error:
        print(f"error: the output cannot be written: {error.strerror}", file=sys.stderr)
        status = status or 1
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    return status


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Lets what must not be cut short come to its end; for the main thread.

    Signals that interrupt are passed over meanwhile, one that has come is not raised
    again.
    """
    signal.setitimer(signal.ITIMER_REAL, 0)
    numbers = (*SIGNALS, signal.SIGALRM)
    previous = {number: signal.signal(number, _pass_over) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _pass_over(number: int, frame: Any) -> None:
    del number, frame


def _interrupt(number: int, frame: Any) -> None:
    del frame
    # Python drops what is raised while an object is cleared away, and TensorFlow's
    # converter clears away a lot: so it is raised once more.
    signal.setitimer(signal.ITIMER_REAL, _AGAIN)
    raise KeyboardInterrupt("terminated" if number == signal.SIGTERM else "")


def _report(line: str, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"error: {line}", file=sys.stderr)
    return status
