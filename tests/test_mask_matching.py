import numpy as np
import pytest
import tensorflow as tf

from official.ops import mask_matching, segments


def _logits(scores):
    return np.log(np.maximum(np.float32(scores), 1e-6))


def test_dice_and_class_scores_worked_by_hand():
    # Three pixels: two of segment 0, one of segment 1; a fourth of none.
    members = segments.members(np.int32([[0, 0, 1, -1]]), 2)
    masks = np.float32([[[0.5, 0.5], [1.0, 0.0], [0.25, 0.75], [0.0, 1.0]]])
    found = np.asarray(mask_matching.dice(masks, members))[0]
    # Areas of the masks without the fourth pixel: 1.75 and 1.25.
    wanted = [
        [1.5 / (3.75 / 2), 0.5 / (3.25 / 2)],
        [0.25 / (2.75 / 2), 0.75 / (2.25 / 2)],
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    scores = np.float32([[[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]]])
    found = mask_matching.class_scores(np.log(scores), np.int32([[1, 0, -1]]))
    np.testing.assert_allclose(
        np.asarray(found)[0], [[0.25, 0.75], [0.5, 0.125], [0, 0]], rtol=1e-5
    )


def _two_halves():
    """An image whose left half is segment 0 and right half segment 1."""
    maps = np.zeros((1, 4, 4), "int32")
    maps[..., 2:] = 1
    return maps


def test_segments_get_the_queries_whose_masks_and_classes_fit():
    maps = _two_halves()
    masks = np.full((1, 4, 4, 3), 0.05)
    masks[..., :2, 2] = masks[..., 2:, 1] = 0.9
    classes = np.full((1, 3, 3), 1 / 3)
    ids = np.int32([[0, 1, -1]])
    slots = mask_matching.match(_logits(masks), _logits(classes), maps, ids)
    assert slots.dtype == "int32"
    assert np.asarray(slots).tolist() == [[2, 1, -1]]


def test_masks_that_are_alike_are_told_apart_by_their_classes():
    maps = _two_halves()
    masks = np.full((1, 4, 4, 3), 1 / 3)
    classes = np.float32([[[0.1, 0.2, 0.7], [0.2, 0.7, 0.1], [0.7, 0.2, 0.1]]])
    ids = np.int32([[0, 1]])
    slots = mask_matching.match(_logits(masks), _logits(classes), maps, ids)
    assert np.asarray(slots).tolist() == [[2, 1]]


def test_dice_and_score_are_multiplied_not_added():
    # One pixel, where the dice of a mask p is 2 p / (1 + p): 0.4 and 0.857.
    maps = np.zeros((1, 1, 1), "int32")
    masks = np.float32([0.25, 0.75]).reshape(1, 1, 1, 2)
    classes = np.float32([[[0.90, 0.05, 0.05], [0.43, 0.50, 0.07]]])
    # Products with the score of class 0: 0.360 and 0.369. Sums: 1.300 and 1.287.
    slots = mask_matching.match(_logits(masks), _logits(classes), maps, [[0]])
    assert np.asarray(slots).tolist() == [[1]]


@pytest.mark.parametrize("stride", [1, 2])
def test_what_does_not_count_has_no_say(stride):
    maps = np.zeros((1, 4, 4), "int32")
    maps[:, 2:] = -1
    masks = np.full((1, 4, 4, 2), 0.5)
    masks[:, :2] = [0.6, 0.4]
    # Query 0 would lose its lead by what it has below.
    masks[:, 2:] = [0.99, 0.01]
    classes = np.full((1, 2, 2), 0.5)
    slots = mask_matching.match(
        _logits(masks), _logits(classes), maps, [[0]], stride=stride
    )
    assert np.asarray(slots).tolist() == [[0]]


def test_a_segment_without_a_pixel_on_the_grid_gets_no_query():
    maps = np.zeros((1, 4, 4), "int32")
    maps[0, 0, 0] = 1
    arguments = (np.zeros((1, 4, 4, 3)), np.zeros((1, 3, 3)), maps, [[0, 1]])
    assert np.asarray(mask_matching.match(*arguments)).min() >= 0
    there = mask_matching.match(*arguments, stride=2)
    assert np.asarray(there)[0, 1] == -1


def test_targets_may_be_finer_than_the_masks_and_half_precision_will_do():
    maps = _two_halves()
    masks = np.full((1, 2, 2, 2), 0.1)
    masks[:, :, 0, 1] = masks[:, :, 1, 0] = 0.9
    logits = _logits(masks).astype("float16")
    classes = np.zeros((1, 2, 3), "float16")
    slots = mask_matching.match(logits, classes, maps, np.float32([[0, 1]]))
    assert np.asarray(slots).tolist() == [[1, 0]]


def test_a_permutation_of_the_queries_permutes_the_slots():
    generator = np.random.default_rng(0)
    masks = generator.normal(size=(3, 4, 6, 9)).astype("float32")
    classes = generator.normal(size=(3, 9, 5)).astype("float32")
    maps = generator.integers(-1, 5, (3, 4, 6))
    ids = generator.integers(0, 4, (3, 5))
    order = generator.permutation(9)
    match = tf.function(mask_matching.match)
    slots = np.asarray(match(masks, classes, maps, ids))
    moved = np.asarray(match(masks[..., order], classes[:, order], maps, ids))
    assert (order[moved] == slots).all()


@pytest.mark.parametrize(
    ("fine", "coarse", "taken"),
    [
        (8, 8, range(8)),
        (8, 4, [1, 3, 5, 7]),
        (8, 2, [2, 6]),
        (8, 1, [4]),
        # Sizes of 32 k + 1, whose corners lie on each other.
        (9, 5, [0, 2, 4, 6, 8]),
        (9, 3, [0, 4, 8]),
        (9, 2, [0, 8]),
        (9, 1, [4]),
        (15, 5, [1, 4, 7, 10, 13]),
    ],
)
def test_labels_of_a_coarser_grid_are_taken_not_made(fine, coarse, taken):
    labels = np.arange(fine)[None, :, None] * 100 + np.arange(fine)
    found = segments.subsample(labels, (coarse, coarse))
    wanted = np.array(taken)[:, None] * 100 + np.array(taken)
    assert np.asarray(found)[0].tolist() == wanted.tolist()


def test_sides_that_are_no_whole_factor_apart_are_refused():
    with pytest.raises(ValueError) as error:
        segments.subsample(np.zeros((1, 10, 10)), (4, 4))
    assert str(error.value) == (
        "labels of 10 pixels a side for outputs of 4: want a multiple of 4, or an odd "
        "number that is a multiple of 3 and one more"
    )
