"""Quantization-aware training of every backbone under every head, to a checked file.

    python scripts/quantization_matrix.py [--size=96] [--width=1.0] [--steps=8]
        [--out=runs/matrix] [--only=TEXT ...]

Each pair trains some steps on synthetic pictures under a quantization scheme, is
exported to int8, and held to the following: no float tensor in the file; every op,
given the file's own inputs, within one step of the fake-quantized Keras model on every
element. Prints a table with the delegate's partitions and, when all files are there,
the latency of all of them in one interleaved run on one thread; the last line is JSON.
Pairs that are in `OUT/matrix.json` already are not repeated; the files stay in `OUT`.
"""

import argparse
import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from official import experiment as experiment_lib

NORM = "norm=@Norm(momentum=0.5)"
BACKBONES = {
    "MobileNetV1": f"@MobileNetV1(width_multiplier=WIDTH, {NORM})",
    "MobileNetV2": f"@MobileNetV2(width_multiplier=WIDTH, {NORM})",
    "MobileNetV3-Large": f"@MobileNetV3(width_multiplier=WIDTH, {NORM})",
    "MobileNetV3-Small": (
        f"@MobileNetV3(variant='small', width_multiplier=WIDTH, {NORM})"
    ),
    "MobileNetV3-Large minimalistic": (
        f"@MobileNetV3(minimalistic=True, width_multiplier=WIDTH, {NORM})"
    ),
    "MobileNetV3-Small isometric": (
        "@IsometricMobileNetV3(variant='small', width_multiplier=WIDTH, "
        f"input_resolution=SIZE, internal_resolution=SIZE_16, {NORM})"
    ),
    "MobileNetEdgeTPU": f"@MobileNetEdgeTPU(width_multiplier=WIDTH, {NORM})",
    "MobileNetV4-Conv-Small": (
        f"@MobileNetV4(variant='conv_small', width_multiplier=WIDTH, {NORM})"
    ),
    "MobileNetV4-Conv-Medium": (
        f"@MobileNetV4(variant='conv_medium', width_multiplier=WIDTH, {NORM})"
    ),
    "MobileNetV4-Conv-Large": (
        f"@MobileNetV4(variant='conv_large', width_multiplier=WIDTH, {NORM})"
    ),
    "MobileNetV4-Hybrid-Medium": (
        f"@MobileNetV4(variant='hybrid_medium', width_multiplier=WIDTH, {NORM})"
    ),
    "MobileNetV4-Hybrid-Large": (
        f"@MobileNetV4(variant='hybrid_large', width_multiplier=WIDTH, {NORM})"
    ),
    "MnasNet-A1": f"@MnasNet(variant='a1', width_multiplier=WIDTH, {NORM})",
    "MultiAVG": f"@MultiHardware(variant='avg', width_multiplier=WIDTH, {NORM})",
    "MultiMAX": f"@MultiHardware(variant='max', width_multiplier=WIDTH, {NORM})",
}
HEADS = {
    "classifier": ("mnv2_cls_cifar10", "@SyntheticCrops(side=SIZE, DATA)", None),
    # Norms that lag behind would make of a tower numbers too small for integers.
    "LR-ASPP": (
        "mnv3_seg_synthetic",
        "@SyntheticStreets(SQUARE, DATA)",
        f"@LRASPP({NORM})",
    ),
    "R-ASPP": (
        "mnv3_seg_synthetic",
        "@SyntheticStreets(SQUARE, DATA)",
        f"@RASPP({NORM})",
    ),
    "SSDLite": (
        "mnv3_det_synthetic",
        "@SyntheticBoxes(SQUARE, DATA)",
        f"@SSDLite({NORM})",
    ),
    "FPN-lite": (
        "mnv3_det_synthetic",
        "@SyntheticBoxes(SQUARE, DATA)",
        f"@FPNLite({NORM})",
    ),
}
LEVELS = {"MobileNetV3-Small isometric": "C4"}
"""Of networks that have features of one level alone."""
OF_ONE_LEVEL = {
    "LR-ASPP": "low_level='LEVEL', high_level='LEVEL'",
    "R-ASPP": "level='LEVEL'",
    "SSDLite": "taps=('LEVEL',), extra=(512, 512, 256, 256, 128)",
    "FPN-lite": "taps=('LEVEL',), coarse=3",
}
"""Fields of the heads on such a network."""

