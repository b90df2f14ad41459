"""Float, post-training and quantization-aware int8 side by side, over several seeds.

    python scripts/benchmark_qat.py --flowers=FOLDER --camvid=FOLDER
        [--weights=mobilenet_v2.weights.h5] [--seeds=3] [--out=runs/qat]
        [--only=TEXT ...]

For each row and seed: a float training that ends in a post-training int8 file, then a
quantization-aware one that starts from it. The float Keras model and both files go over
the evaluation set in one pass. Prints a table: the metric of each, the differences with
their spread over seeds, and the share of decisions that differ from the float model's;
`OUT/qat.json` has the names of the images (classification) whose class changed. What is
finished is not repeated.
"""

import argparse
import dataclasses
import json
import pathlib
import statistics
import subprocess
import sys
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

NORM = "norm=@Norm(momentum=0.9)"
FROM_SCRATCH = (
    "init_from = None",
    "fine_tuning = @FineTuning()",
    "task.image_size = (64, 64)",
    "task.crop_area = (0.4, 1.0)",
    "train.batch_size = 32",
    "optimizer = @AdamW(schedule=@Cosine(learning_rate=0.002, warmup_epochs=2),"
    " weight_decay=0.02, clip_norm=1.0, ema_decay=0.95)",
    "trainer = @Trainer(epochs=40, evaluate_every=40)",
)
SEGMENTATION = (
    "task.resolution_multiplier = 0.5",
    "task.loss_stride = 1",
    "trainer.epochs = 40",
    "trainer.evaluate_every = 40",
)
NO_GATE = ("export.max_drop_int8 = 100.0", "export.min_agreement_int8 = 0.0")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A network on a data set.

    Attributes:
        data: "flowers" or "camvid".
        experiment: The float one; the quantization-aware one is `<experiment>_qat`.
        settings: Of the float training.
        qat: Further settings of the quantization-aware training.
        weights: Whether it starts from ImageNet weights.
    """

    data: str
    experiment: str
    settings: tuple[str, ...]
    qat: tuple[str, ...]
    weights: bool = False


ROWS = {
    "flowers, MobileNetV2 from ImageNet": Row(
        data="flowers",
        experiment="mnv2_cls_folder",
        settings=("task.image_size = (160, 160)",),
        qat=("task.image_size = (160, 160)",),
        weights=True,
    ),
    "flowers, MobileNetV3-Large": Row(
        data="flowers",
        experiment="mnv2_cls_folder",
        settings=(*FROM_SCRATCH, f"task.backbone = @MobileNetV3({NORM})"),
        qat=(
            *FROM_SCRATCH[1:5],
            f"task.backbone = @MobileNetV3({NORM})",
            "optimizer.ema_decay = 0.95",
        ),
    ),
    "flowers, MobileNetV4-Conv-Small": Row(
        data="flowers",
        experiment="mnv2_cls_folder",
        settings=(
            *FROM_SCRATCH,
            f"task.backbone = @MobileNetV4(variant='conv_small', {NORM})",
        ),
        qat=(
            *FROM_SCRATCH[1:5],
            f"task.backbone = @MobileNetV4(variant='conv_small', {NORM})",
            "optimizer.ema_decay = 0.95",
        ),
    ),
    "CamVid, MobileNetV3-Small": Row(
        data="camvid",
        experiment="mnv3small_seg_camvid",
        settings=SEGMENTATION,
        qat=SEGMENTATION[:2],
    ),
    "CamVid, MobileNetV2 from ImageNet": Row(
        data="camvid",
        experiment="mnv2_seg_camvid",
        settings=(*SEGMENTATION[:2], "trainer.epochs = 10"),
        qat=SEGMENTATION[:2],
        weights=True,
    ),
}


def train(name: str, run_dir: pathlib.Path, settings: tuple[str, ...]) -> None:
    """Trains and exports in a child process; its output goes to a file."""
    if (run_dir / "export" / "report.json").exists():
        return
    command = [sys.executable, "train.py", f"--experiment={name}"]
    command += [f"--run_dir={run_dir}"]
    for setting in (*settings, *NO_GATE):
        command += ["--set", setting]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        sys.exit(f"{run_dir}: {ended.stderr.strip()}")


def compare(floats: pathlib.Path, trained: pathlib.Path) -> dict[str, Any]:
    """Metric and agreement of the float Keras model and both files, in one pass."""
    from tflite_export import quiet

    quiet.import_tensorflow()
    import numpy as np

    from official import experiment as experiment_lib
    from official.tasks import evaluation
    from official.training import checkpoints
    from tflite_export import examples, interpreter, parity

    _, experiment = experiment_lib.load_run(floats)
    network = checkpoints.inference_network(experiment, floats)
    predictors: dict[str, evaluation.Predictor] = {
        "float": parity.keras_predictor(
            network, task=experiment.task, spec=experiment.export
        ),
        "ptq": interpreter.Runner(floats / "export" / "model_int8.tflite"),
        "qat": interpreter.Runner(trained / "export" / "model_int8.tflite"),
    }
    batches = [
        (np.asarray(images), {k: np.asarray(v) for k, v in targets.items()})
        for images, targets in examples.evaluation_batches(experiment)
    ]
    results = evaluation.evaluate(
        experiment.task,
        predictors,
        batches,
        class_names=experiment.dataset.class_names,
    )
    metric = experiment.task.metric
    found: dict[str, Any] = {
        name: {
            "metric": 100 * result.metrics[metric],
            "agreement": 100 * result.agreement,
        }
        for name, result in results.items()
    }
    found["metric"] = metric
    if metric == "top1":
        found["changed"] = _changed(experiment, predictors, batches)
    return found


def _changed(
    experiment: Any, predictors: dict[str, Any], batches: list[Any]
) -> dict[str, list[str]]:
    """Names of the images that a file gives another class than the float model."""
    import numpy as np

    decided = {
        name: np.concatenate(
            [
                experiment.task.postprocess(predictor(images), targets)["class_ids"]
                for images, targets in batches
            ]
        )
        for name, predictor in predictors.items()
    }
    split = experiment.eval.split
    return {
        name: [
            example["image_id"].decode()
            for example in experiment.dataset.pick(
                split, np.flatnonzero(decided[name] != decided["float"])
            )
        ]
        for name in ("ptq", "qat")
    }


def cells(name: str, found: list[dict[str, Any]]) -> str:
    """A row of the table: means, and ranges over seeds."""

    def mean(kind: str, key: str) -> float:
        return statistics.mean(entry[kind][key] for entry in found)

    def drop(kind: str) -> str:
        drops = [e["float"]["metric"] - e[kind]["metric"] for e in found]
        low, high = min(drops), max(drops)
        return f"{statistics.mean(drops):+.2f} ({low:+.2f} .. {high:+.2f})"

    return (
        f"| {name} | {mean('float', 'metric'):.2f} | {mean('ptq', 'metric'):.2f} | "
        f"{mean('qat', 'metric'):.2f} | {drop('ptq')} | {drop('qat')} | "
        f"{100 - mean('ptq', 'agreement'):.2f} % | "
        f"{100 - mean('qat', 'agreement'):.2f} % |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--flowers", help="image folder, train/ val/")
    parser.add_argument("--camvid", help="folder as mnv3small_seg_camvid wants it")
    parser.add_argument("--weights", help="MobileNetV2 ImageNet weights")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each row")
    parser.add_argument("--out", default="runs/qat", help="folder of the runs")
    parser.add_argument("--only", nargs="*", default=[], help="rows with this in them")
    given = parser.parse_args()
    out = pathlib.Path(given.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    report = out / "qat.json"
    done = json.loads(report.read_text()) if report.exists() else {}
    print(
        "| row | float | PTQ | QAT | drop of PTQ | drop of QAT | "
        "decided otherwise, PTQ | QAT |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for name, row in ROWS.items():
        folder = getattr(given, row.data)
        wanted = not given.only or any(text in name for text in given.only)
        if folder is None or not wanted:
            continue
        data = f"dataset.data_dir = {str(pathlib.Path(folder).resolve())!r}"
        for seed in range(given.seeds):
            key = f"{name}, seed {seed}"
            if key in done:
                continue
            base = out / key.replace(", ", "_").replace(" ", "_")
            floats, trained = base / "float", base / "qat"
            shared = (data, f"seed = {seed}")
            settings = (*row.settings, "export.precisions = ('int8',)", *shared)
            if row.weights and given.weights:
                weights = str(pathlib.Path(given.weights).resolve())
                settings += (f"init_from = {weights!r}",)
            train(row.experiment, floats, settings)
            settings = (*row.qat, *shared, f"init_from = {str(floats)!r}")
            train(f"{row.experiment}_qat", trained, settings)
            done[key] = compare(floats, trained)
            report.write_text(json.dumps(done, indent=1) + "\n")
        found = [done[f"{name}, seed {seed}"] for seed in range(given.seeds)]
        print(cells(name, found), flush=True)


if __name__ == "__main__":
    main()
