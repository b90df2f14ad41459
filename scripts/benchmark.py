"""Benchmarks by name.

    python scripts/benchmark.py COMMAND [--help] [...]

COMMAND is the NAME of a file `benchmark_NAME.py` beside this one, which says what it
measures.
"""

import argparse
import ast
import pathlib
import runpy
import sys

HERE = pathlib.Path(__file__).resolve().parent


def commands() -> dict[str, pathlib.Path]:
    """Files by name."""
    files = sorted(HERE.glob("benchmark_*.py"))
    return {file.stem.removeprefix("benchmark_"): file for file in files}


def _purpose(file: pathlib.Path) -> str:
    text = ast.get_docstring(ast.parse(file.read_text())) or ""
    return text.split("\n")[0]


def main() -> None:
    known = commands()
    listed = "\n".join(f"  {name:<10} {_purpose(file)}" for name, file in known.items())
    parser = argparse.ArgumentParser(
        description="Runs a benchmark.",
        epilog=f"benchmarks:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=known, metavar="COMMAND")
    # The rest as it is: argparse would take a "--" away.
    given = parser.parse_args(sys.argv[1:2])
    file = known[given.command]
    sys.argv = [str(file), *sys.argv[2:]]
    runpy.run_path(str(file), run_name="__main__")


if __name__ == "__main__":
    main()
