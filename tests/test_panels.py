"""Drawn predictions of a classifier, and who draws what."""

import dataclasses

import numpy as np
import pytest
import small

from official.report import confusion, predictions
from official.report.panels import base as panels

CLASSIFICATION = panels.find("classification")
NAMES = ("daisy", "rose", "tulip", "lily", "a very long name of a flower " * 5)
PHOTO = np.full((60, 90, 3), 200, np.uint8)
GREEN, RED = (0x1A, 0x7F, 0x37), (0xCF, 0x22, 0x2E)


def said(*scores):
    scores = np.array(scores, np.float32)
    return {"scores": scores, "class_ids": scores.argmax()}


def drawn(truth, *answers):
    shown = {f"predictor {number}": answer for number, answer in enumerate(answers)}
    picture = CLASSIFICATION.draw(
        PHOTO, truth, shown, class_names=NAMES, palette=((0, 0, 0),) * 5
    )
    return np.asarray(picture)


def count(picture, color) -> int:
    return int((picture == color).all(axis=-1).sum())


def test_a_right_answer_is_green_and_a_wrong_one_red():
    truth = CLASSIFICATION.truth({"label": np.int32(1)})
    right = drawn(truth, said(0.1, 0.9, 0, 0, 0))
    wrong = drawn(truth, said(0.9, 0.1, 0, 0, 0))
    assert count(right, GREEN) > 90 * 13
    assert count(right, RED) == 0
    assert count(wrong, RED) > 90 * 13
    # The right class, in second place, is a short green bar.
    assert 10 * 13 <= count(wrong, GREEN) < count(right, GREEN)


def test_the_length_of_a_bar_is_the_score():
    lengths = [
        count(drawn({"class_ids": np.asarray(0)}, said(share, 0, 0, 0, 0)), GREEN)
        for share in (0.2, 0.4, 0.8)
    ]
    assert lengths[1] - lengths[0] == 20 * 13
    assert lengths[2] - lengths[1] == 40 * 13


def test_an_image_without_a_label_has_neither_color():
    assert CLASSIFICATION.truth({"label": np.int32(-1)}) == {}
    picture = drawn({}, said(0.2, 0.8, 0, 0, 0))
    assert (count(picture, GREEN), count(picture, RED)) == (0, 0)


def test_of_several_labels_each_is_right_or_wrong():
    truth = CLASSIFICATION.truth({"labels": np.array([1, 0, 1, 0, -1], np.float32)})
    right = drawn(truth, said(0.9, 0.1, 0.8, 0, 0.9))  # the last is not known
    wrong = drawn(truth, said(0.9, 0.7, 0.8, 0, 0))
    assert count(right, RED) == 0
    assert count(wrong, RED) > 70 * 13
    missed = drawn(truth, said(0.9, 0.3, 0.2, 0, 0))
    assert 0 < count(missed, RED) < 30 * 13  # the word alone


def test_class_ids_without_scores_are_drawn_as_names():
    answer = CLASSIFICATION.decide(
        {"class_ids": np.array([7])}, (60, 90), scores="softmax"
    )
    assert CLASSIFICATION.lines(answer, NAMES) == ("class 7",)
    drawn({"class_ids": np.asarray(1)}, answer)


@pytest.mark.parametrize("name", ["softmax", "sigmoid"])
def test_scores_are_made_of_logits(name):
    logits = np.array([[0.0, 2.0, -1.0]])
    answer = CLASSIFICATION.decide({"logits": logits}, (60, 90), scores=name)
    powers = np.exp(logits[0])
    expected = powers / powers.sum() if name == "softmax" else powers / (1 + powers)
    np.testing.assert_allclose(answer["scores"], expected, rtol=1e-6)
    (line, *_) = CLASSIFICATION.lines(answer, NAMES)
    assert line == f"{100 * expected[1]:5.1f} %  rose"


def mistakes_of(ids, scores, **targets):
    found = CLASSIFICATION.mistakes()
    images = np.zeros((len(scores), 8, 8, 3), np.float32)
    scores = np.array(scores, np.float32)
    batch = {"scores": scores, "class_ids": scores.argmax(axis=1)}
    targets = targets or {"label": np.array(ids)}
    found.watch(images, targets, batch)
    return found


def test_the_sheet_holds_the_most_confident_mistakes_first():
    found = mistakes_of(
        [0, 1, 2, -1],
        [[0.1, 0.9, 0], [0.4, 0.6, 0], [0.95, 0, 0.05], [1, 0, 0]],
    )
    kept = sorted(found._worst, reverse=True)
    assert [(one.class_id, one.true_id) for one in kept] == [(0, 2), (1, 0)]
    assert [one.confidence for one in kept] == pytest.approx([0.95, 0.9])
    assert (
        found.sheet(NAMES).width < mistakes_of([1] * 9, [[1, 0]] * 9).sheet(NAMES).width
    )


