"""The machine: Python, processor, memory, disk, GPUs."""

import os
import pathlib
import platform
import shutil
import sys
import tempfile

from official.report import machine
from tflite_export.doctor import base

_PYTHONS = ((3, 11), (3, 13))
_GIB = 2**30

# What makes XNNPACK's kernels fast, as Linux names it; the last two are of ARM.
_FAST_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "asimddp", "i8mm")
_INT8_FLAGS = {"avx512_vnni", "avx_vnni", "asimddp", "i8mm"}


def python() -> base.Finding:
    found = f"{platform.python_version()} at {sys.executable}"
    low, high = _PYTHONS
    if low <= sys.version_info[:2] <= high:
        return base.Finding("Python", "ok", found)
    advice = f"install Python {low[0]}.{low[1]} to {high[0]}.{high[1]}"
    return base.Finding("Python", "failed", found, advice)


def system() -> base.Finding:
    found = f"{platform.system()} {platform.release()}, {platform.machine()}"
    if platform.system() in ("Linux", "Darwin"):
        return base.Finding("system", "ok", found)
    advice = "TensorFlow runs on Linux and macOS; on Windows use WSL2"
    return base.Finding("system", "warning", found, advice)


def processor() -> base.Finding:
    """Instructions that int8 networks are fast with; phones have theirs."""
    path = pathlib.Path("/proc/cpuinfo")
    if not path.exists():
        found = platform.processor() or platform.machine()
        return base.Finding("processor", "ok", f"{found} (instructions not listed)")
    lines = path.read_text(errors="replace").splitlines()
    values = {key.strip(): value for key, _, value in (x.partition(":") for x in lines)}
    flags = set((values.get("flags") or values.get("Features") or "").split())
    name = values.get("model name", platform.machine()).strip()
    has = [flag for flag in _FAST_FLAGS if flag in flags]
    found = f"{name}: {', '.join(has) or 'none of ' + ', '.join(_FAST_FLAGS)}"
    if _INT8_FLAGS & flags:
        return base.Finding("processor", "ok", found)
    advice = (
        "no instructions for 8-bit products: int8 files are slower here, compared with "
        "float ones, than on a phone"
    )
    return base.Finding("processor", "warning", found, advice)


def cores() -> base.Finding:
    count = machine.cores() or 1
    busy = os.getloadavg()[0]
    found = f"{count} usable, load {busy:.1f}"
    if busy <= count:
        return base.Finding("cores", "ok", found)
    return base.Finding(
        "cores", "warning", found, "latencies measured now are too high; wait"
    )


def memory() -> base.Finding:
    path = pathlib.Path("/proc/meminfo")
    if not path.exists():
        return base.Finding("memory", "ok", "not told by this system")
    lines = (line.split() for line in path.read_text().splitlines())
    values = {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines}
    free = values["MemAvailable"]
    found = f"{free / _GIB:.1f} of {values['MemTotal'] / _GIB:.1f} GiB free"
    if free >= 3 * _GIB:
        return base.Finding("memory", "ok", found)
    advice = "training wants 3 GiB at least: close programs, or lower train.batch_size"
    return base.Finding("memory", "warning", found, advice)


def disk() -> base.Finding:
    usage = shutil.disk_usage(".")
    found = f"{usage.free / _GIB:.1f} of {usage.total / _GIB:.1f} GiB free here"
    if usage.free >= 2 * _GIB:
        return base.Finding("disk", "ok", found)
    advice = "a run takes up to 1 GiB: free some space, or set --run_dir elsewhere"
    return base.Finding("disk", "warning", found, advice)


def run_folder() -> base.Finding:
    """Whether `runs/`, or the folder that it will be made in, can be written."""
    runs = pathlib.Path("runs")
    place = runs if runs.is_dir() else pathlib.Path()
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".doctor_") as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        found = f"{place.absolute()}: {error.strerror or error}"
        advice = "go to a folder that can be written, or set --run_dir"
        return base.Finding("runs/", "failed", found, advice)
    return base.Finding("runs/", "ok", f"{place.absolute()} can be written")


def gpus() -> base.Finding:
    """GPUs that TensorFlow sees, in a child process, and whether one computes."""
    advice = (
        "training runs on the CPU; for an NVIDIA GPU install its driver and "
        "pip install 'tensorflow[and-cuda]'"
    )
    try:
        seen = base.in_child("devices", "", seconds=120, gpus=True)
    except RuntimeError as error:
        advice = "reinstall TensorFlow, or set CUDA_VISIBLE_DEVICES= to go without"
        return base.Finding("GPUs", "failed", str(error), advice)
    if seen["logical"]:
        found = f"{len(seen['logical'])} ({seen['name']}), a product took "
        return base.Finding("GPUs", "ok", f"{found}{seen['milliseconds']:.1f} ms")
    if pathlib.Path("/dev/nvidia0").exists():
        found = "TensorFlow sees none, and the machine has one"
        return base.Finding("GPUs", "warning", found, advice)
    return base.Finding("GPUs", "missing", "TensorFlow sees none", advice)
