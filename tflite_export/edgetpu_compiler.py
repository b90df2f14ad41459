"""Google Coral's `edgetpu_compiler`, where it is installed."""

import pathlib
import re
import shutil
import subprocess

from tflite_export import compiled, flatbuffer, mapping

PROGRAM = "edgetpu_compiler"

HOW_TO_GET = (
    "edgetpu_compiler is not on the PATH, so the prediction is all there is; it runs "
    "on x86-64 Linux only and is frozen at 16.0 (2021): add Coral's Debian repository "
    "'deb https://packages.cloud.google.com/apt coral-edgetpu-stable main', then "
    "apt-get install edgetpu-compiler"
)

_SECONDS = 600
"""The compiler gives a search up by itself after 180 s."""

_MAPPED = "Mapped to Edge TPU"

# "CONV_2D                        63         Mapped to Edge TPU"
_ROW = re.compile(r"^(?P<op>[\w-]+)\s{2,}(?P<number>\d+)\s{2,}(?P<status>\S.*?)\s*$")
_VERSION = re.compile(r"^Edge TPU Compiler version (\S+)", re.MULTILINE)
_FAILED = ("error", "failed", "invalid", "aborting")


def run(path: pathlib.Path) -> compiled.Outcome:
    """Compiles a file; what comes out is kept beside it as `*_edgetpu.tflite`."""
    program = shutil.which(PROGRAM)
    if program is None:
        return compiled.Outcome(tool=PROGRAM, line=HOW_TO_GET)
    # Of an earlier run, and not to be taken for the result of this one.
    output = path.with_name(f"{path.stem}_edgetpu.tflite")
    output.unlink(missing_ok=True)
    try:
        ended = subprocess.run(
            [program, "-s", "-o", str(path.parent), str(path)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        line = f"{PROGRAM} was stopped after {_SECONDS} s"
        return compiled.Outcome(tool=PROGRAM, line=line)
    except OSError as error:
        line = f"{PROGRAM} cannot be started: {error.strerror or error}"
        return compiled.Outcome(tool=PROGRAM, line=line)
    return read(ended.stdout + ended.stderr, output=output)


def read(log: str, *, output: pathlib.Path) -> compiled.Outcome:
    """What the compiler's log says.

    Args:
        log: As it is printed with `-s`, or as the `.log` file holds it.
        output: Where the compiled file lies if there is one.
    """
    version = _VERSION.search(log)
    tool = f"{PROGRAM} {version[1]}" if version else PROGRAM
    rows = tuple(
        _row(match) for line in log.splitlines() if (match := _ROW.match(line))
    )
    if not output.is_file():
        line = f"{tool} made no file: {_complaint(log)}"
        return compiled.Outcome(tool=tool, line=line, rows=rows)
    mapped = sum(row.number for row in rows if row.status == mapping.MAPS)
    total = sum(row.number for row in rows)
    line = f"{tool}: {mapped} of {total} ops mapped; {output}"
    return compiled.Outcome(tool=tool, line=line, rows=rows, outputs=(output,))


def is_compiled(file: flatbuffer.File) -> bool:
    """Whether a file has been through the compiler already."""
    return "edgetpu-custom-op" in file.histogram


def _row(match: re.Match[str]) -> compiled.Row:
    maps = match["status"] == _MAPPED
    return compiled.Row(
        op=match["op"],
        number=int(match["number"]),
        status=mapping.MAPS if maps else mapping.CPU,
        reason="" if maps else match["status"],
    )


def _complaint(log: str) -> str:
    lines = [" ".join(line.split()) for line in log.splitlines() if line.strip()]
    said = [x for x in lines if any(word in x.lower() for word in _FAILED)]
    return (said or lines or ["it says nothing"])[0][:200]
