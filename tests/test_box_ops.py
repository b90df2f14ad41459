import numpy as np
import pytest

from official.ops import boxes


def plain_iou(a, b):
    """Of two boxes, in plain Python."""
    height = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    width = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    sizes = [max(0.0, c[2] - c[0]) * max(0.0, c[3] - c[1]) for c in (a, b)]
    union = sum(sizes) - height * width
    return height * width / union if union > 0 else 0.0


def drawn_boxes(generator, *shape, largest=0.4):
    centres = generator.uniform(0, 1, (*shape, 2))
    halves = generator.uniform(0.02, largest, (*shape, 2)) / 2
    return np.concatenate([centres - halves, centres + halves], -1).astype("float32")


def test_areas_and_overlaps_worked_by_hand():
    a = np.float32([[0, 0, 2, 4], [3, 3, 3, 9]])
    b = np.float32([[1, 2, 3, 6], [0, 0, 2, 4], [5, 5, 6, 6], [2, 2, 1, 1]])
    np.testing.assert_array_equal(boxes.area(a), [8, 0])
    # Interchanged ends make no area.
    np.testing.assert_array_equal(boxes.area(b), [8, 8, 1, 0])
    np.testing.assert_array_equal(
        boxes.intersection(a, b), [[2, 8, 0, 0], [0, 0, 0, 0]]
    )
    np.testing.assert_allclose(
        boxes.iou(a, b), [[2 / 14, 1, 0, 0], [0, 0, 0, 0]], rtol=1e-6
    )


def test_overlaps_of_batches_agree_with_a_loop():
    generator = np.random.default_rng(0)
    a, b = drawn_boxes(generator, 2, 5), drawn_boxes(generator, 2, 7)
    wanted = [[[plain_iou(p, q) for q in b[i]] for p in a[i]] for i in range(2)]
    np.testing.assert_allclose(boxes.iou(a, b), wanted, atol=1e-6)


def test_one_set_of_anchors_serves_a_batch():
    generator = np.random.default_rng(1)
    anchors, found = drawn_boxes(generator, 5), drawn_boxes(generator, 2, 3)
    assert boxes.iou(found, anchors).shape == (2, 3, 5)


def test_an_encoding_worked_by_hand():
    # Centre 0.4, 0.6 of size 0.4 x 0.2 against centre 0.5, 0.5 of size 0.2 x 0.2.
    box, anchor = np.float32([0.2, 0.5, 0.6, 0.7]), np.float32([0.4, 0.4, 0.6, 0.6])
    wanted = [10 * -0.5, 10 * 0.5, 5 * np.log(2), 0]
    np.testing.assert_allclose(
        boxes.encode(box[None], anchor[None])[0], wanted, atol=1e-5
    )


def test_decoding_undoes_encoding():
    generator = np.random.default_rng(2)
    found, anchors = drawn_boxes(generator, 3, 6), drawn_boxes(generator, 6)
    for scales in (boxes.SCALES, (1.0, 2.0, 3.0, 4.0)):
        encoded = boxes.encode(found, anchors, scales=scales)
        np.testing.assert_allclose(
            boxes.decode(encoded, anchors, scales=scales), found, atol=1e-5
        )


def test_boxes_without_a_size_and_wild_offsets_stay_finite():
    anchors = np.float32([[0.4, 0.4, 0.6, 0.6]])
    assert np.isfinite(boxes.encode(np.float32([[0.5, 0.5, 0.5, 0.5]]), anchors)).all()
    decoded = boxes.decode(np.float32([[0, 0, 1e6, 5 * np.log(3)]]), anchors)
    # 0.2 wide, at most 1000 times as high, three times as wide.
    np.testing.assert_allclose(decoded, [[-99.5, 0.2, 100.5, 0.8]], rtol=1e-4)


def test_half_precision_is_decoded_in_single():
    encoded = np.zeros((1, 1, 4), "float16")
    decoded = boxes.decode(encoded, np.float32([[0.4, 0.4, 0.6, 0.6]]))
    assert decoded.dtype == "float32"
    assert np.asarray(decoded).tolist() == [[pytest.approx([0.4, 0.4, 0.6, 0.6])]]