IMAGES = 2


def experiment(
    backbone: str, head: str, *, size: int, width: float, steps: int
) -> "experiment_lib.Experiment":
    """The training of a pair."""
    from official import experiment as experiment_lib

    name, dataset, component = HEADS[head]
    replaced = {
        "SIZE_16": str(size // 16),
        "SQUARE": f"height={size}, width={size}",
        "SIZE": str(size),
        "WIDTH": str(width),
        "DATA": "train_size=16, val_size=4",
    }
    settings = [
        f"dataset = {dataset}",
        f"task.backbone = {BACKBONES[backbone]}",
        f"task.image_size = ({size}, {size})",
        "train.batch_size = 4",
        "eval.batch_size = 4",
        f"trainer = @Trainer(epochs=1, steps_per_epoch={steps})",
        f"quantization = @QuantScheme(observe_steps={max(1, steps // 2)})",
        "export.precisions = ('int8',)",
    ]
    if name == "mnv3_seg_synthetic":
        settings.append("task.crop_size = None")
        settings.append("task.class_weights = None")
    if component:
        if backbone in LEVELS:
            fields = OF_ONE_LEVEL[head].replace("LEVEL", LEVELS[backbone])
            component = component.replace("(", f"({fields}, ", 1).replace(", )", ")")
        settings.append(f"task.head = {component}")
    for word, value in replaced.items():
        settings = [setting.replace(word, value) for setting in settings]
    return experiment_lib.load(name, settings=settings)


def measure(trained: "experiment_lib.Experiment", kept: pathlib.Path) -> dict[str, Any]:
    """Trains, exports to the file `kept`, compares; the figures of a pair."""
    import numpy as np
    import tensorflow as tf

    from official.data import pipeline
    from official.training import checkpoints, preparation, session
    from tflite_export import export, flatbuffer, inference, op_parity, probe

    with tempfile.TemporaryDirectory(prefix="matrix_") as name:
        folder = pathlib.Path(name)
        # Of a few steps, tracing would take the longest.
        tf.config.run_functions_eagerly(True)
        session.train(trained, folder, preparation.model(trained, fresh=True))
        tf.config.run_functions_eagerly(False)
        network = checkpoints.inference_network(trained, folder, "last")
        # Refuses a file with a float tensor.
        (path,) = export.write(trained, network, folder=folder / "export").values()
        spec = trained.export
        finished = trained.task.finish(
            network, output=spec.output, size=spec.output_size
        )
        built = inference.build(finished, spec=spec, precision="int8")
        examples = pipeline.picked(trained.dataset, trained.eval, IMAGES)
        images = [
            np.asarray(trained.task.preprocess(example, training=False)[0])
            for example in examples
        ]
        parity = op_parity.compare(path, built, images)
        shutil.copyfile(path, kept)
    probed, file = probe.run(kept), flatbuffer.read(kept)
    worst = max(parity.comparisons, key=lambda c: (c.worst, -c.exact))
    return {
        "ops": len(file.ops),
        "compared": len(parity.comparisons),
        "worst": parity.worst,
        "worst_layer": worst.layer,
        "exact": parity.exact,
        "within": [c.layer for c in parity.comparisons if c.worst > 1],
        "partitions": probed.partitions,
        "outside": probed.outside,
        "size": file.size,
    }


def row(pair: str, found: dict[str, Any]) -> str:
    if "failure" in found:
        return f"| {pair} | {found['failure']} | | | | | |"
    latency = f"{found['latency_ms']:.2f} ms" if "latency_ms" in found else "..."
    outside = ", ".join(f"{n} {op}" for op, n in found["outside"].items()) or "-"
    return (
        f"| {pair} | {found['ops']} | {found['worst']} | "
        f"{100 * found['exact']:.2f} % | {found['partitions']} | {outside} | "
        f"{latency} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=96, help="side of the images")
    parser.add_argument("--width", type=float, default=1.0, help="width multiplier")
    parser.add_argument("--steps", type=int, default=8, help="of training")
    parser.add_argument("--out", default="runs/matrix", help="folder of matrix.json")
    parser.add_argument("--only", nargs="*", default=[], help="pairs with this in them")
    parser.add_argument("--pair", help=argparse.SUPPRESS)  # of the child process
    given = parser.parse_args()
    if given.pair:
        _child(given)
        return
    pairs = [f"{backbone}, {head}" for head in HEADS for backbone in BACKBONES]
    pairs = [p for p in pairs if not given.only or any(t in p for t in given.only)]
    out = pathlib.Path(given.out)
    out.mkdir(parents=True, exist_ok=True)
    report = out / "matrix.json"
    settings = {"size": given.size, "width": given.width, "steps": given.steps}
    done = json.loads(report.read_text()) if report.exists() else {}
    if done.get("settings") != settings:
        done = {"settings": settings, "pairs": {}}
    print(
        "| network | ops | largest difference, steps | equal | partitions | "
        "not delegated | latency |"
    )
    print("|---|---|---|---|---|---|---|", flush=True)
    for pair in pairs:
        if pair not in done["pairs"]:
            found = _in_child(pair, given)
            if "failure" not in found:
                done["pairs"][pair] = found
                report.write_text(json.dumps(done, indent=1) + "\n")
            print(row(pair, found), flush=True)
        else:
            print(row(pair, done["pairs"][pair]), flush=True)
    _time(done["pairs"], out)
    report.write_text(json.dumps(done, indent=1) + "\n")
    print()
    for pair in pairs:
        if pair in done["pairs"]:
            print(row(pair, done["pairs"][pair]))
    print(json.dumps({p: done["pairs"].get(p) for p in pairs}))
    if any(done["pairs"].get(p, {"worst": 99})["worst"] > 1 for p in pairs):
        sys.exit("not every op of every file is within one step")


def _file(pair: str, out: pathlib.Path) -> pathlib.Path:
    return out / (pair.replace(", ", "_").replace(" ", "_") + ".tflite")


def _time(pairs: dict[str, dict[str, Any]], out: pathlib.Path) -> None:
    """Adds the latency to each pair, all measured in turns."""
    from tflite_export import benchmark

    measured = benchmark.measure([_file(pair, out) for pair in pairs])
    for found, figures in zip(pairs.values(), measured, strict=True):
        found["latency_ms"] = figures.latency_ms


def _in_child(pair: str, given: argparse.Namespace) -> dict[str, Any]:
    """In a process of its own, for the sake of memory."""
    command = [sys.executable, __file__, f"--pair={pair}", f"--size={given.size}"]
    command += [f"--width={given.width}", f"--steps={given.steps}"]
    command += [f"--out={given.out}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or ["no reason given"]
        return {"failure": lines[-1][:300]}
    return json.loads(ended.stdout.splitlines()[-1])


def _child(given: argparse.Namespace) -> None:
    from tflite_export import quiet

    quiet.import_tensorflow()
    backbone, _, head = given.pair.partition(", ")
    trained = experiment(
        backbone, head, size=given.size, width=given.width, steps=given.steps
    )
    trained = dataclasses.replace(trained, init_from=None)
    kept = _file(given.pair, pathlib.Path(given.out))
    print(json.dumps(measure(trained, kept)))


if __name__ == "__main__":
    main()
