"""Which predictions are the best and the worst, and how they are drawn."""

import dataclasses

import numpy as np
import pytest
import small
import small_classifier

from official.metrics import detections, mean_iou
from official.report import extremes
from official.report.panels import base as panels


class Given:
    """A task whose figures are given."""

    def quality(self, predictions, targets):
        del targets
        return predictions["quality"]


def ranking_of(*values):
    ranking = extremes.Ranking(Given())
    for start in range(0, len(values), 2):
        batch = {"quality": np.array(values[start : start + 2])}
        ranking.watch(np.zeros((2, 1, 1, 3)), {}, batch)
    return ranking


def test_the_most_extreme_come_first_and_no_image_is_both():
    ranking = ranking_of(0.5, 0.1, np.nan, 0.9, 0.3, 0.7)
    assert ranking.places(each=2) == {"worst": [1, 4], "best": [3, 5]}
    assert ranking_of(0.5, 0.1, 0.3).places() == {"worst": [1], "best": [0, 2]}
    assert ranking_of(np.nan).places() == {"worst": [], "best": []}


def test_an_answer_counts_by_its_confidence_and_a_wrong_one_against():
    task = small_classifier.experiment().task
    scores = np.array([[0.9, 0.1, 0], [0.8, 0.2, 0], [1.0, 0, 0]])
    said = {"scores": scores, "class_ids": scores.argmax(axis=1)}
    found = task.quality(said, {"label": np.array([0, 1, -1])})
    np.testing.assert_allclose(found, [0.9, -0.8, np.nan])
    assert task.quality({"class_ids": np.array([0])}, {"label": np.array([0])}) is None


def test_with_several_labels_an_image_of_which_nothing_is_known_is_left_out():
    task = dataclasses.replace(small_classifier.experiment().task, multi_label=True)
    said = {"scores": np.array([[0.9, 0.2], [0.6, 0.2], [0.9, 0.9]])}
    labels = np.array([[1, 0], [1, -1], [-1, -1]])
    found = task.quality(said, {"labels": labels})
    np.testing.assert_allclose(found, [0.3, 0.1, np.nan])


def test_the_mean_iou_of_an_image_is_over_the_classes_that_it_has():
    truth = np.array([[0, 0, 1, 255]])
    # Class 0: 1 of 3 pixels; class 1: 0 of 2; 255 does not count, nor a class 2.
    assert mean_iou.of_image(truth, np.array([[0, 1, 0, 2]])) == pytest.approx(1 / 6)
    assert mean_iou.of_image(truth, np.array([[0, 0, 1, 0]])) == 1
    assert np.isnan(mean_iou.of_image(np.array([[255]]), np.array([[0]])))
    task = small.experiment().task
    both = np.stack([truth, np.zeros_like(truth)])
    np.testing.assert_allclose(
        task.quality({"class_ids": both}, {"semantic": both}), [1, 1]
    )


def image_of(boxes, classes, found, found_classes):
    def sides(values):
        return np.array(values, np.float64).reshape(-1, 4)

    return detections.Image(
        name="a",
        size=(10, 10),
        boxes=sides(boxes),
        classes=np.array(classes, np.int64),
        kinds=np.zeros(len(boxes), np.int64),
        areas=np.ones(len(boxes)),
        found=sides(found),
        found_classes=np.array(found_classes, np.int64),
        scores=np.ones(len(found)),
    )


def test_f1_is_worked_by_hand():
    one, two = (0, 0, 4, 4), (5, 5, 9, 9)
    # One of two objects is found, and one box is on nothing: 2 * 1 / (2 + 2).
    image = image_of([one, two], [0, 1], [one, (0, 5, 4, 9)], [0, 0])
    assert detections.f1(image, min_score=0.5, min_iou=0.5) == 0.5
    # Another class in the right place is not right: 2 * 0 / (1 + 1).
    wrong = image_of([one], [0], [one], [1])
    assert detections.f1(wrong, min_score=0.5, min_iou=0.5) == 0
    nothing = image_of([], [], [], [])
    assert detections.f1(nothing, min_score=0.5, min_iou=0.5) == 1


def test_pictures_and_their_figures_replace_those_of_before(tmp_path):
    experiment = small_classifier.experiment()
    folder = tmp_path / "predictions"
    folder.mkdir()
    (folder / "worst_7.png").write_bytes(b"of before")

    def predict(images):
        return {"logits": np.tile([1.0, 0.0, 0.0], (len(images), 1))}

    ranking = extremes.Ranking(experiment.task)
    ranking._qualities = [np.array([0.9, -0.8, 0.1, 0.5])]
    extremes.draw(experiment, {"Keras": predict}, folder, ranking=ranking)
    names = sorted(path.stem for path in folder.glob("*.png"))
    assert names == ["best_0", "best_1", "worst_0", "worst_1"]
    found = extremes.read(folder)
    assert found["model"] == "Keras"
    assert found["by"] == "confidence of the answer, below 0 if it is wrong"
    assert found["values"]["worst_0"] == -0.8


def test_two_predictors_of_boxes_stand_below_the_truth_side_by_side():
    panel = panels.find("detection")
    image = np.full((32, 64, 3), 200, np.uint8)
    nothing = {"boxes_yxyx": np.zeros((0, 4)), "class_ids": np.zeros(0, int)}

    def drawn(*captions):
        found = dict.fromkeys(captions, nothing)
        picture = panel.draw(image, nothing, found, class_names=(), palette=())
        return np.asarray(picture)

    two = drawn("Keras", "int8")
    height, width = two.shape[0] // 2, two.shape[1] // 2
    assert (two[:height, width + 6 :] == 255).all()
    for left in (slice(12, width - 12), slice(width + 12, -12)):
        assert (two[height + 40 : -20, left] == 200).all()
    assert drawn("Keras").shape[0] == height
    assert drawn("Keras", "float16", "int8").shape == two.shape
