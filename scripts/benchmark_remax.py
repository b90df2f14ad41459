"""The relaxations of ReMaX one by one, over several seeds, on procedural streets.

    python scripts/benchmark_remax.py [--seeds=3] [--epochs=8] [--size 128 256]
        [--images=1600] [--out=runs/remax]

The question of the paper's ablation (Sun et al., 2023,
https://arxiv.org/abs/2306.17319): neither relaxation, ReMask, ReClass, both. Each is
trained from scratch as `mnv3small_panoptic_synthetic` is, in a process of its own, all
else alike, and judged by panoptic quality on the same images. Prints a table: mean over
seeds, and the lowest and the highest. What is finished is not repeated; a training that
was interrupted goes on.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

EXPERIMENT = "mnv3small_panoptic_synthetic"
VARIANTS = {
    "neither": "None",
    "ReMask": "@ReMaX(remask=True, reclass=0.0)",
    "ReClass": "@ReMaX(remask=False, reclass=0.1)",
    "both": "@ReMaX(remask=True, reclass=0.1)",
}
FIGURES = ("pq", "pq_things", "pq_stuff", "mean_iou")


def settings(variant: str, seed: int, given: argparse.Namespace) -> list[str]:
    height, width = given.size
    return [
        f"task.method.remax = {VARIANTS[variant]}",
        f"task.image_size = ({height}, {width})",
        f"dataset.height = {height}",
        f"dataset.width = {width}",
        f"dataset.train_size = {given.images}",
        f"trainer.epochs = {given.epochs}",
        f"trainer.evaluate_every = {given.epochs}",
        f"seed = {seed}",
    ]


def run_dir(variant: str, seed: int, given: argparse.Namespace) -> pathlib.Path:
    height, width = given.size
    what = f"{height}x{width}_{given.images}_images_{given.epochs}_epochs"
    return pathlib.Path(given.out).resolve() / what / f"{variant}_seed_{seed}"


def figures(folder: pathlib.Path) -> dict[str, float] | None:
    """The metrics of a finished run, or None."""
    file = folder / "result.json"
    if not file.exists():
        return None
    found = json.loads(file.read_text())["rows"][0]["metrics"]
    return {name: 100 * found[name] for name in FIGURES}


def cells(variant: str, found: list[dict[str, float]]) -> str:
    """A row of the table."""
    columns = []
    for name in FIGURES:
        values = [each[name] for each in found]
        mean, low, high = statistics.mean(values), min(values), max(values)
        columns.append(f"{mean:.2f} ({low:.2f} .. {high:.2f})")
    return f"| {variant} | {' | '.join(columns)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3, help="runs of each variant")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--size", type=int, nargs=2, default=[128, 256])
    parser.add_argument("--images", type=int, default=1600, help="training images")
    parser.add_argument("--out", default="runs/remax", help="folder of the runs")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        _train(given.child[0], int(given.child[1]), given)
        return
    done: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS}
    # Seed by seed: what is there when it is cut short can be compared.
    for seed in range(given.seeds):
        for variant in VARIANTS:
            found = _finished(variant, seed, given)
            done[variant].append(found)
            shown = ", ".join(f"{k} {v:.2f}" for k, v in found.items())
            print(f"{variant}, seed {seed}: {shown}", flush=True)
    print("| relaxation | PQ | PQ of things | PQ of stuff | mean IoU |")
    print("|---|---|---|---|---|")
    for variant, rows in done.items():
        print(cells(variant, rows))
    print(json.dumps(done))


def _finished(variant: str, seed: int, given: argparse.Namespace) -> dict[str, float]:
    folder = run_dir(variant, seed, given)
    found = figures(folder)
    if found is not None:
        return found
    command = [sys.executable, __file__, "--child", variant, str(seed)]
    command += [f"--epochs={given.epochs}", "--size", *map(str, given.size)]
    command += [f"--images={given.images}", f"--out={given.out}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"{folder}: {ended.stderr.strip()}")
    found = figures(folder)
    if found is None:
        sys.exit(f"{folder}: the training ended without a result")
    return found


def _train(variant: str, seed: int, given: argparse.Namespace) -> None:
    from tflite_export import quiet

    quiet.import_tensorflow()
    from official import experiment as experiment_lib
    from official import runner

    experiment: Any = experiment_lib.load(
        EXPERIMENT, settings=settings(variant, seed, given)
    )
    runner.run(
        experiment,
        name=EXPERIMENT,
        run_dir=run_dir(variant, seed, given),
        overwrite=False,
        evaluate_only=False,
        dry_run=False,
    )


if __name__ == "__main__":
    main()
