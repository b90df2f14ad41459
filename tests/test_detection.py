"""The task of detection: from examples to targets, from outputs to detections."""

import dataclasses
import json

import numpy as np
import pytest
import squares
import tensorflow as tf

from official import failures, runner
from official.backbones import mobilenet_v2
from official.data import mosaic, pipeline
from official.ops import boxes as boxes_lib

TASK = squares.task()
SEED = tf.constant([1, 2])


def example(**changes):
    found = squares.Squares().read(0) | changes
    return {name: tf.constant(value) for name, value in found.items()}


def test_training_targets_are_boxes_in_shares_padded_to_a_static_number():
    task = dataclasses.replace(TASK, flip=False)
    image, targets = task.preprocess(example(), training=True, seed=SEED)
    count = len(example()["boxes"])
    assert image.shape == (32, 32, 3)
    np.testing.assert_allclose(
        targets["boxes"][:count], example()["boxes"] / 32, atol=1e-6
    )
    assert targets["box_classes"][count:].numpy().tolist() == [-1] * (5 - count)
    assert not targets["boxes"][count:].numpy().any()


def test_crowds_and_difficult_objects_become_regions_after_the_objects():
    boxes = np.float32([[0, 0, 8, 8], [8, 8, 16, 16], [16, 16, 32, 32]])
    given = example(
        boxes=boxes,
        box_classes=np.int32([1, 0, 1]),
        box_kinds=np.int32([1, 0, 2]),
        box_areas=np.float32([1, 1, 1]),
    )
    task = dataclasses.replace(TASK, flip=False, max_boxes=2)
    _, targets = task.preprocess(given, training=True, seed=SEED)
    assert targets["box_classes"].numpy().tolist() == [0, -2]
    np.testing.assert_allclose(targets["boxes"] * 32, boxes[[1, 0]], atol=1e-5)


def test_evaluation_targets_are_the_examples_with_their_number_and_size():
    _, targets = TASK.preprocess(example(), training=False)
    assert targets["size"].numpy().tolist() == [32, 32]
    assert targets["box_count"] == len(targets["boxes"]) == len(example()["boxes"])
    assert targets["image_id"] == b"picture 0"


def test_examples_without_boxes_are_refused():
    with pytest.raises(failures.RequestError, match="have no boxes: choose a data set"):
        TASK.preprocess({"image": tf.zeros((4, 4, 3))}, training=False)


def test_a_batch_is_matched_and_counted():
    batches = pipeline.training_batches(
        squares.Squares(),
        pipeline.Input(split="train", batch_size=4),
        TASK.preprocess,
        mix=dataclasses.replace(TASK, mosaic=mosaic.Mosaic(probability=0.0)).mix,
        seed=0,
    )
    _, targets = next(iter(batches))
    found = TASK.assign(targets, {}, mean=lambda value: value)
    classes = np.asarray(found["anchor_classes"])
    objects = np.asarray(targets["box_classes"]) >= 0
    # A square lies on several anchors, and each has one at least.
    assert (classes > 0).sum() >= objects.sum()
    assert set(np.unique(classes)) <= {0, 1, 2}
    np.testing.assert_allclose(found["positives"], (classes > 0).sum() / 4, rtol=1e-6)
    decoded = boxes_lib.decode(found["anchor_boxes"], TASK.anchors(training=True))
    for row in range(4):
        truths = np.asarray(targets["boxes"])[row][objects[row]]
        for box in np.asarray(decoded)[row][classes[row] > 0]:
            assert np.abs(truths - box).max(axis=1).min() < 1e-4


def test_a_batch_without_objects_counts_as_if_each_image_had_one():
    targets = {
        "boxes": np.zeros((2, 5, 4), np.float32),
        "box_classes": np.full((2, 5), -1),
    }
    found = TASK.assign(targets, {}, mean=lambda value: value)
    np.testing.assert_allclose(found["positives"], [1.0, 1.0])
    losses = TASK.losses()
    outputs = {
        "logits": np.zeros((2, 64, 2), np.float32),
        "box_encodings": np.zeros((2, 64, 4), np.float32),
    }
    assert all(np.isfinite(loss(found, outputs)) for loss in losses.values())


def outputs_of(truths, scores, *, classes=2):
    """What a network answers that has seen the truth: `(anchor, class, score)`."""
    logits = np.full((1, 64, classes), -10.0, np.float32)
    for (anchor, class_id), score in zip(truths, scores, strict=True):
        logits[0, anchor, class_id] = np.log(score / (1 - score))
    return {"logits": logits, "box_encodings": np.zeros((1, 64, 4), np.float32)}


