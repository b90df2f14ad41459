"""Float against int8 top-1 for every backbone family, over several seeds.

    python scripts/benchmark_int8.py --data_dir=FOLDER [--seeds=3] [--out=runs/int8]

Trains each family from scratch on an image folder (`mnv2_cls_folder`, made
short), exports it, and runs the Keras model and the int8 file over the evaluation
images. Prints a table: top-1 of both, the difference and its spread over seeds, and how
many images changed their class; writes `int8.json` with the names of these images. Runs
that are finished are not repeated.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent

NORM = "norm=@Norm(momentum=0.9)"
FAMILIES = {
    "MobileNetV1": f"@MobileNetV1({NORM})",
    "MobileNetV2": f"@MobileNetV2({NORM})",
    "MobileNetV3-Large": f"@MobileNetV3({NORM})",
    "MobileNetV3-Small": f"@MobileNetV3(variant='small', {NORM})",
    "MobileNetV3-Large minimalistic": f"@MobileNetV3(minimalistic=True, {NORM})",
    "MobileNetV3-Large isometric": f"@IsometricMobileNetV3({NORM})",
    "MobileNetEdgeTPU": f"@MobileNetEdgeTPU({NORM})",
    "MobileNetV4-Conv-Small": f"@MobileNetV4(variant='conv_small', {NORM})",
    "MobileNetV4-Hybrid-Medium": f"@MobileNetV4(variant='hybrid_medium', {NORM})",
    "MnasNet-A1": f"@MnasNet(variant='a1', {NORM})",
    "MultiAVG": f"@MultiHardware(variant='avg', {NORM})",
    "MultiMAX": f"@MultiHardware(variant='max', {NORM})",
}
SETTINGS = (
    "init_from = None",
    "fine_tuning = @FineTuning()",
    "task.image_size = (64, 64)",
    "task.crop_area = (0.4, 1.0)",
    "train.batch_size = 32",
    "train.cache = True",
    "eval.cache = True",
    "optimizer = @AdamW(schedule=@Cosine(learning_rate=0.002, warmup_epochs=2),"
    " weight_decay=0.02, clip_norm=1.0, ema_decay=0.95)",
    "trainer = @Trainer(epochs=20, evaluate_every=20)",
    "export.precisions = ('int8',)",
    "export.max_drop_int8 = 100.0",  # the table is the judge
    "export.min_agreement_int8 = 0.0",
)


def train(family: str, seed: int, *, data_dir: str, run_dir: pathlib.Path) -> None:
    """Trains and exports in a child process; its output goes to the run folder."""
    settings = [
        *SETTINGS,
        f"dataset = @ImageFolder(data_dir={data_dir!r})",
        f"task.backbone = {FAMILIES[family]}",
        f"seed = {seed}",
    ]
    command = [sys.executable, "train.py", "--experiment=mnv2_cls_folder"]
    command += [f"--run_dir={run_dir}"]
    for setting in settings:
        command += ["--set", setting]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        sys.exit(f"{family}, seed {seed}: {ended.stderr.strip()}")


def compare(run_dir: pathlib.Path) -> dict[str, Any]:
    """Top-1 of Keras model and int8 file, and the images on which they differ."""
    from tflite_export import quiet

    quiet.import_tensorflow()
    import numpy as np

    from official import experiment as experiment_lib
    from official.training import checkpoints
    from tflite_export import examples, interpreter, parity

    _, experiment = experiment_lib.load_run(run_dir)
    network = checkpoints.inference_network(experiment, run_dir)
    reference = parity.keras_predictor(
        network, task=experiment.task, spec=experiment.export
    )
    runner = interpreter.Runner(run_dir / "export" / "model_int8.tflite")
    labels, ours, theirs = [], [], []
    for images, targets in examples.evaluation_batches(experiment):
        pixels = np.asarray(images)
        labels.append(np.asarray(targets["label"]))
        ours.append(np.argmax(reference(pixels)["logits"], axis=-1))
        theirs.append(np.argmax(runner(pixels)["logits"], axis=-1))
    truth, keras_ids, int8_ids = map(np.concatenate, (labels, ours, theirs))
    dataset, split = experiment.dataset, experiment.eval.split
    names = [
        example["image_id"].decode()
        for example in dataset.pick(split, np.flatnonzero(keras_ids != int8_ids))
    ]
    return {
        "float": 100 * float(np.mean(keras_ids == truth)),
        "int8": 100 * float(np.mean(int8_ids == truth)),
        "images": len(truth),
        "changed": names,
    }


def row(family: str, found: list[dict[str, Any]]) -> list[str]:
    """Cells of the table: means and, for the difference, the range over seeds."""
    drops = [entry["float"] - entry["int8"] for entry in found]
    changed = [len(entry["changed"]) for entry in found]
    return [
        family,
        f"{statistics.mean(entry['float'] for entry in found):.1f}",
        f"{statistics.mean(entry['int8'] for entry in found):.1f}",
        f"{statistics.mean(drops):+.2f}",
        f"{min(drops):+.2f} .. {max(drops):+.2f}",
        f"{statistics.mean(changed):.1f} of {found[0]['images']}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data_dir", required=True, help="image folder, train/ val/")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each family")
    parser.add_argument("--out", default="runs/int8", help="folder of the runs")
    parser.add_argument("--families", nargs="*", default=list(FAMILIES))
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    out = pathlib.Path(arguments.out).resolve()
    data_dir = str(pathlib.Path(arguments.data_dir).resolve())
    out.mkdir(parents=True, exist_ok=True)
    report = out / "int8.json"
    done = json.loads(report.read_text()) if report.exists() else {}
    print("| family | float | int8 | drop | over seeds | changed class |")
    print("|---|---|---|---|---|---|", flush=True)
    for family in arguments.families:
        for seed in range(arguments.seeds):
            key = f"{family} {seed}"
            if key not in done:
                run_dir = out / key.replace(" ", "_")
                train(family, seed, data_dir=data_dir, run_dir=run_dir)
                done[key] = compare(run_dir)
                report.write_text(json.dumps(done, indent=1) + "\n")
        found = [done[f"{family} {seed}"] for seed in range(arguments.seeds)]
        print(f"| {' | '.join(row(family, found))} |", flush=True)


if __name__ == "__main__":
    main()
