"""The metric against hand-worked values and against cityscapesscripts."""

import numpy as np
import pytest

from official.metrics import mean_iou


def metric(classes: int) -> mean_iou.SegmentationMetrics:
    names = tuple(f"class {number}" for number in range(classes))
    return mean_iou.SegmentationMetrics(class_names=names)


def test_values_worked_by_hand():
    # Class 0: 2 hits of 3 in truth, 3 predicted -> 2 / 4. Class 1: 1 hit, truth 2,
    # predicted 1 -> 1 / 2. Class 2 is predicted once and never true -> 0 / 1.
    truth = np.array([[[0, 0, 0, 1, 1, 255]]])
    guess = np.array([[[0, 0, 2, 1, 0, 1]]])
    counted = metric(4)
    counted.update_state({"semantic": truth}, {"class_ids": guess})
    values = counted.result()
    assert values["iou/class 0"] == pytest.approx(2 / 4)
    assert values["iou/class 1"] == pytest.approx(1 / 2)
    assert values["iou/class 2"] == 0
    assert "iou/class 3" not in values
    assert values["mean_iou"] == pytest.approx((2 / 4 + 1 / 2) / 2)
    assert values["mean_iou_cityscapes"] == pytest.approx((2 / 4 + 1 / 2 + 0) / 3)
    assert values["pixel_accuracy"] == pytest.approx(3 / 5)
    assert values["mean_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    # All pixels class 0: 3 of 5 right, and class 1, present, has 0.
    assert counted.constant_mean_iou() == pytest.approx(3 / 5 / 2)


def test_reset_forgets_everything():
    counted = metric(2)
    counted.update_state(
        {"semantic": np.zeros((1, 2, 2), int)}, {"class_ids": np.zeros((1, 2, 2), int)}
    )
    counted.reset_state()
    assert counted.result()["pixel_accuracy"] == 0
    assert not counted.confusion.any()


def test_an_id_outside_the_classes_is_refused():
    wrong = {"class_ids": np.full((1, 1, 1), 2)}
    with pytest.raises(ValueError, match=r"prediction run from 2 to 2, outside 0\.\.1"):
        metric(2).update_state({"semantic": np.zeros((1, 1, 1), int)}, wrong)


def test_more_pixels_than_a_float32_can_count():
    counted = metric(2)
    counted.confusion[0, 0] = 2**24
    one = {"semantic": np.zeros((1, 1, 1), int)}
    counted.update_state(one, {"class_ids": np.zeros((1, 1, 1), int)})
    assert counted.confusion[0, 0] == 2**24 + 1


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_cityscapesscripts_on_the_same_maps(seed):
    evaluation = pytest.importorskip(
        "cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling"
    )
    labels = pytest.importorskip("cityscapesscripts.helpers.labels")
    random = np.random.default_rng(seed)
    # Truth has neither class 5 nor 7; the prediction has 7 and not 3.
    truth = random.choice([0, 1, 2, 3, 4, 6, 255], (2, 40, 60))
    guess = np.where(
        random.random(truth.shape) < 0.6, truth, random.integers(0, 9, truth.shape)
    )
    guess[(guess == 3) | (guess == 255)] = 0
    ours = metric(19)
    ours.update_state({"semantic": truth}, {"class_ids": guess})

    to_label = np.zeros(256, np.uint8)
    for label in labels.labels:
        if 0 <= label.trainId < 19:
            to_label[label.trainId] = label.id
    args = evaluation.args
    args.evalLabels = [label.id for label in labels.labels if label.id >= 0]
    confusion = np.zeros((max(args.evalLabels) + 1,) * 2, np.int64)
    np.add.at(confusion, (to_label[truth].ravel(), to_label[guess].ravel()), 1)
    theirs = {
        label.name: evaluation.getIouScoreForLabel(label.id, confusion, args)
        for label in labels.labels
        if 0 <= label.trainId < 19
    }
    values = ours.result()
    for label in labels.labels:
        if 0 <= label.trainId < 19:
            expected = theirs[label.name]
            if np.isnan(expected):
                assert f"iou/class {label.trainId}" not in values
            else:
                assert values[f"iou/class {label.trainId}"] == pytest.approx(expected)
    mean = evaluation.getScoreAverage(theirs, args)
    assert values["mean_iou_cityscapes"] == pytest.approx(mean)
