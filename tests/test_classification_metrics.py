"""Accuracies and average precision against values worked by hand."""

import numpy as np
import pytest

from official.metrics import classification


def single(classes: int) -> classification.ClassificationMetrics:
    names = tuple(f"class {number}" for number in range(classes))
    return classification.ClassificationMetrics(class_names=names)


def several(classes: int) -> classification.MultiLabelMetrics:
    names = tuple(f"class {number}" for number in range(classes))
    return classification.MultiLabelMetrics(class_names=names)


def scored(scores) -> dict[str, np.ndarray]:
    scores = np.array(scores, np.float32)
    return {"scores": scores, "class_ids": scores.argmax(axis=-1)}


def test_accuracies_worked_by_hand():
    # Class 0: 2 of 3 found; class 1: 0 of 1; class 2 does not occur; one unlabelled.
    metric = single(3)
    metric.update_state({"label": [0, 0]}, {"class_ids": [0, 2]})
    metric.update_state({"label": [0, 1, -1]}, {"class_ids": [0, 2, 1]})
    assert metric.result() == {
        "top1": pytest.approx(2 / 4),
        "mean_accuracy": pytest.approx((2 / 3 + 0) / 2),
        "accuracy/class 0": pytest.approx(2 / 3),
        "accuracy/class 1": 0,
    }
    np.testing.assert_array_equal(metric.confusion, [[2, 0, 1], [0, 0, 1], [0, 0, 0]])
    assert metric.constant_top1() == 3 / 4


def test_the_right_class_is_looked_for_among_the_five_best():
    metric = single(7)
    falling = [7, 6, 5, 4, 3, 2, 1]
    metric.update_state({"label": [0, 4, 5, 6]}, scored([falling] * 4))
    assert metric.result()["top5"] == 2 / 4
    assert metric.result()["top1"] == 1 / 4


def test_equal_scores_count_against_the_right_class_unless_it_was_chosen():
    metric = single(7)
    metric.update_state({"label": [0, 1]}, scored([[1.0] * 7] * 2))
    assert metric.result()["top5"] == metric.result()["top1"] == 1 / 2


def test_five_classes_have_no_top5():
    metric = single(5)
    metric.update_state({"label": [0]}, scored([[1, 0, 0, 0, 0]]))
    assert "top5" not in metric.result()


def test_predictions_without_scores_have_no_top5():
    metric = single(6)
    metric.update_state({"label": [0]}, {"class_ids": [0]})
    assert "top5" not in metric.result()
    metric.reset_state()
    metric.update_state({"label": [0]}, scored(np.eye(6)[:1]))
    assert metric.result()["top5"] == 1


def test_classes_of_one_name_keep_their_own_accuracies():
    names = ("crane", "heron", "crane")  # ImageNet's 134 and 517
    metric = classification.ClassificationMetrics(class_names=names)
    metric.update_state({"label": [0, 1, 2]}, {"class_ids": [0, 1, 0]})
    values = metric.result()
    assert values["accuracy/crane (0)"] == 1
    assert values["accuracy/crane (2)"] == 0
    assert values["accuracy/heron"] == 1


@pytest.mark.parametrize(
    ("label", "class_id", "what"),
    [(3, 0, "truth"), (-2, 0, "truth"), (0, 3, "prediction")],
)
def test_ids_outside_the_classes_are_refused(label, class_id, what):
    with pytest.raises(ValueError, match=rf"{what} run from .* outside 0\.\.2"):
        single(3).update_state({"label": [label]}, {"class_ids": [class_id]})


def test_reset_forgets_everything():
    metric = single(2)
    metric.update_state({"label": [0]}, {"class_ids": [0]})
    metric.reset_state()
    assert metric.result() == {"top1": 0, "mean_accuracy": 0}
    labels = several(2)
    labels.update_state({"labels": [[1, 0]]}, scored([[0.5, 0.5]]))
    labels.reset_state()
    assert labels.result() == {"mean_average_precision": 0}
    assert labels.constant_mean_average_precision() == 0


def test_average_precision_worked_by_hand():
    # The example of scikit-learn's documentation, 0.8333: thresholds 0.8 (1 of 1 found
    # is right, recall 1/2), 0.4 (1 of 2, 1/2), 0.35 (2 of 3, 1).
    truth = np.array([False, False, True, True])
    scores = np.array([0.1, 0.4, 0.35, 0.8])
    found = classification.average_precision(truth, scores)
    assert found == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)


def test_equal_scores_are_one_threshold():
    # 0.9: 1 of 1, recall 1/3. 0.5, three images: 3 of 4, recall 1. In any order.
    truth = np.array([True, True, False, True, False])
    scores = np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    expected = 1 / 3 * 1 + 2 / 3 * 3 / 4
    for order in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):
        found = classification.average_precision(truth[order], scores[order])
        assert found == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_is_that_of_scikit_learn(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(seed)
    truth = random.random(200) < 0.3
    scores = np.round(random.random(200) + 0.3 * truth, 1 + seed)
    expected = metrics.average_precision_score(truth, scores)
    found = classification.average_precision(truth, scores)
    assert found == pytest.approx(expected, rel=1e-9)


def test_the_mean_is_over_the_classes_that_occur():
    metric = several(3)
    metric.update_state({"labels": [[1, 0, 0]]}, scored([[0.9, 0.2, 0.1]]))
    metric.update_state({"labels": [[0, 1, 0]]}, scored([[0.1, 0.1, 0.1]]))
    assert metric.result() == {
        "mean_average_precision": pytest.approx((1 + 1 / 2) / 2),
        "average_precision/class 0": 1,
        "average_precision/class 1": 1 / 2,
    }
    assert metric.constant_mean_average_precision() == 1 / 2


def test_the_constant_is_the_average_precision_of_equal_scores():
    random = np.random.default_rng(0)
    truth = (random.random((50, 4)) < 0.3).astype(np.float32)
    metric = several(4)
    metric.update_state({"labels": truth}, scored(np.full((50, 4), 0.7)))
    constant = metric.constant_mean_average_precision()
    assert metric.result()["mean_average_precision"] == pytest.approx(constant)


def test_labels_that_are_not_known_do_not_count():
    metric = several(2)
    metric.update_state(
        {"labels": [[1, -1], [0, 1], [-1, 0]]},
        scored([[0.5, 0.9], [0.1, 0.5], [0.9, 0.1]]),
    )
    assert metric.result()["mean_average_precision"] == 1


def test_another_number_of_classes_is_refused():
    with pytest.raises(ValueError, match=r"scores have shape \(1, 3\), want \[B, 2\]"):
        several(2).update_state({"labels": [[1, 0]]}, scored([[0.1, 0.2, 0.3]]))
