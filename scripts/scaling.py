"""What a machine could give for a training on ImageNet, and what keeps it from that.

    python scripts/scaling.py --experiment=NAME --machine=NAME --images_per_core=N
        [--batch_per_device=N] [--overlay=FILE ...] [--set BINDING ...]

Nothing is measured here. From the network and the data sheets of `machines.py` follow
the least times that a step can take: for its arithmetic (multiply-adds x 2 x 3, forward
and the two gradients, at the peak), for its memory traffic (`step_traffic.py`), for the
sum of the gradients over a ring, and for the input, by the images that a core makes a
second (`scripts/benchmark.py input` measures that). The longest of them is the bound;
a real step takes longer than any. Trained is in bfloat16; experiments are those of
classification on ImageNet. What a device has to keep over the backward pass is compared
with its memory, too, and no hours are given of what does not fit. Several experiments
or machines (repeat the flags) give a table.
"""

import argparse
import dataclasses
import math
import os
import pathlib
import sys
from collections.abc import Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(pathlib.Path(__file__).resolve().parent)]

import machines  # noqa: E402
import step_bounds  # noqa: E402

NO_ROOM = "does not fit"


def report(case: step_bounds.Case) -> None:
    """Prints everything."""
    network, machine, total = case.network, case.machine, case.total
    met = step_bounds.first(case.bounds)
    print(f"{case.name} on {machine.title}, {case.batch} images a device")
    print(
        f"an image: {network.multiply_adds / 1e6:.0f} million multiply-adds, "
        f"{network.fused / 1e6:.0f} MB of memory traffic ({network.separate / 1e6:.0f} "
        "a kernel a layer)"
    )
    print(
        f"{network.parameters / 1e6:.2f} million parameters; kept: activations "
        f"{case.batch * network.kept / 1e9:.2f} GB, weights, gradients and the "
        f"optimizer's state {network.held / 1e9:.2f} GB, of "
        f"{machine.memory / 1e9:.2f} GB"
        f"{'' if case.fits else ': ' + NO_ROOM}"
    )
    print(f"\n{'bound':34}{'ms a step':>10}{'images/s':>11}")
    for bound in case.bounds:
        mark = "  <- first" if bound == met else ""
        print(
            f"{bound.name:34}{1e3 * bound.seconds:10.2f}"
            f"{_rounded(total / bound.seconds):>11}{mark}"
        )
    print()
    for line in _conclusions(case):
        print(line)
    print("\nbindings:")
    for line in settings(case):
        print(f"  {line}")
    print(f"\nfigures: {machine.source}")
    if case.name in machines.PUBLISHED:
        print(f"practice: {machines.TIMM}")


def settings(case: step_bounds.Case) -> list[str]:
    """Bindings, by what bounds it."""
    lines = [
        f"trainer.strategy = {case.machine.strategy}",
        "trainer.precision = 'mixed_bfloat16'",
        "trainer.deterministic = False",
        f"train.batch_size = {case.total}",
    ]
    if case.total != case.experiment.train.batch_size:
        lines.append(f"optimizer.schedule.learning_rate = {case.rate[0]:.4g}")
    if case.machine.hosts > 1 or step_bounds.first(case.bounds).name == "input":
        lines.append("dataset = @RecordShards(data_dir='shards')")
    return lines


def _conclusions(case: step_bounds.Case) -> Iterator[str]:
    machine, network, own = case.machine, case.network, case.own
    epochs = case.experiment.trainer.epochs
    if case.fits:
        yield (
            f"an epoch takes at least {case.epoch:.0f} s, {epochs} epochs "
            f"{epochs * case.epoch / 3600:.1f} hours"
        )
    else:
        yield (
            f"{NO_ROOM}: a device holds {case.largest_batch} images at most; the "
            "bounds are those of a device with more memory"
        )
    if machine.cores:
        needed = math.ceil(case.total / own / case.images_per_core)
        yield (
            f"input keeps up with the devices' bound from {needed} cores; there are "
            f"{machine.cores}"
        )
    if machine.link:
        least = math.ceil(case.seconds["all-reduce"] / own * case.batch)
        yield (
            f"all-reduce takes longer than the devices' bound below {least} images a "
            f"device; {network.norms} norms add {2 * network.norms} small sums, whose "
            "latency no data sheet gives"
        )
    learning_rate, rule = case.rate
    yield f"global batch {case.total}, learning rate {learning_rate:.4g}: {rule}"
    if practice := _practice(case):
        share, line = practice
        if case.fits:
            line += (
                f"; these devices at {100 * share:.0f} %: "
                f"{_rounded(share * case.total / own)} images/s"
            )
        yield line


