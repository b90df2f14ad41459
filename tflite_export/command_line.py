"""What the commands that a person types have in common."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from official import failures, spelling

# C++ code of TensorFlow and its libraries reads these when it is loaded.
_QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "GLOG_minloglevel": "3",
    "GRPC_VERBOSITY": "NONE",
}


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the flags."""

    _words: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._words = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}{self._hint()} (--help shows the flags)\n")

    def _hint(self) -> str:
        """The flag that the first unknown one may have been meant to be."""
        known = set(self._option_string_actions)
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name in set(self._words) & set(action.choices):
                    known |= set(action.choices[name]._option_string_actions)
        given = [word.partition("=")[0] for word in self._words]
        unknown = (w for w in given if w.startswith("--") and w[2:] and w not in known)
        wrong = next(unknown, "")
        return spelling.hint(wrong, sorted(known)) if wrong else ""


def parser(prog: str, description: str | None, *, epilog: str) -> Parser:
    """A parser that wants flags in full and keeps the lines of its texts."""
    return Parser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def run(command: Callable[[], None], *, debug: bool) -> int:
    """Runs a command; returns its exit status, see `failures.run`.

    Args:
        command: Imports TensorFlow itself, so that an interruption is reported.
        debug: Show tracebacks and what libraries log. Without it they are silent, but
            for what the user's environment asks for.
    """
    if not debug:
        os.environ.update(_QUIET | os.environ)
    return failures.run(command, debug=debug)
