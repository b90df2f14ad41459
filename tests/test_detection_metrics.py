"""COCO and VOC figures, against cases worked by hand and the evaluator itself."""

import contextlib
import io
import json

import numpy as np
import pytest

from official.metrics import detection, detections, voc_ap

NAMES = ("cat", "dog")


def batch(truths, found, *, size=(100, 200)):
    """One image: rows (box, class, kind) and (box in pixels, class, score)."""
    height, width = size
    sides = np.array([height, width, height, width], np.float32)
    boxes = np.array([t[0] for t in truths], np.float32).reshape(-1, 4)
    targets = {
        "boxes": boxes[None],
        "box_classes": np.array([[t[1] for t in truths]], np.int32),
        "box_kinds": np.array([[t[2] for t in truths]], np.int32),
        "box_areas": np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1)[None],
        "box_count": np.array([len(truths)]),
        "size": np.array([[height, width]]),
        "image_id": np.array([b"an image"]),
    }
    predictions = {
        "boxes_yxyx": (
            np.array([f[0] for f in found], np.float32).reshape(-1, 4) / sides
        )[None],
        "class_ids": np.array([[f[1] for f in found]], np.int32),
        "scores": np.array([[f[2] for f in found]], np.float32),
        "count": np.array([len(found)]),
    }
    return targets, predictions


def metrics(*batches, judged_by="ap"):
    metric = detection.DetectionMetrics(class_names=NAMES, judged_by=judged_by)
    for targets, predictions in batches:
        metric.update_state(targets, predictions)
    return metric


A, B, C = [10, 10, 50, 50], [10, 60, 50, 100], [60, 10, 90, 40]


def test_what_is_found_exactly_counts_fully():
    found = metrics(batch([(A, 0, 0), (B, 1, 0)], [(A, 0, 0.9), (B, 1, 0.8)])).result()
    assert found["ap"] == pytest.approx(1)
    assert found["ap/cat"] == pytest.approx(1)
    assert found["voc_ap"] == pytest.approx(1)
    assert found["voc_ap_11"] == pytest.approx(1)


def test_a_wrong_detection_with_a_higher_score_halves_the_precision():
    found = metrics(batch([(A, 0, 0)], [(C, 0, 0.9), (A, 0, 0.8)])).result()
    assert found["ap50"] == pytest.approx(0.5)
    assert found["voc_ap"] == pytest.approx(0.5)


def test_crowds_and_difficult_objects_count_neither_way():
    truths = [(A, 0, 0), (B, 0, 1), (C, 0, 2)]
    found = metrics(batch(truths, [(B, 0, 0.9), (C, 0, 0.9), (A, 0, 0.8)])).result()
    assert found["ap50"] == pytest.approx(1)
    assert found["voc_ap"] == pytest.approx(1)


def test_a_second_detection_of_a_difficult_object_is_no_mistake_for_voc():
    truths = [(A, 0, 0), (C, 0, 2)]
    found = [(C, 0, 0.9), (C, 0, 0.85), (A, 0, 0.8)]
    assert metrics(batch(truths, found)).result()["voc_ap"] == pytest.approx(1)


def test_a_second_detection_of_an_object_is_a_mistake():
    values = metrics(
        batch([(A, 0, 0), (B, 0, 0)], [(A, 0, 0.9), (A, 0, 0.8), (B, 0, 0.7)])
    ).result()
    # Precisions 1, 1/2, 2/3 at recalls 1/2, 1/2, 1: the area is (1 + 2/3) / 2.
    assert values["voc_ap"] == pytest.approx(5 / 6)
    # Eleven points: six at recall up to 0.5, five above.
    assert values["voc_ap_11"] == pytest.approx((6 + 5 * 2 / 3) / 11)


def test_classes_without_objects_do_not_count():
    values = metrics(batch([(A, 0, 0)], [(A, 0, 0.9), (B, 1, 0.9)])).result()
    assert values["ap"] == pytest.approx(1)
    assert "ap/dog" not in values


def test_a_size_that_no_object_has_has_no_figure_unless_it_decides():
    seen = batch([(A, 0, 0)], [(A, 0, 0.9)])  # 40 x 40 pixels: medium
    values = metrics(seen).result()
    assert values["ap_medium"] == pytest.approx(1)
    assert {"ap_small", "ap_large", "ar_small", "ar_large"}.isdisjoint(values)
    assert metrics(seen, judged_by="ap_large").result()["ap_large"] == 0


