"""A training step: its parts, its speed, and the same step of other projects.

    python scripts/benchmark.py train --experiment=NAME [--overlay=FILE ...]
        [--set BINDING ...] [--noise] [--rounds=8] [--steps=4] [--out=FILE]
        [--peers keras timm timm_compiled garden] [--peer_python=PATH] [--threads=N]

Prints what input, forward, backward, update and host take, images/s, multiply-adds/s
and their share of what a product of matrices reaches here. With `--peers` the network
of a classification experiment trains on a batch in memory, the same number of classes,
size and batch as in each peer, every one in a process of its own, a few steps in turn,
so that what else the machine does falls on all alike; the table has what a step takes,
what all cores together work for it, and peak memory. `--threads=1` gives each a single
thread: the figures that others on the machine disturb least. The last line is JSON.
"""

import argparse
import dataclasses
import json
import pathlib
import statistics
import sys
from typing import Any

import circumstances
import peer_steps
import step_parts
import steps_on_request

ROOT = pathlib.Path(__file__).resolve().parent.parent
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

OURS = "this project"
NOISE_CLASSES = 1000


def experiment_of(given: argparse.Namespace) -> Any:
    """The experiment; with `--noise` its data is that of `_noise`."""
    from official import experiment as experiment_lib

    experiment = experiment_lib.load(given.experiment, given.overlay, given.set)
    if given.noise:
        trainer = dataclasses.replace(experiment.trainer, steps_per_epoch=1000)
        experiment = dataclasses.replace(experiment, dataset=_noise(), trainer=trainer)
    return experiment


def _noise() -> Any:
    """A data set of a thousand classes that needs no files."""
    import numpy as np

    from official.data import indexed

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Noise(indexed.IndexedDataset):
        @property
        def class_names(self) -> tuple[str, ...]:
            return tuple(f"class {number}" for number in range(NOISE_CLASSES))

        @property
        def palette(self) -> tuple[tuple[int, int, int], ...]:
            return ((0, 0, 0),) * NOISE_CLASSES

        def records(self, split: str) -> list[int]:
            return list(range(64))

        def read(self, record: int) -> dict[str, Any]:
            generator = np.random.default_rng(record)
            image = generator.integers(0, 256, (256, 256, 3), np.uint8)
            return {"image": image, "label": np.int32(record), "image_id": "noise"}

    return Noise()


def prepared(given: argparse.Namespace) -> tuple[Any, Any]:
    """The experiment and its model, ready to train."""
    from tflite_export import quiet

    quiet.import_tensorflow()
    from official.training import preparation

    experiment = experiment_of(given)
    return experiment, preparation.model(experiment, fresh=True)


def serve_ours(given: argparse.Namespace) -> None:
    """Is the child that trains this project's network."""
    out = steps_on_request.answers()
    from tflite_export import quiet

    quiet.import_tensorflow()
    import keras
    import numpy as np
    import tensorflow as tf

    imported = steps_on_request.memory_mib("VmRSS")
    experiment, model = prepared(given)
    generator = np.random.default_rng(0)
    count = experiment.train.batch_size
    shape = (count, *model.network.input_shape[1:3], 3)
    images = generator.uniform(0, 255, shape).astype("float32")
    labels = generator.integers(0, experiment.dataset.num_classes, count, np.int32)
    data = tf.data.Dataset.from_tensors((images, {"label": labels})).repeat()
    steps_on_request.serve(
        peer_steps.fitting(model, data),
        out,
        version=f"keras {keras.__version__}, tensorflow {tf.__version__}",
        imported=imported,
    )


def network_name(backbone: Any) -> str:
    """As `peer_steps.NETWORKS` has it; exits where no peer can have it."""
    kind = type(backbone).__name__
    name = {"MobileNetV2": "mobilenet_v2", "MobileNetV3": "mobilenet_v3"}.get(kind)
    if kind == "MobileNetV4":
        name = f"mobilenet_v4_{backbone.variant}"
    elif kind == "MobileNetV3":
        name = f"mobilenet_v3_{backbone.variant}"
    if name is None or getattr(backbone, "width_multiplier", 1.0) != 1.0:
        sys.exit(f"--peers: no peer has a {kind} as in this experiment")
    return name


