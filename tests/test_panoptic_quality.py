"""Panoptic quality: cases worked by hand, and the rules once more, in slow loops."""

import numpy as np
import pytest

from official.metrics import panoptic as metrics_lib
from official.metrics import panoptic_quality
from official.ops import panoptic

THINGS = (0, 1)  # of four classes; 2 and 3 are stuff
CLASSES = 4
VOID = panoptic.VOID


def counts(truth, prediction):
    found = panoptic_quality.overlaps(
        np.asarray(truth), np.asarray(prediction), thing_ids=THINGS
    )
    return panoptic_quality.count(found, classes=CLASSES)


def row(*parts):
    """One row of pixels: (id, how many), ..."""
    return np.concatenate([np.full((1, many), one, np.int32) for one, many in parts], 1)


def of_class(found, class_id):
    return (
        int(found.tp[class_id]),
        int(found.fp[class_id]),
        int(found.fn[class_id]),
        float(found.iou[class_id]),
    )


def test_ids_hold_class_and_instance_and_void():
    semantic, instance = np.array([[0, 3, 255]]), np.array([[7, 0, 0]])
    ids = panoptic.encode(semantic, instance, ignore_label=255)
    assert ids.tolist() == [[7, 3000, 255000]]
    assert ids.dtype == np.int32
    back = panoptic.decode(ids)
    assert back[0].tolist() == semantic.tolist()
    assert back[1].tolist() == instance.tolist()
    other = panoptic.encode(np.array([[0, 9]]), np.array([[1, 5]]), ignore_label=9)
    assert other.tolist() == [[1, VOID]]


def test_what_ids_cannot_hold_is_refused():
    with pytest.raises(
        ValueError, match=r"instances run from 0 to 1000, outside 0..99"
    ):
        panoptic.encode(np.zeros(2, int), np.array([0, 1000]), ignore_label=255)
    with pytest.raises(ValueError, match=r"classes run from 0 to 300, outside 0..254"):
        panoptic.encode(np.array([0, 300]), np.zeros(2, int), ignore_label=255)
    with pytest.raises(ValueError, match="panoptic ids run from -1 to 5"):
        panoptic.segments(np.array([-1, 5]))


def test_segments_are_those_that_numpy_finds():
    pixels = np.random.default_rng(0).choice([7, 1000, 2003, VOID], (5, 6))
    ids, place = panoptic.segments(pixels)
    expected, inverse = np.unique(pixels, return_inverse=True)
    assert ids.tolist() == expected.tolist()
    assert place.tolist() == inverse.reshape(5, 6).tolist()


def test_small_segments_become_void():
    pixels = row((1, 3), (2, 2), (2000, 5), (3000, 4), (VOID, 1))
    kept = panoptic.without_small(
        pixels, thing_ids=THINGS, min_thing_area=3, min_stuff_area=5
    )
    assert kept.tolist() == row((1, 3), (VOID, 2), (2000, 5), (VOID, 5)).tolist()


def test_pairs_have_an_iou_above_a_half():
    # Truth: person 1 of 6 pixels, road of 6. Predicted: person of 8, road of 4.
    # Person: 6 / (6 + 8 - 6) = 0.75; road: 4 / (6 + 4 - 4) = 2/3.
    found = counts(row((1, 6), (2000, 6)), row((5, 8), (2000, 4)))
    assert of_class(found, 0) == (1, 0, 0, 0.75)
    assert of_class(found, 2) == (1, 0, 0, pytest.approx(2 / 3))
    # An IoU of exactly a half (4 of 8) is no pair: one missed, one too many.
    found = counts(row((1, 8)), row((5, 4), (2000, 4)))
    assert of_class(found, 0) == (0, 1, 1, 0)
    assert of_class(found, 2) == (0, 1, 0, 0)


def test_another_class_is_no_partner():
    assert of_class(counts(row((1, 4)), row((1001, 4))), 0) == (0, 0, 1, 0)
    assert of_class(counts(row((1, 4)), row((1001, 4))), 1) == (0, 1, 0, 0)


def test_the_union_is_without_what_lies_on_void():
    # Predicted 4 + 3 + 3 pixels, of which 3 on void and 3 on road; truth 4:
    # 4 / (4 + 10 - 4 - 3) = 4 / 7; with void in the union it were 0.4, no pair.
    truth = row((1, 4), (VOID, 3), (2000, 3))
    assert of_class(counts(truth, row((9, 10))), 0) == (1, 0, 0, pytest.approx(4 / 7))


