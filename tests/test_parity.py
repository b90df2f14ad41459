"""The gate between the Keras model and its files, and the export of a whole run."""

import dataclasses
import json
import math
import shutil

import keras
import numpy as np
import pytest
import small
import small_detector

from official import experiment as experiment_lib
from official import export_spec, failures
from official.tasks import evaluation
from official.training import checkpoints
from tflite_export import __main__ as command
from tflite_export import examples, export, model_card, parity

SPEC = export_spec.Export()
PRECISIONS = {"float32": "float32", "dynamic": "dynamic", "int8": "int8"}


def result(metric: float, agreement: float = 1.0) -> evaluation.Result:
    return evaluation.Result(
        metrics={"mean_iou": metric},
        agreement=agreement,
        examples=9,
        constant_of=lambda: 0.1,
    )


def judge(keras_metric: float, **files: evaluation.Result) -> dict[str, parity.Verdict]:
    results = {parity.KERAS: result(keras_metric), **files}
    precisions = {name: PRECISIONS[name] for name in files}
    return parity.judge(results, precisions, metric="mean_iou", spec=SPEC)


def test_files_inside_their_bounds_pass():
    verdicts = judge(
        0.5,
        float32=result(0.4991, 0.9991),  # 0.09 of 0.1 points, 99.91 of 99.9 %
        dynamic=result(0.4901, 0.971),  # 0.99 of 1.0 points, 97.1 of 97 %
        int8=result(0.52, 0.971),  # better is no drop
    )
    assert [verdict.problems for verdict in verdicts.values()] == [(), (), ()]
    assert verdicts["float32"].drop == pytest.approx(0.09)
    assert verdicts["int8"].drop == pytest.approx(-2)
    parity.require(verdicts)


@pytest.mark.parametrize(
    ("name", "metric", "agreement", "line"),
    [
        ("float32", 0.4985, 1.0, "mean_iou is 0.15 points below the Keras model's"),
        ("float32", 0.5, 0.998, "99.80 % of its decisions agree .*wanted 99.9 %"),
        ("int8", 0.488, 1.0, r"1.20 points below the Keras model's \(allowed 1\)"),
        ("int8", 0.5, 0.96, r"96.00 % of its decisions agree .*wanted 97 %"),
        ("int8", math.nan, 1.0, "mean_iou is nan points below"),
        ("int8", 0.5, math.nan, "nan % of its decisions agree"),
    ],
)
def test_a_file_outside_a_bound_fails_with_the_figures(name, metric, agreement, line):
    verdicts = judge(0.5, **{name: result(metric, agreement)})
    assert not verdicts[name].passed
    with pytest.raises(failures.GateError, match=f"parity gate: {name}: .*{line}"):
        parity.require(verdicts)


@pytest.mark.parametrize("kind", ["float", "int8"])
def test_the_bounds_that_are_named_are_those_of_the_file(kind):
    name = {"float": "float32", "int8": "int8"}[kind]
    message = (
        rf"set other bounds: export.max_drop_{kind}, export.min_agreement_{kind}\)"
    )
    with pytest.raises(failures.GateError, match=message):
        parity.require(judge(0.5, **{name: result(0.4)}))


@pytest.mark.parametrize("value", [0.1, 0.05, math.nan])
def test_an_untrained_model_does_not_pass_and_is_said_once(value):
    verdicts = judge(value, float32=result(value), int8=result(value))
    assert not any(verdict.passed for verdict in verdicts.values())
    with pytest.raises(failures.GateError) as caught:
        parity.require(verdicts)
    message = str(caught.value)
    assert message.count("is untrained: its mean_iou of") == 1
    assert "train longer or start from" in message
    # Bounds would change nothing, where only this is wrong.
    assert ("export.max_drop" in message) == math.isnan(value)
    assert "the best constant prediction's 10.00" in message


def test_keras_gets_the_pixels_that_the_file_gets():
    images = keras.Input((2, 2, 3))
    network = keras.Model(images, {"logits": keras.layers.Identity()(images)})
    pixels = np.full((1, 2, 2, 3), 9.7, np.float32)
    task = small.experiment().task

    def largest_of(input_type):
        spec = export_spec.Export(input_type=input_type)
        predictor = parity.keras_predictor(network, task=task, spec=spec)
        return predictor(pixels)["logits"].max()

    largest = {name: largest_of(name) for name in ("uint8", "float32")}
    assert largest == {"uint8": 10.0, "float32": np.float32(9.7)}


