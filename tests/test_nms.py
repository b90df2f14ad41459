import numpy as np
import pytest
from test_box_ops import drawn_boxes, plain_iou

from official.ops import nms


def plain_nms(boxes, scores, *, score_threshold, iou_threshold, per_class, total):
    """Of one image, class by class: boxes `[A, 4]`, scores `[A, K]`.

    Returns:
        (score, class, anchor) of each detection, best first.
    """
    found = []
    for class_id in range(scores.shape[1]):
        column = scores[:, class_id]
        kept: list[int] = []
        for anchor in np.argsort(-column, kind="stable"):
            if column[anchor] < score_threshold or len(kept) == per_class:
                break
            if all(plain_iou(boxes[anchor], boxes[k]) <= iou_threshold for k in kept):
                kept.append(anchor)
        found += [(column[anchor], class_id, anchor) for anchor in kept]
    return sorted(found, key=lambda item: (-item[0], *item[1:]))[:total]


def _one(boxes, scores, **settings):
    """Of one image, as plain lists."""
    defaults = {
        "score_threshold": 0.1,
        "iou_threshold": 0.5,
        "per_class": 10,
        "total": 4,
    }
    found = nms.class_wise(
        np.float32(boxes)[None], np.float32(scores)[None], **defaults | settings
    )
    assert found["class_ids"].dtype == found["count"].dtype == "int32"
    return {name: np.asarray(values)[0].tolist() for name, values in found.items()}


FAR = [[0, 0, 1, 1], [5, 5, 6, 6], [10, 10, 11, 11]]
# Of unit area; neighbours share 0.6, others 0.2: unions 1.4 and 1.8.
CHAIN = [[0, 0, 1, 1], [0, 0.4, 1, 1.4], [0, 0.8, 1, 1.8]]


def test_a_better_box_suppresses_those_it_overlaps():
    found = _one(CHAIN, [[0.5], [0.9], [0.6]], iou_threshold=0.4)
    assert found["count"] == 1
    assert found["scores"] == pytest.approx([0.9, 0, 0, 0])
    np.testing.assert_allclose(found["boxes_yxyx"], [CHAIN[1], *[[0] * 4] * 3])


def test_a_suppressed_box_suppresses_nothing():
    found = _one(CHAIN, [[0.9], [0.8], [0.7]], iou_threshold=0.4)
    assert found["scores"] == pytest.approx([0.9, 0.7, 0, 0])


def test_an_overlap_equal_to_the_threshold_is_allowed():
    pair = [[0, 0, 1, 1], [0, 0, 1, 2]]
    assert _one(pair, [[0.9], [0.8]], iou_threshold=0.5)["count"] == 2
    assert _one(pair, [[0.9], [0.8]], iou_threshold=0.499)["count"] == 1


def test_a_score_equal_to_the_threshold_is_kept():
    found = _one(FAR, [[0.5], [0.25], [0.2]], score_threshold=0.25)
    assert found["count"] == 2


def test_classes_do_not_suppress_each_other():
    same = [[0, 0, 1, 1]] * 2
    found = _one(same, [[0.9, 0.2], [0.3, 0.8]])
    assert found["scores"] == pytest.approx([0.9, 0.8, 0, 0])
    assert found["class_ids"] == [0, 1, 0, 0]


def test_of_equal_scores_the_lower_class_and_anchor_come_first():
    found = _one(FAR, [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]])
    assert found["class_ids"] == [0, 0, 0, 1]
    assert found["boxes_yxyx"] == [*FAR, FAR[0]]


def test_classes_and_images_have_limits():
    scores = [[0.9, 0.6], [0.8, 0.5], [0.7, 0.4]]
    found = _one(FAR, scores, per_class=2, total=3)
    assert found["scores"] == pytest.approx([0.9, 0.8, 0.6])
    assert found["class_ids"] == [0, 0, 1]


def test_nothing_above_the_threshold_gives_zeros():
    found = _one(FAR, np.full((3, 2), 0.05))
    assert found["count"] == 0
    assert not np.any(found["boxes_yxyx"])
    assert not np.any(found["scores"])


def test_a_threshold_of_zero_keeps_scores_of_zero():
    assert _one(FAR, np.zeros((3, 1)), score_threshold=0.0)["count"] == 3


@pytest.mark.parametrize("digits", [1, 6])
def test_it_agrees_with_loops_on_random_boxes(digits):
    """With one digit many scores are equal."""
    generator = np.random.default_rng(digits)
    for _ in range(5):
        boxes = drawn_boxes(generator, 3, 40)
        scores = generator.uniform(0, 1, (3, 40, 4)).round(digits).astype("float32")
        settings = {
            "score_threshold": 0.3,
            "iou_threshold": float(generator.uniform(0.1, 0.7)),
            "per_class": int(generator.integers(3, 12)),
            "total": 20,
        }
        found = nms.class_wise(boxes, scores, **settings)
        for image in range(3):
            wanted = plain_nms(boxes[image], scores[image], **settings)
            count = int(found["count"][image])
            assert count == len(wanted)
            kept = [found[key][image][:count] for key in ("scores", "class_ids")]
            np.testing.assert_array_equal(kept[0], [item[0] for item in wanted])
            np.testing.assert_array_equal(kept[1], [item[1] for item in wanted])
            np.testing.assert_array_equal(
                found["boxes_yxyx"][image][:count],
                boxes[image][[item[2] for item in wanted]],
            )


def test_it_runs_in_a_graph_whose_batch_is_not_known():
    import tensorflow as tf

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, 3, 4), tf.float32),
            tf.TensorSpec((None, 3, 1), tf.float32),
        ]
    )
    def graph(boxes, scores):
        return nms.class_wise(
            boxes,
            scores,
            score_threshold=0.1,
            iou_threshold=0.4,
            per_class=3,
            total=3,
        )

    scores = [[[0.5], [0.9], [0.6]], [[0.9], [0.8], [0.7]]]
    found = graph(np.float32([CHAIN, CHAIN]), np.float32(scores))
    assert found["count"].numpy().tolist() == [1, 2]