def test_a_prediction_mostly_on_void_is_no_mistake():
    truth = row((2000, 10), (VOID, 3))
    # 3 of 5 pixels on void: more than half. 3 of 6: not more than half.
    assert of_class(counts(truth, row((2000, 8), (1, 5))), 0) == (0, 0, 0, 0)
    assert of_class(counts(truth, row((2000, 7), (1, 6))), 0) == (0, 1, 0, 0)


def test_a_crowd_excuses_its_own_class_and_is_never_missed_nor_found():
    crowd, other_crowd = 0 * 1000, 1 * 1000
    truth = row((crowd, 8), (2000, 8))
    road = row((VOID, 8), (2000, 8))
    assert of_class(counts(truth, road), 0) == (0, 0, 0, 0)  # not missed
    exact = row((3, 8), (2000, 8))
    assert of_class(counts(truth, exact), 0) == (0, 0, 0, 0)  # neither found nor wrong
    same = row((other_crowd + 3, 8), (2000, 8))
    assert of_class(counts(truth, same), 1) == (0, 1, 0, 0)  # not of its class
    # Void and crowd of the class add up: 2 + 1 of 5 pixels.
    truth = row((VOID, 2), (crowd, 1), (2000, 9))
    assert of_class(counts(truth, row((1, 5), (2000, 7))), 0) == (0, 0, 0, 0)
    # A crowd stays in the union of others: 4 / (4 + 8 - 4) is no pair, and half of
    # the prediction on the crowd is no excuse.
    truth = row((1, 4), (crowd, 4))
    assert of_class(counts(truth, row((7, 8))), 0) == (0, 1, 1, 0)


def test_stuff_has_no_crowd():
    truth = row((2000, 4), (3000, 4))
    assert of_class(counts(truth, row((3000, 8))), 2) == (0, 0, 1, 0)


def test_classes_outside_are_refused():
    with pytest.raises(ValueError, match=r"prediction has a segment of class 4, out"):
        counts(row((2000, 2)), row((4000, 2)))
    with pytest.raises(
        ValueError, match=r"truth has a segment of class 7, outside 0..3"
    ):
        counts(row((7001, 2)), row((2000, 2)))