def compete(given: argparse.Namespace) -> dict[str, Any]:
    """Steps of all contenders in turn; what was found, by name."""
    experiment = experiment_of(given)
    height, width = experiment.task.scaled(
        experiment.task.train_size or experiment.task.image_size
    )
    if height != width:
        sys.exit("--peers: they train on square images")
    logs = pathlib.Path(given.logs)
    logs.mkdir(parents=True, exist_ok=True)
    commands = {OURS: [sys.executable, str(HERE / "benchmark_train.py"), "--serve"]}
    commands[OURS] += sys.argv[1:]
    for peer in given.peers:
        python = sys.executable if peer == "keras" else given.peer_python
        commands[peer] = [python, str(HERE / "peer_steps.py"), peer]
        commands[peer] += [
            network_name(experiment.task.backbone),
            f"--batch_size={experiment.train.batch_size}",
            f"--size={height}",
            f"--classes={experiment.dataset.num_classes}",
            f"--optimizer={type(experiment.optimizer).__name__}",
        ]
    # Each compiles alone: the next one is started when it has.
    started = (
        steps_on_request.Contender(
            name,
            command,
            logs / f"{name.replace(' ', '_')}.log",
            threads=given.threads,
        )
        for name, command in commands.items()
    )
    contenders = steps_on_request.contest(
        started, rounds=given.rounds, steps=given.steps
    )
    return {
        contender.name: {
            "milliseconds": [1e3 * second for second in contender.seconds],
            "core_milliseconds": [1e3 * value for value in contender.core_seconds],
            **contender.facts,
        }
        for contender in contenders
    }


def quartile(values: list[float]) -> float:
    return statistics.quantiles(values, n=4)[0]


def show_contest(found: dict[str, Any]) -> None:
    """The table of the peers."""
    print(
        "| who | step, ms | fastest quarter | cores' work, ms | ours / theirs: step | "
        "fastest quarter | cores' work | peak memory, MiB | beyond imports |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    ours = _figures(found[OURS])
    for name, facts in found.items():
        theirs = _figures(facts)
        taken = " | ".join(f"{value:.0f}" for value in theirs)
        ratios = (mine / other for mine, other in zip(ours, theirs, strict=True))
        shares = " | ".join(f"{ratio:.2f}" for ratio in ratios)
        peak, imports = facts["peak_mib"], facts["imports_mib"]
        print(
            f"| {name} ({facts['version']}) | {taken} | {shares} | {peak:.0f} | "
            f"{peak - imports:.0f} |"
        )


def _figures(facts: dict[str, Any]) -> tuple[float, float, float]:
    """Median, the fastest quarter's end, and the fastest quarter's end of the work.

    Where others use the machine, too, the last is disturbed least; but it counts
    threads that wait for others by turning round, as those of OpenMP do.
    """
    wall = facts["milliseconds"]
    work = facts["core_milliseconds"]
    return statistics.median(wall), quartile(wall), quartile(work)


def show_parts(parts: step_parts.Parts) -> None:
    """The table of the parts."""
    print("| part | ms |")
    print("|---|---|")
    for name in (*step_parts.PARTS, "step", "fed"):
        print(f"| {name} | {getattr(parts, name):.1f} |")
    print(
        f"{parts.images_per_second:.1f} images/s from the input pipeline; "
        f"{parts.multiply_adds_per_second / 1e9:.1f} G multiply-adds/s, "
        f"{100 * parts.share_of_peak:.0f} % of {parts.peak / 1e9:.1f} G of a product "
        "of matrices"
    )


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        prog="benchmark_train.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = flags.add_argument
    add("--experiment", required=True, metavar="NAME")
    add("--overlay", action="append", default=[], metavar="FILE")
    add("--set", action="append", default=[], metavar="BINDING")
    add("--noise", action="store_true", help="noise of 1000 classes instead of data")
    add("--rounds", type=int, default=8, help="turns of each part and contender")
    add("--steps", type=int, default=4, help="steps in a turn")
    add("--peers", nargs="*", default=[], choices=peer_steps.PEERS)
    add("--threads", type=int, help="of each contender; all cores if not given")
    add("--peer_python", default=sys.executable, help="where timm and so on are")
    add("--logs", default="runs/train_peers", help="folder for what the peers print")
    add("--out", type=pathlib.Path, help="JSON file, beside others in docs/results")
    add("--serve", action="store_true", help=argparse.SUPPRESS)
    return flags


def main() -> None:
    given = parser().parse_args()
    if given.serve:
        serve_ours(given)
        return
    result: dict[str, Any] = {
        "command": " ".join(["scripts/benchmark.py train", *sys.argv[1:]]),
        **circumstances.now(),
    }
    if given.peers:
        result["contest"] = compete(given)
        show_contest(result["contest"])
    experiment, model = prepared(given)
    parts = step_parts.measure(
        experiment,
        model,
        fit=peer_steps.fitting,
        rounds=given.rounds,
        steps=given.steps,
    )
    show_parts(parts)
    result["parts"] = dataclasses.asdict(parts)
    result["parts"]["images_per_second"] = parts.images_per_second
    result["parts"]["share_of_peak"] = parts.share_of_peak
    text = json.dumps(result)
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(text)


if __name__ == "__main__":
    main()
