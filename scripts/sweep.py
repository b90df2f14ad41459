r"""Trains and exports several networks on the same data, then compares them.

    python scripts/sweep.py --out=runs/flowers --experiment=mnv2_cls_folder \
        --set "dataset.data_dir = 'flowers'" \
        --vary "task.backbone = @MobileNetV2()" \
        --vary "task.backbone = @MobileNetV2(width_multiplier = 0.5)" \
        --vary "task.backbone = @MobileNetV3(variant = 'small')"

Each `--experiment` is trained with each `--vary` (bindings, several with ";" between
them; without any, as it is), and with every `--set`, by `train.py` in a folder of its
own below `--out`. What is finished is not repeated and what was interrupted goes on, so
the same command may be given again, with more to vary. One that fails does not end the
others. The last thing printed is `scripts/compare_runs.py`'s table. Exit status 1 where
a run failed, 2 where a setting is wrong, 4 where it was interrupted, else 0; files
outside their gate are in the table.
"""

import argparse
import json
import pathlib
import re
import signal
import subprocess
import sys
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

_FAILED, _OUTSIDE_GATE, _INTERRUPTED = 1, 3, 4


class Job(NamedTuple):
    """A run of the sweep."""

    experiment: str
    settings: tuple[str, ...]
    run_dir: pathlib.Path


def jobs(given: argparse.Namespace) -> list[Job]:
    """What is to be trained, in the order given."""
    found: dict[pathlib.Path, Job] = {}
    for experiment in given.experiment:
        for varied in given.vary or [""]:
            settings = [part.strip() for part in varied.split(";") if part.strip()]
            name = "_".join([experiment, *map(_short, settings)])
            job = Job(experiment, (*given.set, *settings), given.out / name)
            other = found.setdefault(job.run_dir, job)
            if other != job:
                sys.exit(
                    f"error: {'; '.join(job.settings)} and {'; '.join(other.settings)} "
                    f"would both be in {job.run_dir}: sweep them with another --out"
                )
    return list(found.values())


def _short(setting: str) -> str:
    """A binding as a part of a folder's name: "MobileNetV2(width_multiplier=0.5)"."""
    field, _, value = (part.strip() for part in setting.partition("="))
    if field == "task.backbone" and value.startswith("@"):
        name = value.lstrip("@").removesuffix("()")
    else:
        name = f"{'.'.join(field.split('.')[-2:])}={value}"
    return re.sub(r"[^\w.,=()-]+", "", name.replace("'", ""))


def _problem(wanted: list[Job]) -> str:
    """What is wrong with the settings of the first that cannot be; found at once."""
    from tflite_export import quiet

    quiet.import_tensorflow()
    from official import experiment as experiment_lib
    from official import failures

    for job in wanted:
        try:
            experiment_lib.load(job.experiment, settings=job.settings)
        except failures.Failure as error:
            return str(error)
    return ""


def is_finished(job: Job) -> bool:
    """Whether a run of the same settings is there, with files of its last weights."""
    from official import experiment as experiment_lib
    from official import failures

    try:
        name, done = experiment_lib.load_run(job.run_dir)
        wanted = experiment_lib.load(job.experiment, settings=job.settings)
        weights = {
            json.loads((job.run_dir / file).read_text())["weights"]
            for file in ("result.json", "export/report.json")
        }
    except (failures.Failure, OSError, ValueError, KeyError):
        return False  # `train.py` says what is wrong
    return (name, done) == (job.experiment, wanted) and len(weights) == 1


def train(job: Job) -> int:
    """Runs `train.py`; its exit status."""
    settings = [text for setting in job.settings for text in ("--set", setting)]
    command = [
        *(sys.executable, str(ROOT / "train.py")),
        *(f"--experiment={job.experiment}", f"--run_dir={job.run_dir}", *settings),
    ]
    process = subprocess.Popen(command)
    # A signal of the terminal reaches both: the training ends when it has saved.
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {
        number: signal.signal(number, lambda n, _: _hand_on(process, n))
        for number in numbers
    }
    try:
        return process.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _hand_on(process: subprocess.Popen, number: int) -> None:
    """SIGINT has come to the training, too, from the terminal."""
    if number != signal.SIGINT:
        process.send_signal(number)


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        epilog=__doc__.partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    flags.add_argument("--out", type=pathlib.Path, required=True)
    flags.add_argument("--experiment", action="append", required=True, metavar="NAME")
    flags.add_argument("--vary", action="append", default=[], metavar="BINDINGS")
    flags.add_argument("--set", action="append", default=[], metavar="BINDING")
    return flags


def main() -> int:
    given = parser().parse_args()
    wanted = jobs(given)
    if problem := _problem(wanted):
        print(f"error: {problem}", file=sys.stderr)
        return 2
    failed = []
    for number, job in enumerate(wanted, start=1):
        print(f"== {number} of {len(wanted)}: {job.run_dir}", flush=True)
        if is_finished(job):
            print("finished before", flush=True)
            continue
        status = train(job)
        if status in (_INTERRUPTED, -2):
            print("interrupted; the same command goes on", file=sys.stderr)
            return _INTERRUPTED
        if status not in (0, _OUTSIDE_GATE):
            failed.append(f"{job.run_dir} (exit status {status})")
    compared = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "compare_runs.py"), str(given.out)],
        check=False,
    ).returncode
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return _FAILED if failed else compared


if __name__ == "__main__":
    sys.exit(main())