def test_the_sheet_is_bounded_and_keeps_the_worst():
    scores = [[0.5 + number / 200, 0.5 - number / 200] for number in range(60)]
    found = mistakes_of([1] * 60, scores)
    assert len(found._worst) == 24
    assert min(one.confidence for one in found._worst) == pytest.approx(0.5 + 36 / 200)


def test_with_several_labels_a_mistake_is_a_class_on_the_wrong_side():
    labels = np.array([[1, 0, -1], [0, 1, 0], [0, 0, 0]], np.float32)
    scores = [[0.1, 0.2, 1.0], [0.1, 0.9, 0.3], [0.2, 0.8, 0.1]]
    found = mistakes_of(None, scores, labels=labels)
    kept = sorted(found._worst, reverse=True)
    assert [(one.said, one.class_id) for one in kept] == [("missed", 0), ("said", 1)]


def test_without_mistakes_there_is_no_sheet(tmp_path):
    found = mistakes_of([0], [[1.0, 0.0]])
    (tmp_path / "mistakes.png").write_bytes(b"of an earlier evaluation")
    predictions.write_mistakes(found, tmp_path, class_names=NAMES)
    assert not (tmp_path / "mistakes.png").exists()


def test_every_panel_is_found_by_its_module():
    assert panels.names() == (
        "classification",
        "detection",
        "panoptic",
        "segmentation",
    )
    for name in panels.names():
        assert type(panels.find(name)).__name__.lower() == name.replace("_", "")


def test_a_task_is_drawn_by_the_panel_of_its_module_or_its_base():
    task = small.experiment().task
    assert panels.of_task(task) is panels.find("segmentation")

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Mine(type(task)):
        pass

    mine = Mine(**{f.name: getattr(task, f.name) for f in dataclasses.fields(task)})
    assert panels.of_task(mine) is panels.find("segmentation")


@pytest.mark.parametrize(
    ("outputs", "name"),
    [
        ({"logits": (1, 5)}, "classification"),
        ({"class_ids": (1,)}, "classification"),
        ({"scores": (1, 30, 40, 5)}, "segmentation"),
        ({"class_ids": (1, 30, 40)}, "segmentation"),
    ],
)
def test_the_form_of_the_output_tells_what_a_file_does(outputs, name):
    assert panels.of_outputs(outputs) is panels.find(name)
    assert panels.of_outputs(outputs, task="SomethingElse") is panels.find(name)


@pytest.mark.parametrize("outputs", [{"x": (1, 2, 3, 4, 5)}, {"x": (2,), "y": (1, 2)}])
def test_outputs_that_nobody_draws_have_no_panel(outputs):
    assert panels.of_outputs(outputs) is None


COUNTS = np.array([[8, 2, 0], [0, 5, 0], [9, 0, 1]])


def test_the_most_frequent_confusions_come_first():
    first, second = confusion.pairs(COUNTS, NAMES[:3])
    assert first == confusion.Pair(
        truth="tulip", prediction="daisy", count=9, share=0.9
    )
    assert (second.truth, second.prediction, second.share) == ("daisy", "rose", 0.2)
    assert confusion.pairs(COUNTS, NAMES[:3], most=1) == [first]


def test_the_counts_come_back_from_the_run_folder(tmp_path):
    names = ['a "b", c', "b", "c"]
    confusion.write(tmp_path, COUNTS, names)
    counts, read = confusion.read(tmp_path)
    assert read == names
    np.testing.assert_array_equal(counts, COUNTS)
    confusion.write(tmp_path, None, names)  # a task that has none
    assert not list(tmp_path.iterdir())
    assert confusion.read(tmp_path) is None


@pytest.mark.parametrize("classes", [2, 30, 300])
def test_a_matrix_of_any_size_is_drawn(classes):
    picture = confusion.png(np.eye(classes, dtype=int) * 7, ["a name"] * classes)
    assert picture.startswith(b"\x89PNG")


def test_large_counts_are_written_short():
    numbers = (7, 999, 1234, 56_789, 9_800_000, 123_456_789, 2_000_000_000)
    assert [confusion.brief(number) for number in numbers] == [
        "7",
        "999",
        "1.2k",
        "57k",
        "9.8M",
        "123M",
        "2.0G",
    ]