def restated(truth, prediction):
    """tp, fp, fn and the sum of IoUs by class: pixel sets, no areas kept."""

    def pixels(image, segment):
        return {
            (y, x)
            for y in range(image.shape[0])
            for x in range(image.shape[1])
            if image[y, x] == segment
        }

    def segments(image):
        return sorted({int(v) for v in image.ravel()} - {VOID})

    def is_crowd(segment):
        return segment // 1000 in THINGS and segment % 1000 == 0

    void = pixels(truth, VOID)
    result = {c: [0, 0, 0, 0.0] for c in range(CLASSES)}
    partners = {}
    for mine in segments(truth):
        if is_crowd(mine):
            continue
        region = pixels(truth, mine)
        for other in segments(prediction):
            if other // 1000 != mine // 1000:
                continue
            guess = pixels(prediction, other) - void
            iou = len(region & guess) / len(region | guess)
            if iou > 0.5:
                assert mine not in partners
                assert other not in partners.values()
                partners[mine] = other
                result[mine // 1000][0] += 1
                result[mine // 1000][3] += iou
        if mine not in partners:
            result[mine // 1000][2] += 1
    for other in segments(prediction):
        if other in partners.values():
            continue
        excuse = set(void)
        for mine in segments(truth):
            if is_crowd(mine) and mine // 1000 == other // 1000:
                excuse |= pixels(truth, mine)
        guess = pixels(prediction, other)
        if len(guess & excuse) / len(guess) <= 0.5:
            result[other // 1000][1] += 1
    return result


def blocks(generator, ids, size=(12, 16), cell=4):
    """A map of blocks, so that segments overlap by much."""
    coarse = generator.choice(ids, (size[0] // cell, size[1] // cell))
    return np.kron(coarse, np.ones((cell, cell), np.int32)).astype(np.int32)


def disturbed(generator, image, ids):
    moved = np.roll(image, generator.integers(-1, 2, 2), axis=(0, 1))
    noise = generator.random(image.shape) < 0.15
    return np.where(noise, generator.choice(ids, image.shape), moved).astype(np.int32)


@pytest.mark.parametrize("seed", range(30))
def test_random_maps_count_as_the_rules_say(seed):
    generator = np.random.default_rng(seed)
    true_ids = [1, 2, 0, 1001, 1000, 2000, 3000, VOID, VOID]
    ids = [1, 2, 3, 1001, 1002, 2000, 3000, VOID]
    truth = blocks(generator, true_ids)
    swapped = np.where(truth % 1000 == 0, truth, truth + generator.integers(0, 2))
    thing_crowds = (truth == 0) | (truth == 1000)
    base = np.where(thing_crowds, truth + 5, swapped)
    prediction = disturbed(generator, base, ids)
    found, expected = counts(truth, prediction), restated(truth, prediction)
    for class_id in range(CLASSES):
        assert of_class(found, class_id) == pytest.approx(expected[class_id])


def test_the_random_maps_try_every_rule():
    generator = np.random.default_rng(1)
    totals = np.zeros(3)
    for _ in range(10):
        truth = blocks(generator, [1, 0, 1000, 1001, 2000, VOID])
        prediction = disturbed(generator, truth, [1, 2, 1002, 2000, VOID])
        found = counts(truth, prediction)
        totals += [found.tp.sum(), found.fp.sum(), found.fn.sum()]
    assert (totals > 5).all()


def batch(truth, prediction, scores=None, *, name=b"a.jpg"):
    """One image as targets and predictions."""
    semantic, instance = panoptic.decode(truth)
    ids = [i for i in np.unique(prediction) if i != VOID]
    scores = scores or {}
    return (
        {
            "semantic": semantic[None],
            "instance": instance[None],
            "size": np.array([truth.shape]),
            "image_id": np.array([name]),
        },
        {
            "panoptic": prediction[None],
            "segment_ids": np.array([[*ids, -1]], np.int32),
            "segment_scores": np.array([[*(scores.get(i, 1.0) for i in ids), 0]]),
        },
    )


NAMES = ("person", "car", "road", "sky")


def metric(*images):
    judge = metrics_lib.PanopticMetrics(class_names=NAMES, thing_ids=THINGS)
    for image in images:
        judge.update_state(*batch(*image))
    return judge


def test_values_are_means_over_the_classes_that_occur():
    # Person: two of which one is found with 0.75, nothing wrong: SQ 0.75,
    # RQ 1 / (1 + 0.5), PQ 0.5. Road 10 true, 10 predicted, 9 shared: 9 / 11. Sky is
    # predicted only (fp): 0. Cars do not occur.
    truth = row((1, 6), (2, 2), (2000, 10))
    prediction = row((4, 8), (3000, 1), (2000, 9))
    values = metric((truth, prediction)).result()
    # Road: 9 predicted, all of them true: 9 / 10.
    assert values["pq/person"] == pytest.approx(0.5)
    assert values["sq/person"] == pytest.approx(0.75)
    assert values["rq/person"] == pytest.approx(2 / 3)
    assert values["pq/road"] == pytest.approx(0.9)
    assert values["pq/sky"] == 0
    assert "pq/car" not in values
    assert values["pq"] == pytest.approx((0.5 + 0.9 + 0) / 3)
    assert values["pq_things"] == pytest.approx(0.5)
    assert values["pq_stuff"] == pytest.approx(0.45)
    assert values["sq_stuff"] == pytest.approx(0.45)
    assert values["rq"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    # Pixels: person 8 of 8, road 9 of 10 with no other pixel said to be road.
    assert values["mean_iou"] == pytest.approx((1 + 0.9) / 2)


def test_a_pixel_predicted_void_is_wrong_and_one_truly_void_does_not_count():
    truth = row((2000, 8), (VOID, 4))
    values = metric((truth, row((2000, 6), (VOID, 2), (1, 4)))).result()
    assert values["mean_iou"] == pytest.approx(6 / 8)
    assert values["pq"] == pytest.approx(6 / 8)  # the person lies on void


def test_counts_add_up_over_images_of_several_sizes():
    one = (row((1, 4), (2000, 4)), row((1, 4), (2000, 4)))
    two = (row((1, 4)), row((2000, 4)))
    values = metric(one, two).result()
    assert values["pq/person"] == pytest.approx(1 / 1.5)
    assert values["pq/road"] == pytest.approx(1 / 1.5)
    targets, predictions = batch(*one)
    padded = {
        **predictions,
        "panoptic": np.pad(predictions["panoptic"], ((0, 0), (0, 2), (0, 3))),
    }
    judge = metric()
    judge.update_state(targets, padded)  # what is beyond "size" is no image
    assert judge.result()["pq"] == 1
    judge.reset_state()
    assert judge.result()["pq"] == 0


def test_masks_are_ranked_by_their_scores():
    # A wrong person above the right one halves the precision, one below it does not.
    truth = row((1, 10), (2000, 10))
    prediction = row((1, 10), (2, 4), (2000, 6))
    above = metric((truth, prediction, {1: 0.5, 2: 0.9})).result()
    below = metric((truth, prediction, {1: 0.9, 2: 0.5})).result()
    assert above["ap"] == pytest.approx(0.5)
    assert below["ap"] == pytest.approx(1)
    assert below["ap/person"] == pytest.approx(1)
    # An overlap of 0.82 counts at 0.5, ..., 0.8 and not at 0.85, 0.9 and 0.95.
    part = metric((row((1, 100)), row((1, 82), (2000, 18)))).result()
    assert part["ap50"] == pytest.approx(1)
    assert part["ap"] == pytest.approx(0.7)


def test_a_crowd_is_no_mask_to_be_found():
    truth = row((1, 10), (0, 10))
    values = metric((truth, row((1, 10), (2, 10)), {1: 0.5, 2: 0.9})).result()
    assert values["ap"] == pytest.approx(1)


def test_masks_equal_those_of_the_published_encoder():
    from pycocotools import mask

    from official.metrics import masks

    generator = np.random.default_rng(5)
    image = blocks(generator, [1, 2, 0, 1001, 2000, VOID], (12, 20), 2)
    found = masks.of_map(image, thing_ids=THINGS)
    assert [one.class_id for one in found] == [0, 0, 0, 1]
    assert [one.crowd for one in found] == [True, False, False, False]
    for one, segment in zip(found, (0, 1, 2, 1001), strict=True):
        expected = mask.encode(np.asfortranarray(image == segment, np.uint8))
        assert dict(one.runs) == expected
        assert one.area == mask.area(expected)


def test_a_predicted_thing_without_a_score_is_refused():
    targets, predictions = batch(row((1, 2)), row((1, 2)))
    predictions["segment_ids"][:] = -1
    with pytest.raises(ValueError, match="the predicted segment 1 has no score"):
        metric().update_state(targets, predictions)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match=r"thing_ids \[4\] are outside of the 4"):
        metrics_lib.PanopticMetrics(class_names=NAMES, thing_ids=(0, 4))
    with pytest.raises(ValueError, match="cannot be weighted"):
        metric().update_state({}, {}, sample_weight=1)
    with pytest.raises(ValueError, match=r"one segment over every image .* 'ap'"):
        metric().constant("ap")


def test_constant_is_the_best_of_the_predictions_tried_out():
    generator = np.random.default_rng(3)
    weights = [1] * 4 + [2000] * 9 + [3000] * 2 + [0, 1001, VOID, VOID, VOID]
    truths = [blocks(generator, weights, (8, 12)) for _ in range(12)]
    truths += [np.full((8, 12), 1, np.int32), row((3000, 5), (VOID, 7))]
    judge = metric(*((truth, truth) for truth in truths))
    for name in ("pq", "pq_things", "pq_stuff", "rq_stuff", "sq"):
        tried = []
        for class_id in range(CLASSES):
            segment = class_id * 1000 + (class_id in THINGS)
            tried.append(
                metric(*((t, np.full_like(t, segment)) for t in truths)).result()[name]
            )
        assert judge.constant(name) == pytest.approx(max(tried))
        assert judge.constant(name) > 0
    assert judge.constant("mean_iou") < 1


def test_records_are_cocos():
    image = np.array([[1, 1, 2000], [VOID, 1, 2000]], np.int32)
    (record,) = metric((image, image, {1: 0.25, 2000: 0.5})).records()
    assert record["image_id"] == "a.jpg"
    assert record["panoptic"].tolist() == image.tolist()
    assert record["segments_info"] == [
        {
            "id": 1,
            "category_id": 0,
            "area": 3,
            "bbox": [0, 0, 2, 2],
            "iscrowd": 0,
            "score": 0.25,
        },
        {
            "id": 2000,
            "category_id": 2,
            "area": 2,
            "bbox": [2, 0, 1, 2],
            "iscrowd": 0,
            "score": 0.5,
        },
    ]


def test_things_may_be_told_with_the_targets():
    truth = row((1, 6), (2000, 6))
    targets, predictions = batch(truth, truth)
    judge = metrics_lib.PanopticMetrics(class_names=NAMES)
    things = {"thing_ids": np.array([THINGS])}
    judge.update_state(targets | things, predictions)
    assert judge.result() == metric((truth, truth)).result()
    judge = metrics_lib.PanopticMetrics(class_names=NAMES)
    with pytest.raises(ValueError, match=r"thing_ids \[9\] are outside of the 4"):
        judge.update_state(targets | {"thing_ids": np.array([[9]])}, predictions)
