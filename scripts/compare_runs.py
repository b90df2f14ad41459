"""All runs below a folder, by accuracy, latency and size.

    python scripts/compare_runs.py runs [--picture=runs/comparison.png] [--json]

Prints a table for each metric, in which what is best for its latency or its size is
marked: no other file is both more accurate and faster (smaller). Draws a picture of it.
Exit status 2 where there is no run.
"""

import argparse
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument(
        "--picture",
        type=pathlib.Path,
        help="where it goes (default: comparison.png in the folder)",
    )
    parser.add_argument("--json", action="store_true", help="a line of JSON instead")
    given = parser.parse_args()
    from tflite_export import command_line

    return command_line.run(lambda: compare(given), debug=False)


def compare(given: argparse.Namespace) -> None:
    from tflite_export import quiet

    quiet.import_tensorflow()
    from official.report import comparison

    found = comparison.find(given.folder)
    if given.json:
        print(comparison.as_json(found))
        return
    comparison.show(found)
    picture = given.picture or given.folder / "comparison.png"
    groups = comparison.grouped(found.entries)
    for number, (group, entries) in enumerate(groups.items(), start=1):
        end = f"_{number}_{group.metric}" if len(groups) > 1 else ""
        path = picture.with_name(f"{picture.stem}{end}{picture.suffix or '.png'}")
        comparison.scatter(entries, path)
        print(path)


if __name__ == "__main__":
    sys.exit(main())
