"""Programs and plugins for hardware other than this machine's CPU."""

import functools
import importlib.util
import pathlib
import shutil
import subprocess
from collections.abc import Callable

from tflite_export.doctor import base

_SECONDS = 30


def edgetpu_compiler() -> base.Finding:
    advice = (
        "for Coral hardware only; x86-64 Linux: add Google's apt source as "
        "coral.ai/docs/edgetpu/compiler says, then apt-get install edgetpu-compiler"
    )
    return _program("edgetpu_compiler", "--version", advice)


def adb() -> base.Finding:
    advice = (
        "to measure on a phone: install Android's platform-tools and allow USB "
        "debugging on the phone"
    )
    return _program("adb", "version", advice)


def plugin(vendor: str) -> Callable[[], base.Finding]:
    """A check for LiteRT's ahead-of-time compiler of a phone's accelerator.

    Args:
        vendor: As LiteRT names it: "google_tensor", "qualcomm", "mediatek".
    """

    def look() -> base.Finding:
        name = f"LiteRT for {vendor}"
        litert = importlib.util.find_spec("ai_edge_litert")
        if litert is None or not litert.submodule_search_locations:
            return base.Finding(name, "missing", "no LiteRT", "install ai-edge-litert")
        folder = pathlib.Path(litert.submodule_search_locations[0])
        found = sorted((folder / "vendors" / vendor / "compiler").glob("*.so"))
        if not found:
            advice = "ahead-of-time compilation needs ai-edge-litert 2.1 on Linux"
            return base.Finding(name, "missing", "no compiler plugin", advice)
        sdk = f"ai_edge_litert_sdk_{vendor}"
        if importlib.util.find_spec(sdk) is None:
            advice = f"to compile for such phones: pip install {sdk.replace('_', '-')}"
            return base.Finding(name, "missing", "plugin, but no SDK", advice)
        return base.Finding(name, "ok", f"{found[0].name} and {sdk}")

    return functools.wraps(plugin)(look)


def _program(name: str, flag: str, advice: str) -> base.Finding:
    path = shutil.which(name)
    if path is None:
        return base.Finding(name, "missing", "not on the PATH", advice)
    try:
        ended = subprocess.run(
            [path, flag],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return base.Finding(name, "failed", f"{path}: {error}", advice)
    lines = (ended.stdout + ended.stderr).strip().splitlines() or ["says nothing"]
    if ended.returncode:
        found = f"{path}: status {ended.returncode}: {lines[-1]}"
        return base.Finding(name, "failed", found, advice)
    return base.Finding(name, "ok", f"{lines[0]} at {path}")
