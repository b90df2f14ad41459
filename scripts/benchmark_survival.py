"""What a training loses to sudden ends: 20 of them, then equal weights or not.

    python scripts/benchmark.py survival [--kills=20] [--signal=KILL] [--seed=0]
        [--experiment=NAME] [--set BINDING ...] [--out=runs/survival]

Trains an experiment twice, all else alike: undisturbed, and ended by a signal at random
moments, from the first import on, and started anew each time. After each end every
checkpoint must be whole, and the last not older than it was. In the end both runs must
hold the same weights, moving averages and optimizer's state, to the bit. A run that
finishes before it was ended as often as asked is compared and started afresh.
SIGTERM must further end the program with exit status 4 (or by the signal itself while
it imports); how long that took is printed. Exit status 1 where something was lost.
"""

import argparse
import csv
import dataclasses
import json
import math
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

EXPERIMENT = "mnv3_seg_synthetic"
SETTINGS = (
    "dataset = @SyntheticStreets(height=64, width=128, train_size=64, val_size=8)",
    "task.backbone = @MobileNetV3(variant='small', width_multiplier=0.5)",
    "task.image_size = (64, 128)",
    "train.batch_size = 8",
    "train.cache = True",
    "trainer.epochs = 48",
    "trainer.evaluate_every = 12",
    "export.precisions = ('float32',)",
)

