import numpy as np
import pytest
from test_box_ops import drawn_boxes, plain_iou

from official.ops import matching

ANCHORS = np.float32(
    [
        [0.0, 0.0, 0.5, 0.5],
        [0.0, 0.5, 0.5, 1.0],
        [0.5, 0.0, 1.0, 0.5],
        [0.5, 0.5, 1.0, 1.0],
    ]
)


def _match(boxes, classes, *, anchors=ANCHORS, threshold=0.5, force=True):
    """Of one image."""
    found = matching.match(
        anchors,
        np.float32(boxes)[None],
        np.int32(classes)[None],
        threshold=threshold,
        force=force,
    )
    assert found.classes.dtype == "int32"
    return np.asarray(found.classes)[0].tolist(), np.asarray(found.boxes)[0]


def plain_match(anchors, boxes, classes, *, threshold, force):
    """The same rule with loops: greedy over all pairs by overlap."""
    overlaps = np.array([[plain_iou(b, a) for a in anchors] for b in boxes])
    overlaps[classes < 0] = 0
    owners = np.where(overlaps.max(0) >= threshold, overlaps.argmax(0), -1)
    pairs = [(-overlaps[m, a], m, a) for m, a in np.argwhere(overlaps > 0)]
    placed, taken = set(), set()
    for _, m, a in sorted(pairs) if force else ():
        if m not in placed and a not in taken:
            owners[a] = m
            placed.add(m)
            taken.add(a)
    return owners


def test_the_largest_overlap_counts_if_it_reaches_the_threshold():
    # Overlaps with the first anchor: 0.16 / 0.25; with the others none.
    box = [0.0, 0.0, 0.4, 0.4]
    assert _match([box], [6], threshold=0.6)[0] == [7, 0, 0, 0]
    assert _match([box], [6], threshold=0.7, force=False)[0] == [0, 0, 0, 0]


def test_an_overlap_equal_to_the_threshold_is_enough():
    box = [0.0, 0.0, 0.25, 0.5]
    assert _match([box], [0], threshold=0.5, force=False)[0] == [1, 0, 0, 0]


def test_a_forced_box_takes_its_best_anchor_below_the_threshold():
    classes, boxes = _match([[0.0, 0.0, 0.1, 0.1]], [2], threshold=0.9)
    assert classes == [3, 0, 0, 0]
    np.testing.assert_allclose(boxes[0], [0, 0, 0.1, 0.1])


def test_anchors_without_a_box_carry_themselves():
    _, boxes = _match([[0.0, 0.0, 0.1, 0.1]], [2])
    np.testing.assert_array_equal(boxes[1:], ANCHORS[1:])


def test_of_equally_good_anchors_the_first_is_forced():
    middle = [0.375, 0.375, 0.625, 0.625]
    assert _match([middle], [0])[0] == [1, 0, 0, 0]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_boxes_that_want_one_anchor_both_get_one(order):
    # Both lie mostly in the first anchor; the larger overlap has it, the other, which
    # reaches into the second, goes there.
    boxes = np.float32([[0.0, 0.0, 0.5, 0.45], [0.1, 0.2, 0.4, 0.6]])[list(order)]
    classes, found = _match(boxes, np.array([4, 8])[list(order)])
    assert classes == [5, 9, 0, 0]
    np.testing.assert_allclose(found[1], [0.1, 0.2, 0.4, 0.6])


def test_of_equal_boxes_the_first_goes_first():
    box = [0.1, 0.1, 0.6, 0.6]
    classes, _ = _match([box] * 5, [0, 1, 2, 3, 4], threshold=0.9)
    # Overlaps: most with the first anchor, equally with the second and the third,
    # least with the fourth; the fifth box finds none that is free.
    assert classes == [1, 2, 3, 4]


def test_a_box_that_overlaps_nothing_gets_nothing():
    anchors = np.float32([[0.0, 0.0, 0.2, 0.2], [0.2, 0.2, 0.4, 0.4]])
    boxes = [[0.8, 0.8, 0.9, 0.9], [0.0, 0.0, 0.2, 0.1], [0.3, 0.3, 0.3, 0.3]]
    assert _match(boxes, [3, 1, 5], anchors=anchors)[0] == [2, 0]


def test_padding_matches_nothing_wherever_it_lies():
    assert _match([ANCHORS[3], ANCHORS[0]], [-1, 2])[0] == [3, 0, 0, 0]
    assert _match([ANCHORS[3], ANCHORS[0]], [-1, -1])[0] == [0, 0, 0, 0]


def test_anchors_in_a_region_that_does_not_count_are_neither_object_nor_background():
    # It holds 4 / 5 of the first anchor and 1 / 5 of the third.
    crowd = [0.0, 0.0, 0.6, 0.4]
    assert _match([crowd], [-2])[0] == [-1, 0, 0, 0]
    # By the share of the anchor, not by the union: a large crowd covers small anchors.
    assert _match([[0, 0, 1, 1]], [-2])[0] == [-1, -1, -1, -1]
    # An object inside it is learned.
    assert _match([[0, 0, 1, 1], ANCHORS[2]], [-2, 0])[0] == [-1, -1, 1, -1]


@pytest.mark.parametrize("force", [True, False])
def test_batches_agree_with_loops(force):
    generator = np.random.default_rng(3)
    for _ in range(10):
        anchors = drawn_boxes(generator, 12, largest=0.8)
        boxes = drawn_boxes(generator, 2, 6, largest=0.8)
        classes = generator.integers(-1, 5, (2, 6)).astype("int32")
        found = matching.match(anchors, boxes, classes, threshold=0.4, force=force)
        for image in range(2):
            owners = plain_match(
                anchors, boxes[image], classes[image], threshold=0.4, force=force
            )
            wanted = np.where(owners >= 0, classes[image][owners] + 1, 0)
            np.testing.assert_array_equal(found.classes[image], wanted)
            wanted_boxes = np.where(owners[:, None] >= 0, boxes[image][owners], anchors)
            np.testing.assert_allclose(found.boxes[image], wanted_boxes)


def test_it_runs_in_a_graph_whose_batch_is_not_known():
    import tensorflow as tf

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, 3, 4), tf.float32),
            tf.TensorSpec((None, 3), tf.int32),
        ]
    )
    def graph(boxes, classes):
        return matching.match(ANCHORS, boxes, classes, threshold=0.5)

    boxes = np.tile(ANCHORS[1], (2, 3, 1))
    classes = np.int32([[1, -1, -1], [-1, -1, -1]])
    assert graph(boxes, classes).classes.numpy().tolist() == [[0, 2, 0, 0], [0] * 4]
