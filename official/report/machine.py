"""Where something ran: the machine, and the commit of this project."""

import os
import pathlib
import platform
import subprocess

_ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def processor() -> str:
    """The CPU's name, as far as the system tells it."""
    name = platform.processor() or platform.machine()
    described = pathlib.Path("/proc/cpuinfo")
    if not described.is_file():
        return name
    lines = described.read_text(errors="replace").splitlines()
    found = [line.partition(":")[2] for line in lines if "model name" in line]
    return found[0].strip() if found else name


def cores() -> int | None:
    """Those that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def commit() -> str:
    """Of this project, "-dirty" behind it where files differ; else nothing."""
    if not (_ROOT / ".git").exists():
        return ""  # installed, or within a repository of something else
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""  # no git here
    return done.stdout.strip()
