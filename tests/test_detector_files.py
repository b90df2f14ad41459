"""Files of detectors that we did not make, and forms that leave the choice to an app."""

import json

import numpy as np
import pytest

from official.report.panels import base as panels
from official.tasks import detector
from tflite_export import __main__ as command
from tflite_export import evaluate

PANEL = panels.find("detection")
ANCHORS = np.float32([[0.0, 0.0, 0.5, 0.5], [0.4, 0.4, 1.0, 1.0]])
SCORES = np.float32([[[0.9, 0.1], [0.2, 0.8]]])
FACTS = detector.Detector(anchors=ANCHORS, score_threshold=0.5)


def test_boxes_of_anchors_are_decoded_and_chosen_from():
    raw = {"box_encodings": np.zeros((1, 2, 4), np.float32), "scores": SCORES}
    decoded = {"boxes_yxyx": ANCHORS[None], "scores": SCORES}
    for outputs in (raw, decoded):
        shapes = {name: value.shape for name, value in outputs.items()}
        assert PANEL.classes(shapes) == 2
        found = PANEL.decide(outputs, (10, 10), scores="sigmoid", detector=FACTS)
        np.testing.assert_allclose(found["boxes_yxyx"], ANCHORS, atol=1e-6)
        assert found["class_ids"].tolist() == [0, 1]
        assert found["scores"] == pytest.approx([0.9, 0.8])


def test_decoded_boxes_of_a_file_that_says_nothing_are_chosen_by_usual_rules():
    outputs = {"boxes_yxyx": ANCHORS[None], "scores": SCORES}
    found = PANEL.decide(outputs, (10, 10), scores="sigmoid")
    assert found["class_ids"].tolist() == [0, 1]


class Published:
    """Detections of a file whose classes are others' and in another order."""

    outputs = dict.fromkeys(("boxes_yxyx", "class_ids", "scores", "count"))

    def __init__(self, path):
        self.file = type("File", (), {"path": path})()

    def __call__(self, images):
        return {
            "boxes_yxyx": np.arange(12, dtype=np.float32).reshape(1, 3, 4),
            "class_ids": np.float32([[2, 1, 0]]),
            "scores": np.float32([[0.9, 0.8, 0.7]]),
            "count": np.float32([3]),
        }


def test_classes_of_published_detectors_are_found_by_name(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(evaluate.labels, "read", lambda path: ("Cat", "???", "dog"))
    names = ("dog", "cat", "bird")
    predict = evaluate._renumbered(Published(tmp_path / "m.tflite"), names)
    found = predict(None)
    assert found["count"].tolist() == [2]  # "???" is none of ours
    assert found["class_ids"][0, :2].tolist() == [0, 1]
    assert found["scores"][0, :2] == pytest.approx([0.9, 0.7])
    assert "knows 2 of the 3 classes of the data set by name (not: bird)" in (
        " ".join(capsys.readouterr().out.split())
    )


def test_files_that_name_the_same_classes_run_as_they_are(monkeypatch, tmp_path):
    monkeypatch.setattr(evaluate.labels, "read", lambda path: ("dog", "cat"))
    runner = Published(tmp_path / "m.tflite")
    assert evaluate._renumbered(runner, ("dog", "cat")) is runner


def test_a_published_detector_is_evaluated_as_coco_does(shared, capsys):
    """At its own 300 pixels, and 90 classes of which 80 are COCO's."""
    file = shared / "peers/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
    data = shared / "data/coco128"
    status = command.main(
        [
            "evaluate",
            str(file),
            "--experiment=mnv3_det_coco",
            f"--set=dataset.data_dir = '{data}'",
            "--limit=10",
        ]
    )
    out = capsys.readouterr().out
    assert status == 0
    assert "takes images of 300x300" in " ".join(out.split())
    assert json.loads(out.splitlines()[-1])["metrics"]["ap50"] > 0.2
