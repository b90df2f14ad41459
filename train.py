"""Trains an experiment, evaluates it and exports its .tflite files."""

import argparse
import pathlib
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from official import catalog, failures
from tflite_export import child, command_line, keras_backend, quiet

if TYPE_CHECKING:
    from official import experiment as experiment_lib

EXAMPLES = """\
examples:
  python train.py --list
  python train.py --experiment=NAME
  python train.py --experiment=NAME --overlay=configs/overlays/cpu.gin
  python train.py --experiment=NAME --set "dataset.data_dir = '/data/photos'"
  python train.py --experiment=NAME --run_dir=runs/half --dry_run \\
      --set "task.backbone.width_multiplier = 0.5"

exit status: 0 done; 1 the run failed; 2 the request or the data is wrong;
3 an exported file is outside its gate; 4 interrupted, with a checkpoint kept
"""


def parser() -> argparse.ArgumentParser:
    flags = command_line.parser("train.py", __doc__, epilog=EXAMPLES)
    add = flags.add_argument
    add("--list", action="store_true", help="print every experiment and stop")
    add("--experiment", metavar="NAME", help="what to train; a name from --list")
    add(
        "--overlay",
        metavar="FILE",
        action="append",
        default=[],
        help="file of bindings, applied in order (repeatable)",
    )
    add(
        "--set",
        metavar="BINDING",
        action="append",
        default=[],
        help="one binding, applied after the overlays (repeatable)",
    )
    add(
        "--run_dir",
        metavar="DIR",
        help="where everything is written (default: runs/NAME), a folder or an "
        "address such as gs://bucket/run; a run of the same experiment that is found "
        "there is continued",
    )
    add("--overwrite", action="store_true", help="delete what is in the run folder")
    add("--evaluate_only", action="store_true", help="evaluate the best checkpoint")
    add("--dry_run", action="store_true", help="check the data, take a few steps, stop")
    add("--debug", action="store_true", help="show tracebacks and all log messages")
    return flags


def main(arguments: Sequence[str] | None = None) -> int:
    flags = parser()
    given = flags.parse_args(arguments)
    given.arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not (given.list or given.experiment):
        flags.error("--experiment=NAME is missing; --list shows the names")
    if given.evaluate_only and (given.overwrite or given.dry_run):
        flags.error("--evaluate_only goes with neither --overwrite nor --dry_run")
    command = print_names if given.list else lambda: train(given)
    return command_line.run(command, debug=given.debug)


def print_names() -> None:
    names = catalog.names()
    width = max(map(len, names), default=0)
    columns = shutil.get_terminal_size().columns
    for name, summary in names.items():
        first, *others = textwrap.wrap(summary, max(columns - width - 2, 20)) or [""]
        print(f"{name:{width}}  {first}".rstrip())
        for line in others:
            print(f"{'':{width}}  {line}")


def train(given: argparse.Namespace) -> None:
    keras_backend.require()
    # Imported here: TensorFlow takes seconds to load, and --help should not.
    if not given.debug:
        quiet.import_tensorflow()
    from official import experiment as experiment_lib
    from official import mirror
    from tflite_export.targets import base as targets

    experiment = experiment_lib.load(given.experiment, given.overlay, given.set)
    targets.of(experiment.export)  # what is wrong ends here, not after training
    run_dir = given.run_dir or f"runs/{given.experiment}"
    if run_dir.startswith("memory:"):
        raise failures.RequestError(
            f"--run_dir={run_dir} would be gone with this process: give a folder, or "
            "an address such as gs://bucket/run"
        )
    if mirror.is_remote(run_dir) and not given.dry_run:
        with mirror.kept(run_dir) as local:
            _train(given, experiment, local)
        print(f"kept in {run_dir}")
    else:
        _train(given, experiment, pathlib.Path(run_dir))


def _train(
    given: argparse.Namespace,
    experiment: "experiment_lib.Experiment",
    run_dir: pathlib.Path,
) -> None:
    from official import runner

    exports = runner.run(
        experiment,
        name=given.experiment,
        run_dir=run_dir,
        overwrite=given.overwrite,
        evaluate_only=given.evaluate_only,
        dry_run=given.dry_run,
        arguments=given.arguments,
    )
    if exports and keras_backend.chosen()[0] == "tensorflow":
        from tflite_export import export  # the first step need not wait for it

        export.run(experiment, run_dir=run_dir)
    elif exports:
        child.export(run_dir, debug=given.debug)


if __name__ == "__main__":
    failures.leave(main())
