"""LiteRT's ahead-of-time compilation, where the SDK of a vendor is installed.

`ai_edge_litert.aot` has a plugin for each vendor; the vendor's compiler is a package of
its own. A compiler can end its process, so `python -m tflite_export.litert_aot REQUEST`
runs it in a child, with the request as JSON.
"""

import contextlib
import importlib
import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from typing import Any, NamedTuple

from tflite_export import child, compiled, mapping

_SECONDS = 600


class Vendor(NamedTuple):
    """A maker of chips.

    Attributes:
        name: For people.
        backend: Module of its plugin below `ai_edge_litert.aot.vendors`.
        sdk: Package with its compiler; on PyPI with hyphens.
    """

    name: str
    backend: str
    sdk: str


VENDORS = (
    Vendor("Google Tensor", "google_tensor", "ai_edge_litert_sdk_google_tensor"),
    Vendor("MediaTek", "mediatek", "ai_edge_litert_sdk_mediatek"),
    Vendor("Qualcomm", "qualcomm", "ai_edge_litert_sdk_qualcomm"),
)

HOW_TO_GET = (
    "LiteRT's ahead-of-time compiler has no vendor SDK installed; pip install one of "
    + ", ".join(vendor.sdk.replace("_", "-") for vendor in VENDORS)
    + " (x86-64 Linux)"
)


def installed() -> tuple[Vendor, ...]:
    """Vendors whose SDK can be imported here."""
    return tuple(v for v in VENDORS if importlib.util.find_spec(v.sdk) is not None)


def run(path: pathlib.Path) -> compiled.Outcome:
    """Compiles a file for all chips of the vendors whose SDK is installed.

    What comes out is kept beside it, `NAME_VENDOR_CHIP.tflite`.
    """
    tool = "ai_edge_litert.aot"
    vendors = installed()
    if not vendors:
        return compiled.Outcome(tool=tool, line=HOW_TO_GET)
    request = {"path": str(path), "backends": [vendor.backend for vendor in vendors]}
    names = ", ".join(vendor.name for vendor in vendors)
    try:
        ended = child.run("litert_aot", json.dumps(request), timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        line = f"{tool} for {names} was stopped after {_SECONDS} s"
        return compiled.Outcome(tool=tool, line=line)
    if ended.returncode:
        said = [" ".join(x.split()) for x in ended.stderr.splitlines() if x.strip()]
        reason = said[-1][:200] if said else child.ending(ended.returncode)
        return compiled.Outcome(tool=tool, line=f"{tool} for {names} failed: {reason}")
    return _outcome(tool, json.loads(ended.stdout.splitlines()[-1]))


def compile_for(path: pathlib.Path, backends: list[str]) -> list[dict[str, Any]]:
    """Runs the compilers in this process.

    Returns:
        For each chip: "chip", "output" (a path, or None if its compiler failed),
        "mapped" and "total" ops, and "error".
    """
    aot = importlib.import_module("ai_edge_litert.aot.aot_compile")
    targets = []
    for backend in backends:
        module = f"ai_edge_litert.aot.vendors.{backend}"
        importlib.import_module(f"{module}.{backend}_backend")
        chips = importlib.import_module(f"{module}.target")
        targets.append(chips.Target(chips.SocModel.ALL))
    # Every stage of a compilation leaves a file; only the last ones are kept.
    with tempfile.TemporaryDirectory(prefix="litert_aot_") as folder:
        result = aot.aot_compile(
            str(path), output_dir=folder, target=targets, keep_going=True
        )
        made = [_made(*pair, path=path) for pair in result.models_with_backend]
    failed = [
        {
            "chip": backend.target_id,
            "output": None,
            "mapped": 0,
            "total": 0,
            "error": _reason(error),
        }
        for backend, error in result.failed_backends
    ]
    return made + failed


def _made(backend: Any, model: Any, *, path: pathlib.Path) -> dict[str, Any]:
    output = path.with_name(f"{path.stem}_{backend.target_id}.tflite")
    shutil.move(model.path, output)
    stats = model.partition_stats.subgraph_stats if model.partition_stats else []
    return {
        "chip": backend.target_id,
        "output": str(output),
        "mapped": sum(part.num_ops_offloaded for part in stats),
        "total": sum(part.num_total_ops for part in stats),
        "error": "",
    }


def _reason(error: str) -> str:
    """What a compiler said last; the plugin puts it in a file and names that."""
    named = re.search(r"See (\S+\.error) for details", error)
    log = pathlib.Path(named[1]) if named else None
    if log is None or not log.is_file():
        return error
    lines = [line for line in log.read_text(errors="replace").splitlines() if line]
    log.unlink()
    wrong = [line for line in lines if "error" in line.lower()]
    return (wrong or lines or [error])[-1]


def _outcome(tool: str, chips: list[dict[str, Any]]) -> compiled.Outcome:
    rows = []
    for chip in chips:
        left = chip["total"] - chip["mapped"]
        if chip["mapped"]:
            rows.append(_row(chip, chip["mapped"], mapping.MAPS, ""))
        if left:
            rows.append(_row(chip, left, mapping.CPU, "not taken by the plugin"))
        if chip["error"]:
            rows.append(_row(chip, 0, mapping.CPU, _shortened(chip["error"])))
    outputs = tuple(pathlib.Path(c["output"]) for c in chips if c["output"])
    line = f"{tool}: compiled for {len(outputs)} of {len(chips)} chips"
    failed = [chip for chip in chips if chip["error"]]
    if failed:
        line += f"; {failed[0]['chip']}: {_shortened(failed[0]['error'])}"
    return compiled.Outcome(tool=tool, line=line, rows=tuple(rows), outputs=outputs)


def _shortened(text: str) -> str:
    return " ".join(text.split())[:200]


def _row(chip: dict[str, Any], number: int, status: str, reason: str) -> compiled.Row:
    return compiled.Row(
        op=f"all ops, {chip['chip']}", number=number, status=status, reason=reason
    )


def _main(request: str) -> int:
    wanted = json.loads(request)
    # The compilers print to the standard output, too; the last line there is ours.
    with contextlib.redirect_stdout(sys.stderr):
        chips = compile_for(pathlib.Path(wanted["path"]), wanted["backends"])
    print(json.dumps(chips))
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
