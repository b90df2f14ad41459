r"""The README's table of results, from stored result files.

    python scripts/results_table.py
    python scripts/results_table.py --add=runs/NAME --data="five flowers, 550 / 160" \
        --start=ImageNet --minutes=5 --command="python train.py ..." [--commit=COMMIT]

The first form writes the table between the two marks of README.md; `--check` only says
whether it is as it would be written. The second stores a finished run of the folder as
`docs/results/trainings/EXPERIMENT.json`, with the command, the commit of the project
(given, or the present one), the hardware of this machine and the date of the run, and
then does the same. Exit status 1 where `--check` finds a difference.
"""

import argparse
import datetime
import json
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from official.report import machine

ROOT = pathlib.Path(__file__).resolve().parent.parent
STORED = ROOT / "docs" / "results" / "trainings"
README = ROOT / "README.md"
BEGIN = "<!-- results: written by scripts/results_table.py -->"
END = "<!-- end of results -->"
NAMES = {
    "top1": "top-1",
    "mean_iou": "mean IoU",
    "ap50": "AP50",
    "pq": "PQ",
    "pq_things": "PQ of things",
}


def table(stored: list[dict[str, Any]]) -> str:
    """The lines between the marks."""
    return "\n".join(
        (
            "| experiment | data, training / judged | metric | Keras | float32 | int8 "
            "| int8 file | minutes |",
            "|---|---|---|---|---|---|---|---|",
            *(row for one in stored for row in _rows(one)),
        )
    )


def _rows(one: dict[str, Any]) -> Iterator[str]:
    files = one["files"]
    values = [one["keras"], *(files.get(n, {}).get("value") for n in PRECISIONS)]
    cells = ["-" if value is None else f"{100 * value:.1f} %" for value in values]
    if files.get("int8", {}).get("gate") == "failed":
        cells[-1] += " (outside its gate)"
    size = files.get("int8", {}).get("size_bytes")
    yield (
        f"| `{one['experiment']}`, from {one['start']} | {one['data']} | "
        f"{NAMES.get(one['metric'], one['metric'])} | {' | '.join(cells)} | "
        f"{'-' if size is None else f'{size / 1e6:.2f} MB'} | {one['minutes']} |"
    )


PRECISIONS = ("float32", "int8")


def store(given: argparse.Namespace) -> pathlib.Path:
    """Writes the file of a run."""
    from official import experiment as experiment_lib

    run_dir = pathlib.Path(given.add)
    name, _ = experiment_lib.load_run(run_dir)
    result = json.loads((run_dir / "result.json").read_text())
    metric = result["metric"]
    files = {}
    keras = None
    for row in result["rows"]:
        value = row["metrics"][metric]
        if "file" not in row:
            keras = value
            continue
        files[row["name"].split()[0]] = {
            "value": value,
            "size_bytes": row["size_bytes"],
            "latency_ms": row["latency_ms"],
            "agreement": row["agreement"],
            "gate": row["gate"],
        }
    written = (run_dir / "result.json").stat().st_mtime
    content = {
        "experiment": name,
        "start": given.start,
        "data": given.data,
        "metric": metric,
        "judged_on": result["examples"],
        "keras": keras,
        "files": files,
        "minutes": given.minutes,
        "command": given.command,
        "commit": given.commit or machine.commit(),
        "hardware": machine.processor(),
        "date": datetime.datetime.fromtimestamp(written).date().isoformat(),
    }
    path = STORED / f"{given.name or name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def renewed(text: str) -> str:
    """The README with the table of what is stored."""
    stored = [json.loads(path.read_text()) for path in sorted(STORED.glob("*.json"))]
    before, found, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        sys.exit(f"{README} lacks the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{table(stored)}\n\n{END}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=__doc__.partition("\n\n")[2],
    )
    add = parser.add_argument
    add("--check", action="store_true")
    add("--add", metavar="RUN_DIR")
    add("--name", help="of the stored file (default: the experiment's)")
    add("--data", default="")
    add("--start", default="scratch")
    add("--minutes", type=int, default=0)
    add("--commit")
    add("--command")
    given = parser.parse_args()
    if given.add:
        if not given.command:
            parser.error("--command is missing: what the run was started with")
        print(store(given))
    text = README.read_text()
    if given.check:
        return int(renewed(text) != text)
    README.write_text(renewed(text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
