"""Child processes that run a module of this package."""

import os
import pathlib
import signal
import subprocess
import sys

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
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    if not gpus:
        environment["CUDA_VISIBLE_DEVICES"] = ""
    return subprocess.run(
        [sys.executable, "-m", f"tflite_export.{module}", argument],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
    )


def ending(status: int) -> str:
    """How a child ended, for a message."""
    if status >= 0:
        return f"status {status}"
    name = signal.Signals(-status).name
    return f"{name}: too little memory?" if name == "SIGKILL" else name
