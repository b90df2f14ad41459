"""An input pipeline by stages, its bottleneck, and the same job in other projects.

    python scripts/benchmark.py input --images=FOLDER [--experiment=NAME]
        [--overlay=FILE ...] [--set BINDING ...] [--rounds=3] [--seconds=5]
        [--peers torchvision torchvision_v2 garden] [--peer_python=PATH] [--out=FILE]

Photographs of FOLDER (and the folders below) are brought to the size of ImageNet's: the
longer side 500 pixels, about 100 kB of JPEG. The stages are those of training, each
timed with all before it, over and over in turn with the others and the peers, so that
what else the machine does falls on all alike; figures are medians. What a stage takes
of the cores is the difference to the one before. Without --images the experiment's own
data is taken, and no peer. The peers are described in `peer_inputs.py`; --peer_python
is a Python that can import them. The last line is JSON, which --out keeps.
"""

import argparse
import dataclasses
import gc
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import circumstances
import peer_inputs

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

EXPERIMENT = "mnv3_cls_imagenet"
SETTINGS = ("task.augmentations = (@RandAugment(),)", "train.batch_size = 64")
LONGER_SIDE, QUALITY = 500, 96
IMAGES = 512
LOT = 64
OURS = "this project"


def prepared(photographs: pathlib.Path, folder: pathlib.Path) -> None:
    """Writes photographs at ImageNet's size, in two classes of a split "train"."""
    from PIL import Image

    files = [
        file
        for file in sorted(photographs.rglob("*"))
        if file.suffix.lower() in (".jpg", ".jpeg")
    ]
    if not files:
        sys.exit(f"{photographs} has no .jpg files")
    for number, file in enumerate(files[:: max(1, len(files) // IMAGES)][:IMAGES]):
        with Image.open(file) as opened:
            picture = opened.convert("RGB")
        share = LONGER_SIDE / max(picture.size)
        size = [max(1, round(share * side)) for side in picture.size]
        path = folder / "train" / "ab"[number % 2] / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        resized = picture.resize(size, Image.Resampling.LANCZOS)
        resized.save(path, quality=QUALITY)


Speed = dict[str, float]
"""As `peer_inputs.measured` gives it."""

Stages = dict[str, Callable[[], Any]]
"""What makes the stream of a stage, by name; elements are examples but for the last."""


def stages_of(experiment: Any) -> Stages:
    """Reading, decoding, augmentation and batches of an experiment's training."""
    import tensorflow as tf

    from official.data import encoded
    from official.training import session

    task, source = experiment.task, experiment.train
    load = {"seed": experiment.seed, "cache": source.cache, "limit": source.limit}

    def mapped(function: Callable[[Any], Any], *, undecoded: bool) -> Any:
        examples = experiment.dataset.load(source.split, undecoded=undecoded, **load)
        return examples.map(
            function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )

    def seed(example: Any) -> Any:
        words = tf.constant([0, experiment.seed])
        return tf.random.experimental.stateless_fold_in(words, example["position"])

    def bare() -> Any:
        """The task without what changes the pixels of its crop."""
        none = dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.0)
        return dataclasses.replace(task, augmentations=(), flip=False, **none)

    def window(example: Any) -> Any:
        size = encoded.image_size(example)
        side = tf.cast(tf.cast(size, tf.float32) * 0.73, tf.int32)
        return encoded.window(example, (size - side) // 2, side)

    def cropped(example: Any) -> Any:
        return bare().preprocess(example, training=True, seed=seed(example))[0]

    def augmented(example: Any) -> Any:
        return task.preprocess(example, training=True, seed=seed(example))[0]

    def read() -> Any:
        return experiment.dataset.load(source.split, undecoded=True, **load)

    stages: Stages = {"read": read}
    if task.decodes:
        stages["decode"] = lambda: mapped(window, undecoded=True)
        stages["crop, resize"] = lambda: mapped(cropped, undecoded=True)
    else:
        stages["decode"] = lambda: mapped(lambda e: e["image"], undecoded=False)
    stages["augment"] = lambda: mapped(augmented, undecoded=task.decodes)
    stages["batch"] = lambda: session.training_batches(experiment, start_step=0)
    return stages


def counted(stream: Any) -> Any:
    """Elements in lots, none of them kept: Python would take part of the time."""
    from official.data import pipeline

    lots = stream.map(lambda *element: 0).batch(LOT).prefetch(1)
    return lots.with_options(pipeline.options())


def peer_speed(peer: str, given: argparse.Namespace, folder: pathlib.Path) -> Speed:
    """Of a peer, in a process of its own."""
    command = [
        given.peer_python,
        str(pathlib.Path(peer_inputs.__file__).resolve()),
        f"--peer={peer}",
        f"--images={folder / 'train'}",
        f"--seconds={given.seconds}",
        f"--batch_size={given.batch_size}",
        f"--size={given.size}",
        f"--workers={os.cpu_count()}",
    ]
    # Our package has the name of Model Garden's.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{peer} failed: {done.stderr.strip()[-600:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run(given: argparse.Namespace, folder: pathlib.Path) -> dict[str, Any]:
    """Everything by turns; medians."""
    from official import experiment as experiment_lib

    settings = given.set
    if given.images:
        prepared(pathlib.Path(given.images), folder)
        settings = [f"dataset = @ImageFolder(data_dir='{folder}')", *settings]
    experiment = experiment_lib.load(given.experiment, given.overlay, settings)
    given.batch_size = experiment.train.batch_size
    given.size = experiment.task.scaled(experiment.task.image_size)[0]
    stages = stages_of(experiment)
    speeds: dict[str, list[Speed]] = {name: [] for name in stages}
    peers: dict[str, list[Speed]] = {name: [] for name in given.peers}
    for number in range(given.rounds):
        print(f"round {number + 1} of {given.rounds} ...", file=sys.stderr, flush=True)
        for name, stage in stages.items():
            whole = name == "batch"
            stream = stage() if whole else counted(stage())
            found = peer_inputs.measured(
                stream,
                batch_size=given.batch_size if whole else LOT,
                seconds=given.seconds,
            )
            speeds[name].append(found)
            del stream
            gc.collect()  # ends what still reads ahead
        for name in peers:
            peers[name].append(peer_speed(name, given, folder))
    return {
        "experiment": given.experiment,
        "settings": settings[bool(given.images) :],
        "batch_size": given.batch_size,
        "stages": {name: _median(found) for name, found in speeds.items()},
        "whole": speeds["batch"],
        "peers": peers,
        **circumstances.now(),
    }


def _median(found: list[Speed]) -> Speed:
    return {key: statistics.median(one[key] for one in found) for key in found[0]}


def show(found: dict[str, Any]) -> None:
    """Tables, the bottleneck and the ratios."""
    print("| up to | images/s | core ms an image | of them this stage |")
    print("|---|---|---|---|")
    before, own = 0.0, {}
    for name, speed in found["stages"].items():
        own[name] = max(speed["core_ms"] - before, 0.0)
        before = speed["core_ms"]
        print(
            f"| {name} | {speed['images_per_second']:.0f} | {speed['core_ms']:.2f} | "
            f"{own[name]:.2f} |"
        )
    worst = max(own, key=lambda name: own[name])
    share = own[worst] / max(sum(own.values()), 1e-9)
    print(f"bottleneck: {worst}, {share:.0%} of the cores' time")
    found["bottleneck"] = worst
    if not found["peers"]:
        return
    print("\n| pipeline | images/s | ratio | core ms an image | ratio |")
    print("|---|---|---|---|---|")
    ours = found["whole"]
    found["ratios"] = {}
    for name, theirs in {OURS: ours, **found["peers"]}.items():
        both = list(zip(ours, theirs, strict=True))
        key, other = "images_per_second", "core_ms"
        ratio = {
            key: statistics.median(a[key] / b[key] for a, b in both),
            other: statistics.median(b[other] / a[other] for a, b in both),
        }
        found["ratios"][name] = ratio
        speed = _median(theirs)
        print(
            f"| {name} | {speed[key]:.0f} | {ratio[key]:.2f} | {speed[other]:.2f} | "
            f"{ratio[other]:.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="benchmark_input.py", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--images", help="folder of photographs")
    parser.add_argument("--experiment", default=EXPERIMENT)
    parser.add_argument("--overlay", action="append", default=[])
    parser.add_argument("--set", action="append", help="instead of this file's")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each stage")
    parser.add_argument(
        "--peers", nargs="*", default=[], choices=[*peer_inputs.PEERS], metavar="NAME"
    )
    parser.add_argument("--peer_python", default=sys.executable, metavar="PATH")
    parser.add_argument("--out", help="file for the last line")
    given = parser.parse_args()
    if given.peers and not given.images:
        parser.error("--peers needs --images")
    given.set = list(SETTINGS) if given.set is None else given.set
    from official import failures
    from tflite_export import quiet

    quiet.import_tensorflow()
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = run(given, pathlib.Path(folder))
    except failures.Failure as failure:
        sys.exit(f"error: {failure}")
    words = [
        word.replace(str(given.peer_python), "PYTHON").replace(
            str(given.images), "FOLDER"
        )
        for word in sys.argv[1:]
    ]
    found = {"command": " ".join(["scripts/benchmark.py input", *words]), **found}
    show(found)
    line = json.dumps(found)
    if given.out:
        pathlib.Path(given.out).write_text(f"{json.dumps(found, indent=1)}\n")
    print(line)


if __name__ == "__main__":
    main()
