"""The machine that something ran on."""

import pathlib
import platform


def processor() -> str:
    """The CPU's name, as far as the system tells it."""
    name = platform.processor() or platform.machine()
    described = pathlib.Path("/proc/cpuinfo")
    if not described.is_file():
        return name
    lines = described.read_text(errors="replace").splitlines()
    found = [line.partition(":")[2] for line in lines if "model name" in line]
    return found[0].strip() if found else name
