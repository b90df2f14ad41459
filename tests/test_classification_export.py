"""From a small classifier to its files: outputs, descriptions, parity, pictures."""

import json

import export_networks as networks
import numpy as np
import pytest
import small
from PIL import Image
from small_classifier import NAMES, SIZE, experiment, network_of

from official import export_spec, failures
from official.experiment import Experiment
from official.report import predictions
from tflite_export import (
    calibration,
    check,
    evaluate,
    examples,
    export,
    findings,
    flatbuffer,
    interpreter,
    parity,
    predict,
    probe,
)
from tflite_export.targets import base as targets_base


def files_of(chosen: Experiment, folder) -> dict:
    return export.write(chosen, network_of(chosen), folder=folder)


# What is converted, once for all tests: the output, and how the task differs.
VARIANTS = {
    "plain": ("logits", {}),
    "normed": ("scores", {"normalization": "imagenet", "center_share": 0.5}),
    "several": ("scores", {"multi_label": True}),
    "one": ("class_ids", {}),
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Gives the experiment of a variant and its files."""
    made = {}

    def get(name: str) -> tuple[Experiment, dict]:
        if name not in made:
            output, task = VARIANTS[name]
            chosen = experiment(task=task, output=output)
            made[name] = chosen, files_of(chosen, tmp_path_factory.mktemp(name))
        return made[name]

    return get


def verdicts_of(chosen: Experiment, files: dict) -> dict:
    results = parity.measure(
        chosen.task,
        network_of(chosen),
        files,
        spec=chosen.export,
        batches=examples.evaluation_batches(chosen),
        class_names=NAMES,
    )
    names = dict(zip(files, chosen.export.precisions, strict=True))
    metric = chosen.task.metric
    return parity.judge(results, names, metric=metric, spec=chosen.export)


@pytest.mark.parametrize("variant", VARIANTS)
def test_files_of_every_output_are_integer_and_pass_their_gate(exported, variant):
    chosen, files = exported(variant)
    output = chosen.export.output
    suffix = "" if output == "logits" else f" {output}"
    assert list(files) == [f"float32{suffix}", f"int8{suffix}"]
    for name, verdict in verdicts_of(chosen, files).items():
        assert verdict.problems == (), name
    int8 = flatbuffer.read(files[f"int8{suffix}"])
    assert not {t.dtype for t in int8.tensors} & set(flatbuffer.FLOATS)
    assert int8.histogram["MEAN"] == 1
    # Of one pixel, a convolution may become a dense layer.
    dense = int8.histogram["FULLY_CONNECTED"] + int8.histogram["CONV_2D"]
    assert dense == 3
    assert probe.run(files[f"int8{suffix}"]).partitions >= 1


@pytest.mark.parametrize(
    ("variant", "op"), [("normed", "SOFTMAX"), ("several", "LOGISTIC")]
)
def test_scores_of_an_int8_file_are_levels_of_a_256th(exported, variant, op):
    path = exported(variant)[1]["int8 scores"]
    file = flatbuffer.read(path)
    (scores,) = file.outputs.values()
    assert (scores.dtype, scores.shape) == ("UINT8", (1, 3))
    assert scores.scales == (1 / 256,)
    assert scores.zero_points == (0,)
    assert op in file.histogram
    found = interpreter.Runner(path)(np.full((1, *SIZE, 3), 90, np.float32))["scores"]
    assert found.min() >= 0
    if op == "SOFTMAX":
        assert found.sum() == pytest.approx(1, abs=3 / 256)


def test_the_norm_of_the_channels_stays_in_the_file_as_integers(exported):
    plain, normed = exported("plain")[1]["int8"], exported("normed")[1]["int8 scores"]
    image = flatbuffer.read(normed).inputs["images"]
    assert image.scales == pytest.approx([1 / 127.5], rel=1e-6)
    assert image.zero_points[0] in (127, 128)
    more = flatbuffer.read(normed).histogram
    assert (more["MUL"], more["ADD"]) == (1, 1)
    assert not {"MUL", "ADD"} & set(flatbuffer.read(plain).histogram)
    target = targets_base.find("cpu")
    check.require(flatbuffer.read(normed), precision="int8", target=target)


@pytest.mark.parametrize(
    ("precision", "spec", "name"),
    [
        ("int8", {}, "int8"),
        ("int8", {"output": "class_ids"}, "int8_class_ids"),
        ("int8", {"output": "class_ids", "output_type": "int8"}, "int8_class_ids"),
        ("int8", {"output_size": "input"}, "int8_input_size"),
        ("int8", {"input_type": "int8"}, "int8_int8_in"),
        ("int8", {"output_type": "int8"}, "int8_int8_out"),
        ("float32", {"output_type": "int8"}, "float32"),
        ("float32", {"input_type": "float32"}, "float32_float32_in"),
        ("int8", {"target": "edgetpu"}, "edgetpu_int8"),
    ],
)
def test_variants_do_not_take_each_others_names(precision, spec, name):
    assert "_".join(export._variant(export_spec.Export(**spec), precision)) == name


def test_one_class_of_several_labels_is_refused_before_conversion():
    chosen = experiment(task={"multi_label": True}, output="class_ids")
    with pytest.raises(failures.RequestError, match="one of 'logits', 'scores'; set"):
        findings.graph(chosen, network_of(chosen), "float32")


def test_a_form_of_detectors_is_refused_for_a_classifier():
    chosen = experiment(output="detections")
    with pytest.raises(failures.RequestError) as caught:
        findings.graph(chosen, network_of(chosen), "float32")
    assert str(caught.value) == (
        "export.output = 'detections': what a file of Classification can give here is "
        "one of 'logits', 'scores', 'class_ids'; set export.output = 'logits'"
    )


@pytest.fixture
def described(exported):
    return exported("normed")[1]["float32 scores"]


def test_the_description_says_what_an_app_must_know(described):
    content = json.loads(described.with_suffix(".json").read_text())
    assert content["task"] == "Classification"
    assert content["score_activation"] == "softmax"
    assert content["preprocessing"]["shown_share"] == 0.5
    assert "central window of the shape 32 : 32" in content["preprocessing"]["resize"]
    assert "aspect" not in content["preprocessing"]["resize"]
    assert "add up to 1" in content["postprocessing"]["scores"]
    assert "pixel" not in content["postprocessing"]["scores"]


def photograph(folder) -> np.ndarray:
    """Blue in its middle, red around it."""
    image = np.full((80, 160, 3), (200, 40, 40), np.uint8)
    image[15:65, 55:105] = (40, 40, 200)
    Image.fromarray(image).save(folder / "photo.png")
    return image


def test_prediction_sees_what_the_description_says(described, tmp_path, capsys):
    photograph(tmp_path)
    predict.run(described, [tmp_path / "photo.png"], out=tmp_path / "out")
    path, first, *others = capsys.readouterr().out.splitlines()
    assert path == str(tmp_path / "out" / "photo.png")
    assert first.split()[1:] == ["%", "blue"]  # the middle half alone is seen
    assert len(others) == 2
    with Image.open(tmp_path / "out" / "photo.png") as picture:
        assert picture.width > 600


def test_without_a_description_the_whole_photograph_is_seen_and_names_are_in_the_file(
    described, tmp_path, capsys
):
    photograph(tmp_path)
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(described.read_bytes())
    predict.run(bare, [tmp_path / "photo.png"], out=tmp_path / "out")
    assert capsys.readouterr().out.splitlines()[1].split()[1:] == ["%", "red"]


@pytest.mark.parametrize("variant", ["normed", "several"])
def test_a_file_of_others_tells_by_its_last_op_that_it_gives_scores(
    exported, variant, tmp_path
):
    def edit(model):
        model.signatureDefs = []

    for name, path in exported(variant)[1].items():
        bare = tmp_path / f"{name}.tflite"
        bare.write_bytes(networks.edited(path.read_bytes(), edit))
        runner = interpreter.Runner(bare)
        assert list(runner.outputs) == ["scores"], name


def test_evaluation_of_a_file_prints_the_metrics_of_the_task(exported, capsys):
    chosen, files = exported("plain")
    capsys.readouterr()
    evaluate.run(files["int8"], chosen, limit=9)
    content = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert content["metric"] == "top1"
    assert content["metrics"]["top1"] == 1.0
    assert content["metrics"]["accuracy/red"] == 1.0
    assert content["examples"] == 9


def test_a_file_of_scores_for_other_classes_is_refused(described):
    with pytest.raises(failures.RequestError, match="tells 3 classes apart"):
        evaluate._require_classes(interpreter.Runner(described), 5)


def test_pictures_are_drawn_for_classifiers_and_segmenters(tmp_path):
    chosen = experiment()
    predictor = network_of(chosen).predict_on_batch
    drawn = predictions.draw(
        chosen, {"a": predictor, "b": predictor}, tmp_path, count=3
    )
    assert [path.name for path in drawn] == ["0.png", "1.png", "2.png"]
    segments = small.experiment()
    network = segments.task.build(num_classes=3, training=False)
    predictors = {"a": network.predict_on_batch}
    assert len(predictions.draw(segments, predictors, tmp_path / "x", count=1)) == 1


def test_calibration_sees_the_window_that_evaluation_sees():
    chosen = experiment(task={"center_share": 0.5})
    images = examples.calibration_images(chosen)
    assert images.shape == (12, *SIZE, 3)
    assert images.dtype == calibration.to_uint8(images.astype(np.float32)).dtype