def test_all_forms_of_outputs_are_the_same_detections():
    outputs = outputs_of([(0, 0), (36, 1), (1, 0)], [0.9, 0.7, 0.4])
    scores = 1 / (1 + np.exp(-outputs["logits"]))
    anchors = TASK.anchors()[None]
    raw = {"box_encodings": outputs["box_encodings"], "scores": scores}
    decoded = {"boxes_yxyx": anchors, "scores": scores}
    found = [TASK.postprocess(form, {}) for form in (outputs, raw, decoded)]
    for other in found[1:]:
        for name, values in found[0].items():
            np.testing.assert_allclose(other[name], values, atol=1e-6, err_msg=name)
    assert found[0]["scores"][0, :3] == pytest.approx([0.9, 0.7, 0.4], abs=1e-5)
    assert found[0]["class_ids"][0, :3].tolist() == [0, 1, 0]
    # The first anchor reaches out of the image: it is cut.
    assert found[0]["boxes_yxyx"][0, 0].min() == 0


def test_softmax_has_the_background_first():
    task = dataclasses.replace(TASK, scores="softmax", class_loss="hard_negatives")
    logits = np.zeros((1, 64, 3), np.float32)
    logits[..., 0] = 20
    logits[0, 5] = [0, 0, 20]
    encodings = np.zeros((1, 64, 4), np.float32)
    found = task.postprocess({"logits": logits, "box_encodings": encodings}, {})
    assert found["count"] == [1]
    assert found["class_ids"][0, 0] == 1
    network = task.build(num_classes=2, training=False)
    assert network.output["logits"].shape == (None, 64, 3)


@pytest.mark.parametrize(
    ("theirs", "wanted"),
    [
        (([(0, 0), (36, 1)], [0.9, 0.7]), (4, 4)),  # the same
        (([(0, 0), (36, 1)], [0.9, 0.4]), (3, 3)),  # seen, if less surely
        (([(0, 0), (36, 0)], [0.9, 0.7]), (2, 4)),  # another class
        (([(0, 0)], [0.9]), (2, 3)),  # one is missed
    ],
)
def test_agreement_asks_each_side_for_what_the_other_is_sure_of(theirs, wanted):
    ours = TASK.postprocess(outputs_of([(0, 0), (36, 1)], [0.9, 0.7]), {})
    other = TASK.postprocess(outputs_of(*theirs), {})
    assert TASK.agreement(ours, other, {}) == wanted


def test_two_that_see_nothing_agree():
    nothing = TASK.postprocess(outputs_of([], []), {})
    assert TASK.agreement(nothing, nothing, {}) == (1, 1)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"scores": "tanh"}, "scores 'tanh': want one of sigmoid, softmax"),
        ({"scores": "softmax"}, "class_loss 'focal' judges each class for itself"),
        ({"judged_by": "map"}, "judged_by 'map': want one of ap, ap50"),
        ({"zoom_out": 0.5}, "zoom_out 0.5: want 1 or more"),
        ({"scale_range": (0.0, 1.0)}, "want 0 < low <= high"),
        ({"max_boxes": 0}, "max_boxes 0: want 1 or more"),
    ],
)
def test_settings_that_cannot_be_are_refused(setting, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        dataclasses.replace(TASK, **setting)


def test_a_run_finds_the_squares_and_says_so(tmp_path):
    """Trained, evaluated, drawn, and its detections written."""
    runner.run(
        squares.experiment(),
        name="squares",
        run_dir=tmp_path,
        overwrite=False,
        evaluate_only=False,
        dry_run=False,
    )
    result = json.loads((tmp_path / "result.json").read_text())
    metrics = result["rows"][0]["metrics"]
    assert metrics["ap50"] > 0.8 > result["constant"]
    assert {"ap", "ar100", "voc_ap", "ap50/red", "ap50/green"} <= set(metrics)
    rows = json.loads((tmp_path / "evaluation_predictions.json").read_text())
    assert {row["image_id"] for row in rows} == {f"picture {n}" for n in range(12)}
    curves = json.loads((tmp_path / "precision_recall.json").read_text())
    assert np.mean(curves["red"]) == pytest.approx(metrics["ap50/red"], abs=1e-3)
    page = (tmp_path / "report.html").read_text()
    assert "Precision and recall" in page
    names = {path.name for path in (tmp_path / "predictions").glob("*.png")}
    assert {"0.png", "training.png"} <= names
    header = (tmp_path / "confusion.csv").read_text().splitlines()[0]
    assert header.endswith("red,green,nothing")


def test_a_backbone_whose_strides_are_not_as_named_is_refused():
    task = dataclasses.replace(
        TASK, backbone=mobilenet_v2.MobileNetV2(width_multiplier=0.1, stem_stride=1)
    )
    with pytest.raises(ValueError, match=r"answers for 256 anchors, .* have 64"):
        task.build(num_classes=2, training=False)
