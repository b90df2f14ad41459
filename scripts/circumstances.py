"""What a measured figure depends on besides its command."""

import datetime
import os
import pathlib
import platform
import subprocess
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent


def now() -> dict[str, Any]:
    """Commit, date, cores, processor and Python, for a file of results."""
    return {
        "commit": commit(),
        "date": datetime.date.today().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor(),
        "python": platform.python_version(),
    }


def commit() -> str:
    """Of the project, "-dirty" behind it where files differ; empty outside of git."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def processor() -> str:
    """Its name, as far as the system tells it."""
    file = pathlib.Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    return names[0].strip() if names else platform.processor() or platform.machine()