@pytest.mark.parametrize(
    ("output", "output_size"),
    [
        ("class_ids", "head"),
        ("class_ids", "input"),
        ("logits", "input"),
        ("scores", "head"),
    ],
)
def test_a_float_file_of_any_output_passes(tmp_path, output, output_size):
    experiment = small.experiment()
    network = experiment.task.build(num_classes=3, training=False)
    small.tell_colors_apart(network)
    spec = export_spec.Export(
        precisions=("float32",), output=output, output_size=output_size
    )
    # Pictures of another size than the network's, so that every resize counts.
    experiment = dataclasses.replace(
        experiment, export=spec, dataset=small.Quarters(side=80)
    )
    results = parity.measure(
        experiment.task,
        network,
        export.write(experiment, network, folder=tmp_path),
        spec=spec,
        batches=examples.evaluation_batches(experiment),
        class_names=experiment.dataset.class_names,
    )
    (name,) = set(results) - {parity.KERAS}
    verdicts = parity.judge(results, {name: "float32"}, metric="mean_iou", spec=spec)
    assert verdicts[name].problems == ()
    # Against the logits of the head it is 0.9989, 0.9995 and 0.99992.
    assert verdicts[name].agreement > 0.99995


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder as training leaves it; the weights are set by hand, not trained."""
    folder = tmp_path_factory.mktemp("run")
    experiment = small.experiment()
    network = experiment.task.build(num_classes=3, training=False)
    small.tell_colors_apart(network)
    optimizer = keras.optimizers.SGD()
    optimizer.build(network.trainable_variables)
    checkpoints.save(
        checkpoints.path(folder, "best"),
        network=network,
        optimizer=optimizer,
        state=checkpoints.State(class_names=experiment.dataset.class_names),
    )
    (folder / "config.gin").write_text("# experiment: colors\n")
    (folder / "result.json").write_text('{"experiment": "colors", "rows": []}')
    return folder


@pytest.fixture(scope="module")
def exported(run):
    export.run(small.experiment(), run_dir=run)
    return run


def test_an_export_leaves_files_descriptions_and_figures(exported):
    folder = exported / "export"
    assert {path.name for path in folder.iterdir()} == {
        "model_float32.tflite",
        "model_float32.json",
        "model_float32.md",
        "model_int8.tflite",
        "model_int8.json",
        "model_int8.md",
        "labels.txt",
        "layer_errors.json",
        "report.json",
    }
    assert (folder / "labels.txt").read_text() == "red\ngreen\nblue\n"
    report = json.loads((folder / "report.json").read_text())
    assert [row["name"] for row in report["rows"]] == ["Keras", "float32", "int8"]
    keras_row, float_row, int8_row = report["rows"]
    assert keras_row["metrics"]["mean_iou"] > 0.9 > report["constant"]
    assert float_row["agreement"] == pytest.approx(1, abs=1e-3)
    assert "edgetpu" not in float_row
    mapped = int8_row["edgetpu"]
    assert 0 < mapped["ops"] <= mapped["total_ops"] == int8_row["ops"]
    pictures = {path.stem for path in (exported / "predictions").glob("*.png")}
    assert {"worst_0", "best_0"} <= pictures
    for row in (float_row, int8_row):
        assert row["gate"] == "passed"
        assert row["size_bytes"] == (folder / row["file"]).stat().st_size
        assert row["latency_ms"] > 0


def test_the_card_of_a_file_tells_its_figures_and_its_origin(exported):
    folder = exported / "export"
    row = json.loads((folder / "report.json").read_text())["rows"][2]
    card = (folder / "model_int8.md").read_text()
    assert card.startswith(
        "# model_int8.tflite\n\nSegmentation with TwoConvolutions in"
    )
    assert f"| **this file** | {100 * row['metrics']['mean_iou']:.2f} |" in card
    assert f"{row['latency_ms']:.2f} ms, the median with 1 thread of" in card
    assert "into 3 classes" in card
    assert "Classes: red, green, blue." in card
    assert "MediaPipe Tasks: ImageSegmenter." in card
    assert "Started from random weights" in card
    assert "Trained on 12 images, `train` of Quarters" in card
    scale = json.loads((folder / "model_int8.json").read_text())["inputs"][0]["scale"]
    assert f"| input | images | uint8 | 1 x 32 x 32 x 3 | {scale} |" in card


def test_the_card_tells_the_licence_of_the_weights_that_a_run_started_from(tmp_path):
    assert checkpoints.provenance(tmp_path) == {}
    known = {"source": "timm:x", "licence": "apache-2.0", "training_data": "ImageNet"}
    (tmp_path / "weights.json").write_text(json.dumps(known))
    provenance = checkpoints.provenance(tmp_path)
    lines = list(model_card._origin(small.experiment(), provenance))
    assert "- Started from timm:x" in lines
    assert "- Licence of these weights: apache-2.0" in lines
    assert "- They were trained on: ImageNet" in lines


def test_the_limits_of_a_detector_are_not_those_of_a_classifier():
    row = {"problems": ["it is bad"]}
    reference = evaluation.Result(
        metrics={}, agreement=1.0, examples=50, constant_of=lambda: 0.0
    )
    called = "- What is none of its classes is called one of them all the same"
    lines = list(model_card._limits(small.experiment().task, row, reference))
    assert called in lines
    task = small_detector.experiment().task
    lines = list(model_card._limits(task, row, reference))
    assert called not in lines
    assert "- **Failed its gate**: it is bad" in lines
    text = "\n".join(lines)
    assert "- What is none of its classes is passed over, or taken for one" in text
    assert "overlap by more than 50 % one is dropped" in text
    assert "at most 20 are found in an image" in text


def test_the_result_of_the_run_has_the_same_rows_and_keeps_what_it_had(exported):
    result = json.loads((exported / "result.json").read_text())
    report = json.loads((exported / "export" / "report.json").read_text())
    assert result["experiment"] == "colors"
    assert result["rows"] == report["rows"]
    assert "int8" in (exported / "report.html").read_text()
    assert (exported / "predictions" / "0.png").exists()


def test_files_of_earlier_weights_are_removed_and_said_to_be(
    exported, tmp_path, capsys
):
    folder = tmp_path / "run"
    shutil.copytree(exported, folder)
    export._remove_stale(folder / "export", checkpoints.path(folder, "best"))
    assert (folder / "export" / "model_int8.tflite").exists()  # the same weights
    other = folder / "checkpoints" / "other.npz"
    other.write_bytes(b"other weights")
    export._remove_stale(folder / "export", other)
    assert not list((folder / "export").glob("model_*"))
    assert "model_int8.tflite: made from earlier weights" in capsys.readouterr().out


def test_a_file_in_its_run_folder_is_evaluated_with_the_settings_of_the_run(
    exported, tmp_path
):
    folder = tmp_path / "run"
    shutil.copytree(exported, folder)
    experiment = small.experiment(epochs=7)
    text = experiment_lib.dump(experiment, "mnv3_seg_synthetic")
    (folder / "config.gin").write_text(text)
    flags = command.parser().parse_args(
        [
            "evaluate",
            str(folder / "export" / "model_int8.tflite"),
            "--experiment=mnv3_seg_synthetic",
            "--set=seed = 9",
        ]
    )
    found = command._experiment_of(flags)
    assert found == dataclasses.replace(experiment, seed=9)


def test_the_description_says_how_to_feed_the_file(exported):
    content = json.loads((exported / "export" / "model_int8.json").read_text())
    (image,) = content["inputs"]
    assert (image["name"], image["dtype"], image["shape"]) == (
        "images",
        "uint8",
        [1, 32, 32, 3],
    )
    assert image["scale"] == pytest.approx(1 / 127.5)
    assert "half-pixel" in content["preprocessing"]["resize"]
    assert "(pixel - 127)" in content["preprocessing"]["normalization"]
    assert content["class_names"] == ["red", "green", "blue"]
    assert content["palette"][0] == [255, 0, 0]


def test_a_file_outside_its_gate_is_written_reported_and_fails(exported):
    experiment = small.experiment()
    strict = dataclasses.replace(experiment.export, max_drop_int8=-200.0)
    experiment = dataclasses.replace(experiment, export=strict)
    with pytest.raises(failures.GateError, match=r"int8: mean_iou is .* points below"):
        export.run(experiment, run_dir=exported, precisions=["int8"])
    rows = json.loads((exported / "result.json").read_text())["rows"]
    gates = {row["name"]: row.get("gate") for row in rows}
    # The float file was not exported again; its row is still true.
    assert gates == {"Keras": None, "int8": "failed", "float32": "passed"}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"precisions": ("int9",)}, "precisions 'int9': want one of .*, int8"),
        ({"precisions": ()}, "precisions is empty"),
        ({"output": "argmax"}, "output 'argmax': want one of logits, scores"),
        ({"input_type": "int16"}, "input_type 'int16': want one of uint8"),
        ({"calibration_examples": 0}, "calibration_examples 0: want 1 or more"),
    ],
)
def test_a_setting_that_does_not_exist_is_named(change, line):
    with pytest.raises(ValueError, match=line):
        dataclasses.replace(small.experiment().export, **change)


def test_a_target_that_does_not_exist_is_named(run):
    with pytest.raises(failures.RequestError, match="export target 'gpx' is unknown"):
        export.run(small.experiment(), run_dir=run, target="gpx")


def test_a_misspelt_target_gets_a_hint(run):
    with pytest.raises(
        failures.RequestError, match=r"\(there is cpu, .*\); did you mean cpu"
    ):
        export.run(small.experiment(), run_dir=run, target="cpuu")


def test_a_run_without_the_checkpoint_is_refused(run):
    with pytest.raises(failures.RequestError, match=r"last.npz does not exist"):
        export.run(small.experiment(), run_dir=run, checkpoint="last")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OtherColors(small.Quarters):
    @property
    def class_names(self):
        return ("cyan", "magenta", "yellow")


def test_data_of_other_classes_than_the_run_is_refused(run):
    experiment = dataclasses.replace(small.experiment(), dataset=OtherColors())
    with pytest.raises(
        failures.RequestError, match=r"trained on 3 .* \(red.* 3 \(cyan"
    ):
        export.run(experiment, run_dir=run)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Torn(small.Quarters):
    def read(self, record):
        raise failures.DataError(f"picture {record}: torn; copy it again")


def test_an_error_in_the_data_stays_one_line():
    experiment = dataclasses.replace(small.experiment(), dataset=Torn())
    for read in (examples.calibration_images, examples.evaluation_batches):
        with pytest.raises(failures.DataError, match=r"^picture \d+: torn; copy it"):
            list(read(experiment))


def test_calibration_uses_each_training_image_at_most_once():
    assert len(examples.calibration_images(small.experiment())) == 12