def _practice(case: step_bounds.Case) -> tuple[float, str] | None:
    """What others reached with the network, as a share of the bound and in words."""
    if case.name not in machines.PUBLISHED:
        return None
    published = machines.PUBLISHED[case.name]
    reference = dataclasses.replace(
        case, machine=published.machine, batch=published.batch
    )
    share = published.share(step_bounds.first(reference.bounds).seconds)
    separate = published.share(reference.seconds["memory traffic, a kernel a layer"])
    return share, (
        f"practice: {published.network} of timm reaches {100 * share:.0f} % of the "
        f"bound of {published.machine.title} and {100 * separate:.0f} % of that of "
        "a kernel a layer"
    )


def table(cases: list[step_bounds.Case]) -> None:
    """Prints a row for each, in Markdown, and what others reached."""
    print(
        "| experiment | machine | batch a device | devices | all-reduce | input | "
        "first | epochs | hours |"
    )
    print("|" + "---|" * 9)
    for case in cases:
        own, reduce, given = (
            _rounded(case.total / seconds) if seconds else "-"
            for seconds in (
                case.own,
                case.seconds.get("all-reduce"),
                case.seconds.get("input"),
            )
        )
        epochs = case.experiment.trainer.epochs
        hours = f"{epochs * case.epoch / 3600:.1f}" if case.fits else NO_ROOM
        print(
            f"| {case.name} | {case.machine_name} | {case.batch} | {own} | {reduce} | "
            f"{given} | {step_bounds.first(case.bounds).name} | {epochs} | "
            f"{hours} |"
        )
    print()
    for case in {case.name: case for case in cases}.values():
        if practice := _practice(case):
            print(practice[1])


def _rounded(value: float) -> str:
    """Three digits: the sources have no more."""
    return f"{float(f'{value:.3g}'):.0f}"


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add_argument("--experiment", metavar="NAME", action="append", required=True)
    flags.add_argument(
        "--machine", action="append", choices=machines.MACHINES, required=True
    )
    flags.add_argument(
        "--batch_per_device",
        metavar="N",
        type=_positive,
        help="default: the recipe's batch, shared out",
    )
    flags.add_argument(
        "--images_per_core",
        metavar="N",
        type=_positive,
        required=True,
        help="that one core reads, decodes and augments a second",
    )
    flags.add_argument("--overlay", metavar="FILE", action="append", default=[])
    flags.add_argument("--set", metavar="BINDING", action="append", default=[])
    return flags


def main() -> int:
    given = parser().parse_args()
    from tflite_export import command_line

    return command_line.run(lambda: run(given), debug=False)


def run(given: argparse.Namespace) -> None:
    """Loads, counts, prints."""
    from tflite_export import quiet

    quiet.import_tensorflow()
    cases = cases_of(given)
    if len(cases) == 1:
        report(cases[0])
    else:
        table(cases)


def cases_of(given: argparse.Namespace) -> list[step_bounds.Case]:
    """Each experiment on each machine.

    Raises:
        RequestError: If it is none of classification on ImageNet, or its batch cannot
            be shared out.
    """
    from official import experiment as experiment_lib

    cases = []
    for name in given.experiment:
        step_bounds.require_imagenet(name, experiment_lib.load(name))
        experiment = experiment_lib.load(name, given.overlay, given.set)
        network = step_bounds.network_of(experiment)
        for machine_name in given.machine:
            batch = given.batch_per_device or step_bounds.shared_out(
                experiment.train.batch_size, machine_name
            )
            cases.append(
                step_bounds.Case(
                    name=name,
                    experiment=experiment,
                    network=network,
                    machine_name=machine_name,
                    machine=machines.MACHINES[machine_name],
                    batch=batch,
                    images_per_core=given.images_per_core,
                )
            )
    return cases


if __name__ == "__main__":
    sys.exit(main())