_MOST_SECONDS = 120
"""To an end after a signal."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Life:
    """One start of the program, until its end.

    Attributes:
        seconds: How long it ran before the signal; until its end if it was faster.
        status: Exit status; negative the signal that ended it.
        ending: Seconds from the signal to the end.
        step: Of the last checkpoint afterwards.
    """

    seconds: float
    status: int
    ending: float
    step: int


def command(given: argparse.Namespace, run_dir: pathlib.Path) -> list[str]:
    settings = given.set or SETTINGS
    return [
        *(sys.executable, "train.py", f"--experiment={given.experiment}"),
        f"--run_dir={run_dir}",
        *(text for setting in settings for text in ("--set", setting)),
    ]


def live(
    arguments: list[str], run_dir: pathlib.Path, seconds: float, sent: int
) -> Life:
    """Starts the program and ends it after a time; kills it if it does not end."""
    begun = time.monotonic()
    with open(run_dir.with_suffix(".log"), "a") as log:
        process = subprocess.Popen(
            arguments, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(sent)
        signalled = time.monotonic()
        try:
            status = process.wait(_MOST_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            sys.exit(f"it goes on {_MOST_SECONDS} s after the signal")
    return Life(
        seconds=signalled - begun,
        status=status,
        ending=time.monotonic() - signalled,
        step=step(run_dir),
    )


def step(run_dir: pathlib.Path) -> int:
    """Of the last checkpoint, which must be whole; 0 without one."""
    from official import failures
    from official.training import checkpoints

    last = checkpoints.path(run_dir, "last")
    for file in sorted(last.parent.glob("*.npz")):
        try:
            checkpoints.state(file)
        except failures.RunError as error:
            sys.exit(f"a half-written checkpoint under its full name: {error}")
    return checkpoints.state(last).step if last.exists() else 0


def durations(run_dir: pathlib.Path, begun: float) -> dict[str, float]:
    """Of a finished run: to the end of its first epoch, and in the other epochs, s.

    Args:
        begun: When the program was started, as `time.time`.
    """
    with open(run_dir / "metrics.csv", newline="") as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    imports = (run_dir / "config.gin").stat().st_mtime - begun
    return {"start": imports + seconds[0], "training": sum(seconds[1:])}


def longest_wait(kills: int, *, start: float, training: float) -> float:
    """Of moments drawn from 0 on, so that as many ends fall on one training.

    A life that ends at a moment w > start brings the training w - start further, which
    is (longest - start)^2 / (2 longest) on average. Three quarters of the training are
    meant to pass so: moments are random, and the checkpoint's are between them.
    """
    gain = 0.75 * training / max(kills, 1)
    return start + gain + math.sqrt(gain * (gain + 2 * start))


def difference(one: pathlib.Path, two: pathlib.Path) -> str:
    """In what the last checkpoints of two runs differ; empty where in nothing."""
    import numpy as np

    from official.training import checkpoints

    files = [checkpoints.path(folder, "last") for folder in (one, two)]
    with np.load(files[0]) as first, np.load(files[1]) as second:
        if set(first.files) != set(second.files):
            return "they have different arrays"
        unequal = [
            name
            for name in first.files
            if name != "state" and not np.array_equal(first[name], second[name])
        ]
        if not unequal:
            return ""
        largest = max(np.abs(first[n] - second[n]).max() for n in unequal)
        return f"{len(unequal)} of {len(first.files)} arrays, by {largest} at most"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--signal", choices=("KILL", "TERM"), default="KILL")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--experiment", default=EXPERIMENT)
    parser.add_argument("--set", action="append", help="instead of this file's")
    parser.add_argument("--out", default="runs/survival")
    given = parser.parse_args()
    from official import failures
    from tflite_export import quiet

    quiet.import_tensorflow()
    sent = getattr(signal, f"SIG{given.signal}")
    out = pathlib.Path(given.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    whole, broken = out / "undisturbed", out / f"ended_by_{given.signal}"
    if not (whole / "result.json").exists():
        begun = time.time()
        found = live(command(given, whole), whole, 24 * 3600, sent)
        if found.status:
            sys.exit(f"the undisturbed run failed: {whole.with_suffix('.log')}")
        (out / "durations.json").write_text(json.dumps(durations(whole, begun)))
    taken = json.loads((out / "durations.json").read_text())
    print(
        f"undisturbed: {taken['start']:.0f} s to the end of the first epoch, "
        f"{taken['training']:.0f} s in the others; step {step(whole)}",
        flush=True,
    )
    longest = longest_wait(given.kills, **taken)
    shutil.rmtree(broken, ignore_errors=True)
    moments = random.Random(given.seed)
    lives: list[Life] = []
    trainings = 1
    # A run that finished before its end came is no end.
    while sum(each.status != 0 for each in lives) < given.kills:
        wait = moments.uniform(0, longest)
        found = live(command(given, broken), broken, wait, sent)
        before = max((each.step for each in lives), default=0)
        print(
            f"end {len(lives) + 1}: after {found.seconds:.1f} s, "
            f"status {found.status}, {found.ending:.1f} s later; step {found.step}",
            flush=True,
        )
        if found.step < before:
            sys.exit(f"lost: the last checkpoint is of step {found.step}, not {before}")
        finished = found.status == 0
        expected = (
            {-sent}
            if given.signal == "KILL"
            else {failures.Interrupted.exit_status, -sent}
        )
        if not finished and found.status not in expected:
            sys.exit(f"status {found.status}: see {broken.with_suffix('.log')}")
        lives.append(found)
        if finished:
            # The rest of the moments fall on a training that starts afresh.
            reason = difference(whole, broken)
            if reason:
                sys.exit(f"the weights differ: {reason}")
            print("finished, equal to the bit; starting afresh", flush=True)
            trainings += 1
            shutil.rmtree(broken)
            lives = [dataclasses.replace(each, step=0) for each in lives]
    last = live(command(given, broken), broken, 24 * 3600, sent)
    if last.status:
        sys.exit(f"status {last.status}: see {broken.with_suffix('.log')}")
    reason = difference(whole, broken)
    if reason:
        sys.exit(f"the weights differ: {reason}")
    ended = [each for each in lives if each.status]
    print(
        f"{len(ended)} ends by SIG{given.signal} over {trainings} trainings, each "
        "finished: weights, averages and optimizer equal to the bit; none lost"
    )
    if given.signal == "TERM" and ended:
        seconds_to_end = [each.ending for each in ended]
        middle, longest = statistics.median(seconds_to_end), max(seconds_to_end)
        print(
            f"seconds from the signal to the end: median {middle:.1f}, at most "
            f"{longest:.1f}"
        )


if __name__ == "__main__":
    main()
