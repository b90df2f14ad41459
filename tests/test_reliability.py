"""Calibration: bins worked by hand, and what the page makes of them."""

import json

import numpy as np
import pytest

from official.metrics import calibration, classification
from official.report import reliability


def worked() -> calibration.Calibration:
    """Two answers of 0.9, one right; three of 0.5, all right; one of 0.2, wrong."""
    found = calibration.Calibration("classes")
    found.add(np.array([0.9, 0.9, 0.5]), np.array([True, False, True]))
    found.add(np.array([0.5, 0.5, 0.2]), np.array([True, True, False]))
    return found


def test_the_expected_calibration_error_is_the_mean_gap_by_count():
    # 2 of 6 are off by 0.4, 3 by 0.5, and 1 by 0.2.
    expected = (2 * 0.4 + 3 * 0.5 + 1 * 0.2) / 6
    assert reliability.error(worked().as_json()) == pytest.approx(expected, abs=1e-4)


def test_a_bin_holds_what_is_above_its_lower_edge():
    found = calibration.Calibration("classes")
    # The edges at 1/15, 0.2 = 3/15 and 1 belong to what is below them, 0 to the first.
    found.add(np.array([0.0, 1 / 15, 0.2, 0.2001, 1.0]), np.ones(5, bool))
    places = np.flatnonzero(found.count).tolist()
    assert (places, found.count[places].tolist()) == ([0, 2, 3, 14], [2, 1, 1, 1])


def test_nothing_has_no_error():
    assert reliability.error(calibration.Calibration("classes").as_json()) == 0.0


def test_a_score_that_is_not_a_number_is_passed_over():
    found = calibration.Calibration("classes")
    found.add(np.array([np.nan, 0.75]), np.array([True, False]))
    assert found.count.sum() == 1
    assert found.right.sum() == 0
    json.dumps(found.as_json(), allow_nan=False)


def test_the_metric_counts_labelled_images_by_the_score_of_the_class_said():
    metric = classification.ClassificationMetrics(class_names=("a", "b"))
    scores = np.array([[0.9, 0.1], [0.3, 0.7], [0.5, 0.5]], np.float32)
    said = {"scores": scores, "class_ids": scores.argmax(axis=1)}
    metric.update_state({"label": np.array([0, 0, -1])}, said)
    found = metric.calibration
    assert found.count.sum() == 2
    assert found.confidence.sum() == pytest.approx(1.6)
    assert found.right.sum() == 1
    metric.reset_state()
    assert metric.calibration.count.sum() == 0


def test_the_page_shows_every_model_that_has_scores_and_names_the_others():
    rows = [
        {"name": "Keras", "calibration": worked().as_json()},
        {"name": "int8 class_ids"},
    ]
    section = reliability.section({"rows": rows})
    assert section["without"] == ["int8 class_ids"]
    ((name, (error, confidence, right)),) = section["errors"]
    assert name == "Keras"
    assert error == pytest.approx(2.5 / 6, abs=1e-4)
    assert (confidence, right) == pytest.approx((3.5 / 6, 4 / 6), abs=1e-4)
    assert section["picture"].startswith("<svg")
    assert reliability.section({"rows": rows[1:]}) is None


def test_boxes_have_a_diagram_and_no_figure():
    found = calibration.Calibration("boxes")
    found.add(np.array([0.3]), np.array([True]))
    section = reliability.section(
        {"rows": [{"name": "k", "calibration": found.as_json()}]}
    )
    assert section["errors"] == []
    assert "overlap of 0.5" in section["text"]
