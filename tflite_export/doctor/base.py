"""What a check of this machine is, and what it found."""

import dataclasses
import json
import pathlib
import subprocess
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from tflite_export import child

Status = Literal["ok", "warning", "missing", "failed"]


class Finding(NamedTuple):
    """What a check found.

    Attributes:
        name: What was looked at.
        status: "ok"; "warning": works, with a catch; "missing": is not there; "failed":
            is there and does not work.
        found: Versions, sizes, reasons.
        advice: What to do; "" where nothing needs to be done.
    """

    name: str
    status: Status
    found: str
    advice: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Check:
    """One thing to look at.

    Attributes:
        look: Looks.
        required: Whether the pipeline cannot do without.
    """

    look: Callable[[], Finding]
    required: bool = False

    def run(self) -> Finding:
        """What `look` found; that it crashed, if it did."""
        try:
            return self.look()
        except Exception as error:  # one broken thing must not hide the others
            line = " ".join(str(error).split())[:200]
            name = self.look.__name__.replace("_", " ").strip()
            found = f"the check itself: {type(error).__name__}: {line}"
            return Finding(name, "failed", found, "report this line")


def in_child(
    module: str, argument: pathlib.Path | str, *, seconds: float, gpus: bool = False
) -> dict[str, Any]:
    """The line of JSON that a module of this package prints last.

    Raises:
        RuntimeError: If it fails, crashes or takes longer; says how.
    """
    try:
        ended = child.run(f"doctor.{module}", str(argument), timeout=seconds, gpus=gpus)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"took more than {seconds:g} s") from error
    lines = ended.stdout.splitlines()
    if ended.returncode or not lines:
        said = ended.stderr.strip().splitlines() or ["nothing was said"]
        raise RuntimeError(f"{child.ending(ended.returncode)}: {said[-1][:200]}")
    return json.loads(lines[-1])
