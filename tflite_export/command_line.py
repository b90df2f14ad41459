"""What the commands that a person types have in common."""

import argparse
import os
from collections.abc import Callable
from typing import NoReturn

from official import failures

# C++ code of TensorFlow and its libraries reads these when it is loaded.
_QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "GLOG_minloglevel": "3",
    "GRPC_VERBOSITY": "NONE",
}


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the flags."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (--help shows the flags)\n")


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
