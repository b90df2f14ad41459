"""Exports runs to .tflite files; measures, checks and tries such files."""

import argparse
import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from official import export_spec, failures
from tflite_export import command_line, keras_backend, quiet
from tflite_export.targets import base as targets_base

if TYPE_CHECKING:
    from official import experiment as experiment_lib

EXAMPLES = """\
examples:
  python -m tflite_export export --run_dir=runs/NAME --precision=int8
  python -m tflite_export evaluate model_int8.tflite --experiment=NAME
  python -m tflite_export benchmark model_float32.tflite model_int8.tflite
  python -m tflite_export check model_int8.tflite --target=edgetpu
  python -m tflite_export split model_int8.tflite --target=edgetpu
  python -m tflite_export predict model_int8.tflite photo.jpg --out=drawn
  python -m tflite_export doctor

exit status: 0 done; 1 it failed; 2 the request, a file or the data is wrong;
3 a file is outside its gate; 4 interrupted
"""


def parser() -> argparse.ArgumentParser:
    flags = command_line.parser("python -m tflite_export", __doc__, epilog=EXAMPLES)
    commands = flags.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_export(commands)
    _add_evaluate(commands)
    _add_benchmark(commands)
    _add_check(commands)
    _add_split(commands)
    _add_predict(commands)
    _add_doctor(commands)
    return flags