@pytest.mark.parametrize("judged_by", detection.FIGURES)
def test_an_evaluation_without_objects_has_only_what_decides(judged_by):
    seen = batch([], [(A, 0, 0.9)])
    assert metrics(seen, judged_by=judged_by).result() == {judged_by: 0}


def test_confusion_pairs_objects_with_detections_of_any_class():
    counts = metrics(
        batch(
            [(A, 0, 0), (B, 1, 0), (C, 0, 1)],
            [(A, 1, 0.9), (C, 0, 0.9), ([90, 150, 99, 199], 0, 0.6), (B, 1, 0.4)],
        )
    ).confusion()
    # Said dog of a cat; a cat where nothing is; the dog is below the score; the crowd
    # excuses its detection.
    assert counts.tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_the_constant_prediction_knows_where_objects_usually_are():
    same = [batch([(A, 0, 0)], []) for _ in range(4)]
    assert metrics(*same).constant("ap50") == pytest.approx(1)
    apart = [
        batch([([25 * i, 40 * i, 25 * i + 20, 40 * i + 30], 0, 0)], [])
        for i in range(4)
    ]
    assert metrics(*apart).constant("ap50") < 0.5


def test_figures_equal_those_of_the_reference_on_real_annotations(shared):
    """The detections, written as COCO's result json, evaluated by hand."""
    from pycocotools import coco, cocoeval

    file = shared / "data/coco128/annotations/instances_val.json"
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO(str(file))
    ids = sorted(truth.getCatIds())
    random = np.random.default_rng(0)
    metric = detection.DetectionMetrics(
        class_names=tuple(map(str, ids)), judged_by="ap"
    )
    results = []
    for image_id in truth.getImgIds():
        image = truth.loadImgs(image_id)[0]
        height, width = image["height"], image["width"]
        rows = truth.loadAnns(truth.getAnnIds(image_id))
        boxes = np.array([r["bbox"] for r in rows], np.float64).reshape(-1, 4)
        corners = np.stack(
            [
                boxes[:, 1],
                boxes[:, 0],
                boxes[:, 1] + boxes[:, 3],
                boxes[:, 0] + boxes[:, 2],
            ],
            axis=-1,
        )
        shaken = corners + random.normal(0, 6, corners.shape)
        classes = np.array([ids.index(r["category_id"]) for r in rows])
        said = np.where(random.random(len(rows)) < 0.2, 0, classes)
        scores = random.random(len(rows)).astype(np.float32)
        shaken = np.concatenate(
            [shaken[:, :2], np.maximum(shaken[:, 2:], shaken[:, :2])], 1
        )
        sides = [height, width, height, width]
        metric.update_state(
            {
                "boxes": corners[None],
                "box_classes": classes[None],
                "box_kinds": np.array([[r["iscrowd"] for r in rows]]),
                "box_areas": np.array([[r["area"] for r in rows]]),
                "box_count": np.array([len(rows)]),
                "size": np.array([[height, width]]),
                "image_id": np.array([str(image_id).encode()]),
            },
            {
                "boxes_yxyx": (shaken / sides)[None],
                "class_ids": said[None],
                "scores": scores[None],
                "count": np.array([len(rows)]),
            },
        )
    results = [
        row | {"image_id": int(row["image_id"]), "category_id": ids[row["category_id"]]}
        for row in metric.records()
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = cocoeval.COCOeval(
            truth, truth.loadRes(json.loads(json.dumps(results))), "bbox"
        )
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    ours = metric.result()
    for name, theirs in zip(detection.coco_ap.NAMES, evaluator.stats, strict=True):
        assert ours[name] == pytest.approx(theirs, abs=1e-4), name
    assert 0.1 < ours["ap"] < 0.95


def test_a_recall_that_is_just_a_level_is_not_missed():
    boxes = [[0, 20 * i, 10, 20 * i + 10] for i in range(10)]
    targets, predictions = batch(
        [(b, 0, 0) for b in boxes],
        [(b, 0, 0.9 - i / 100) for i, b in enumerate(boxes[:3])],
    )
    (image,) = detections.of_batch(targets, predictions)
    # Three of ten found: levels 0, 0.1, 0.2 and 0.3 have precision 1.
    value = voc_ap.curves([image], classes=1)[0].eleven_points()
    assert value == pytest.approx(4 / 11)
