"""Child processes that run a module of this package."""

import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

from official import failures
from tflite_export import keras_backend

_ROOT = pathlib.Path(__file__).resolve().parent.parent


def run(
    module: str, argument: str, *, timeout: float | None = None, gpus: bool = False
) -> subprocess.CompletedProcess[str]:
    """Runs `python -m tflite_export.MODULE ARGUMENT` to its end, output captured.

    Args:
        gpus: Let it see them; neither converter nor interpreter has a use for memory
            that a training needs.

    Raises:
        subprocess.TimeoutExpired: If it takes more than `timeout` seconds.
    """
    return subprocess.run(
        [sys.executable, "-m", f"tflite_export.{module}", argument],
        env=_environment(gpus=gpus),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
    )


def export(run_dir: pathlib.Path, *, debug: bool) -> None:
    """Runs the export stage of a run on TensorFlow, for a process that has JAX.

    What it prints is seen. It is given no GPUs: this process has their memory still.

    Raises:
        Failure: As the child raised it, or a RunError if it ended otherwise.
    """
    command = [sys.executable, "-m", "tflite_export", "export", f"--run_dir={run_dir}"]
    sys.stdout.flush()  # lest its lines come before ours in a file
    ended = subprocess.run(
        [*command, "--debug"] if debug else command,
        env=_environment(gpus=False) | {keras_backend.VARIABLE: "tensorflow"},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    *before, last = ended.stderr.strip().splitlines() or [""]
    if not ended.returncode:
        before = [*before, last] if last else []
    for line in before:
        print(line, file=sys.stderr)
    if not ended.returncode:
        return
    for kind in (
        failures.RequestError,
        failures.GateError,
        failures.Interrupted,
        failures.RunError,
    ):
        if ended.returncode == kind.exit_status and last.startswith("error: "):
            raise kind(last.removeprefix("error: "))
    again = " ".join(["python", *command[1:]])
    raise failures.RunError(
        f"the export ended ({ending(ended.returncode)}): {last or 'without a word'}; "
        f"the run is kept in {run_dir}, and `{again}` tries again"
    )


def answer(
    module: str, argument: str, *, path: pathlib.Path | str, what: str, seconds: float
) -> Any:
    """What a child says that runs a file from anyone: its last line, which is JSON.

    Args:
        path: The file, for messages.
        what: The child does, for messages: "running it".
        seconds: After which it is ended.

    Raises:
        RequestError: As the child raised it, or if it took longer or ended otherwise.
        RunError: As the child raised it.
    """
    try:
        ended = run(module, argument, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise failures.RequestError(
            f"{path}: {what} took more than {seconds:g} s; it is not used"
        ) from error
    if not ended.returncode:
        return json.loads(ended.stdout.splitlines()[-1])
    (said,) = ended.stderr.strip().splitlines()[-1:] or ("",)
    # What nobody foresaw in the child comes from the file.
    foreseen = said.startswith("error: ") and not said.startswith("error: unexpected ")
    for kind in (failures.RequestError, failures.RunError):
        if ended.returncode == kind.exit_status and foreseen:
            raise kind(said.removeprefix("error: "))
    raise failures.RequestError(
        f"{path}: {what} ended the process ({ending(ended.returncode)}); the file is "
        "damaged, or needs more memory than there is"
    )


def _environment(*, gpus: bool) -> dict[str, str]:
    """For a child that finds this project."""
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    return environment if gpus else environment | {"CUDA_VISIBLE_DEVICES": ""}


def ending(status: int) -> str:
    """How a child ended, for a message."""
    if status >= 0:
        return f"status {status}"
    name = signal.Signals(-status).name
    return f"{name}: too little memory?" if name == "SIGKILL" else name