def main(arguments: Sequence[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    return command_line.run(lambda: _run(given), debug=given.debug)


def _run(given: argparse.Namespace) -> None:
    if given.run is not doctor:
        keras_backend.use_tensorflow()  # converts, whatever a run was trained on
    # The benchmark does without TensorFlow, and the doctor may be asked why it fails.
    if not given.debug and given.run not in (benchmark, doctor):
        quiet.import_tensorflow()
    given.run(given)


def _command(
    commands: Any, name: str, help: str, run: Callable[[argparse.Namespace], None]
) -> argparse.ArgumentParser:
    flags = commands.add_parser(name, help=help, description=help, allow_abbrev=False)
    flags.set_defaults(run=run)
    flags.add_argument("--debug", action="store_true", help="show tracebacks")
    return flags


def _model(flags: argparse.ArgumentParser) -> None:
    flags.add_argument("model", metavar="MODEL", type=_here, help="file")


def _set(flags: argparse.ArgumentParser) -> None:
    flags.add_argument(
        "--set",
        metavar="BINDING",
        action="append",
        default=[],
        help="one binding, applied to the experiment (repeatable)",
    )


def _add_export(commands: Any) -> None:
    flags = _command(
        commands, "export", "write and verify the .tflite files of a run", export
    )
    flags.add_argument("--run_dir", metavar="DIR", required=True)
    flags.add_argument(
        "--precision",
        action="append",
        choices=export_spec.PRECISIONS,
        help="instead of the experiment's (repeatable)",
    )
    flags.add_argument(
        "--target", choices=targets_base.names(), help="instead of the experiment's"
    )
    flags.add_argument("--checkpoint", choices=("best", "last"), default="best")
    _set(flags)


def _add_evaluate(commands: Any) -> None:
    flags = _command(
        commands,
        "evaluate",
        "metrics of a file on an evaluation set; the last line is JSON",
        evaluate,
    )
    _model(flags)
    flags.add_argument("--experiment", metavar="NAME", required=True)
    _set(flags)
    flags.add_argument(
        "--limit", metavar="N", type=_positive, help="only the first N examples"
    )


def _add_benchmark(commands: Any) -> None:
    flags = _command(
        commands,
        "benchmark",
        "latency, size, ops and memory of files; the last line is JSON",
        benchmark,
    )
    flags.add_argument("models", metavar="MODEL", nargs="+", type=_here)
    flags.add_argument("--threads", metavar="N", type=_positive, default=1)


def _add_check(commands: Any) -> None:
    flags = _command(
        commands, "check", "op by op: does it fit; the last line is JSON", check
    )
    _model(flags)
    flags.add_argument("--all", action="store_true", help="list every op")
    flags.add_argument("--target", choices=targets_base.names(), default="cpu")


def _add_split(commands: Any) -> None:
    flags = _command(
        commands,
        "split",
        "two files of one: what hardware takes, and the rest; the last line is JSON",
        split,
    )
    _model(flags)
    flags.add_argument("--target", choices=targets_base.names(), required=True)
    flags.add_argument(
        "--out",
        metavar="DIR",
        type=pathlib.Path,
        help="where the two go (default: beside MODEL)",
    )


def _add_predict(commands: Any) -> None:
    flags = _command(commands, "predict", "draw what a file makes of images", predict)
    _model(flags)
    flags.add_argument("images", metavar="IMAGE", nargs="+", type=pathlib.Path)
    flags.add_argument(
        "--out",
        metavar="DIR",
        type=pathlib.Path,
        default=pathlib.Path("predictions"),
        help="where the pictures go (default: predictions)",
    )


def _add_doctor(commands: Any) -> None:
    _command(
        commands,
        "doctor",
        "what works here, what does not, what to do; the last line is JSON",
        doctor,
    )


def _here(text: str) -> pathlib.Path:
    if "://" in text:
        raise argparse.ArgumentTypeError(
            f"{text} is elsewhere: copy the file, and the .json beside it, to this "
            "machine first"
        )
    return pathlib.Path(text)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


# What a command needs is imported when it runs: TensorFlow takes seconds to load,
# and --help should not.


def export(given: argparse.Namespace) -> None:
    from official import bindings, gin, mirror
    from official import experiment as experiment_lib
    from tflite_export import export as export_lib

    def write(run_dir: pathlib.Path) -> None:
        _, experiment = experiment_lib.load_run(run_dir)
        experiment = bindings.apply(experiment, map(gin.parse_setting, given.set))
        export_lib.run(
            experiment,
            run_dir=run_dir,
            checkpoint=given.checkpoint,
            precisions=given.precision,
            target=given.target,
        )

    if mirror.is_remote(given.run_dir):
        with mirror.kept(given.run_dir) as local:
            write(local)
        print(f"kept in {given.run_dir}")
    else:
        write(pathlib.Path(given.run_dir))


def evaluate(given: argparse.Namespace) -> None:
    from tflite_export import evaluate as evaluate_lib

    evaluate_lib.run(given.model, _experiment_of(given), limit=given.limit)


def _experiment_of(given: argparse.Namespace) -> "experiment_lib.Experiment":
    """The experiment named; as it was run, where the file lies in its run folder."""
    from official import bindings, gin
    from official import experiment as experiment_lib

    run_dir = given.model.absolute().parent.parent
    if (run_dir / experiment_lib.CONFIG).is_file():
        name, experiment = experiment_lib.load_run(run_dir)
        if name == given.experiment:
            return bindings.apply(experiment, map(gin.parse_setting, given.set))
    return experiment_lib.load(given.experiment, settings=given.set)


def benchmark(given: argparse.Namespace) -> None:
    if not given.debug:
        quiet.import_tensorflow()
    from official.report import terminal
    from tflite_export import benchmark as benchmark_lib

    figures = benchmark_lib.measure(given.models, threads=given.threads)
    benchmark_lib.show(figures)
    rows = [dataclasses.asdict(row) | {"path": str(row.path)} for row in figures]
    terminal.last_line(rows)


def check(given: argparse.Namespace) -> None:
    from tflite_export import check as check_lib

    check_lib.run(given.model, target=targets_base.find(given.target), every=given.all)


def split(given: argparse.Namespace) -> None:
    from tflite_export import split as split_lib

    target = targets_base.find(given.target)
    split_lib.run(given.model, target=target, folder=given.out)


def predict(given: argparse.Namespace) -> None:
    from tflite_export import predict as predict_lib

    predict_lib.run(given.model, given.images, out=given.out)


def doctor(given: argparse.Namespace) -> None:
    from tflite_export.doctor import report

    del given
    report.run()


if __name__ == "__main__":
    failures.leave(main())
