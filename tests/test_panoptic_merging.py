"""Slots to segments: the quick merge equals one that enlarges everything."""

import dataclasses

import numpy as np
import pytest

from official.ops import panoptic
from official.tasks import enlarged_slots, panoptic_merging

THINGS = (0, 1)  # of four classes
CLASSES = 4
VOID = panoptic.VOID
MASK_WISE = panoptic_merging.MaskWise(
    thing_threshold=0.5, stuff_threshold=0.3, overlap_threshold=0.7, mask_power=0.0
)
PIXEL_WISE = panoptic_merging.PixelWise(class_threshold=0.5)


def enlarged(values, size):
    """Bilinear, pixel centers at half integers, edges repeated: one axis, then other."""
    for axis, large in enumerate(size):
        small = values.shape[axis]
        place = np.clip((np.arange(large) + 0.5) * small / large - 0.5, 0, small - 1)
        low = np.floor(place).astype(int)
        high = np.minimum(low + 1, small - 1)
        shape = [1] * values.ndim
        shape[axis] = large
        share = (place - low).reshape(shape)
        values = values.take(low, axis) * (1 - share) + values.take(high, axis) * share
    return values


def softmax(values):
    powers = np.exp(values - values.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def small_become_void(ids, least):
    result = ids.copy()
    for segment in np.unique(ids):
        thing = segment // 1000 in THINGS
        if (ids == segment).sum() < least[0 if thing else 1]:
            result[ids == segment] = VOID
    return result


def plain_mask_wise(merging, mask_logits, class_logits, size):
    chances = softmax(enlarged(mask_logits.astype(np.float64), size))
    of_classes = softmax(class_logits.astype(np.float64))[:, :-1]
    class_ids, confidence = of_classes.argmax(-1), of_classes.max(-1)
    masks = chances > merging.pixel_threshold
    means = np.array(
        [
            chances[..., n][m].mean() if m.any() else 0
            for n, m in enumerate(np.moveaxis(masks, -1, 0))
        ]
    )
    scores = confidence**merging.class_power * means**merging.mask_power
    ids = np.full(size, VOID)
    for slot in np.argsort(-scores, kind="stable"):
        thing = class_ids[slot] in THINGS
        least = merging.thing_threshold if thing else merging.stuff_threshold
        mask = masks[..., slot]
        free = mask & (ids == VOID)
        enough = free.sum() > merging.overlap_threshold * mask.sum()
        if confidence[slot] >= least and enough:
            ids[free] = class_ids[slot] * 1000 + (slot + 1 if thing else 0)
    return ids, scores


def plain_pixel_wise(merging, mask_logits, class_logits, size):
    values = enlarged(mask_logits.astype(np.float64), size)
    of_classes = softmax(class_logits.astype(np.float64))[:, :-1]
    class_ids, confidence = of_classes.argmax(-1), of_classes.max(-1)
    kept = confidence >= merging.class_threshold
    best = values.argmax(-1)
    chances = softmax(np.where(kept, values, -99999)).max(-1)
    things = np.isin(class_ids, THINGS)
    slots = class_ids * 1000 + np.where(things, np.arange(len(kept)) + 1, 0)
    return np.where(kept[best] & (chances > merging.pixel_threshold), slots[best], VOID)


def drawn(seed, *, shape=(9, 13), slots=12, scale=2.0):
    """Blobs that slots claim, with noise: settled regions and doubtful ones."""
    generator = np.random.default_rng(seed)
    height, width = shape
    y, x = np.mgrid[:height, :width]
    centers = generator.random((slots, 2)) * shape
    distance = np.hypot(y[..., None] - centers[:, 0], x[..., None] - centers[:, 1])
    noise = generator.normal(size=(height, width, slots))
    masks = (-scale * distance + noise * scale / 2).astype(np.float32)
    classes = generator.normal(size=(slots, CLASSES + 1)).astype(np.float32)
    classes[np.arange(slots), generator.integers(0, CLASSES + 1, slots)] += 3
    return masks, classes


SIZES = [(36, 52), (37, 50), (18, 26), (9, 13), (5, 40), (100, 7)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [0.2, 0.7, 2.0, 10.0])
def test_mask_wise_equals_the_plain_formulation(size, scale):
    for seed in range(3):
        masks, classes = drawn(seed, scale=scale)
        found = MASK_WISE(masks, classes, size=size, thing_ids=THINGS)
        expected, _ = plain_mask_wise(MASK_WISE, masks, classes, size)
        assert found.panoptic.dtype == np.int32
        assert found.panoptic.tolist() == expected.tolist()
        assert found.ids.tolist() == sorted(set(np.unique(expected)) - {VOID})


@pytest.mark.parametrize("scale", [0.2, 0.7, 2.0, 10.0])
def test_scores_by_the_mean_probability_are_near_those_of_the_plain_formulation(scale):
    # Within settled cells it is interpolated; near scores may change their order then.
    merging = dataclasses.replace(MASK_WISE, mask_power=1.0)
    for seed in range(6):
        masks, classes = drawn(seed, scale=scale)
        found = merging(masks, classes, size=(36, 52), thing_ids=THINGS)
        expected, scores = plain_mask_wise(merging, masks, classes, (36, 52))
        assert (found.panoptic == expected).mean() > 0.97
        for segment, score in zip(found.ids, found.scores, strict=True):
            if segment % 1000:
                assert score == pytest.approx(scores[segment % 1000 - 1], abs=0.03)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [0.2, 0.7, 2.0, 10.0])
def test_pixel_wise_equals_the_plain_formulation(size, scale):
    for seed in range(3):
        masks, classes = drawn(seed, scale=scale)
        found = PIXEL_WISE(masks, classes, size=size, thing_ids=THINGS)
        expected = plain_pixel_wise(PIXEL_WISE, masks, classes, size)
        assert found.panoptic.tolist() == expected.tolist()
        assert found.ids.tolist() == sorted(set(np.unique(expected)) - {VOID})


def test_the_drawn_cases_have_overlaps_void_and_settled_cells():
    masks, _ = drawn(0, scale=0.7)
    found = enlarged_slots.claims(masks, (36, 52), threshold=0.4)
    assert len(found.doubles.pixels) > 10
    assert (found.first == enlarged_slots.NONE).mean() > 0.05
    # With sharp masks most cells are not enlarged.
    masks, _ = drawn(0, scale=10.0)
    best = softmax(masks).max(-1)
    assert (best > 0.6).mean() > 0.9


def test_enlarging_is_that_of_tensorflow():
    import tensorflow as tf

    values = np.random.default_rng(0).normal(size=(5, 7, 3)).astype(np.float32)
    for size in ((20, 28), (13, 30), (3, 4)):
        expected = tf.image.resize(values, size, method="bilinear", antialias=False)
        np.testing.assert_allclose(enlarged(values, size), expected, atol=1e-5)


def test_integer_logits_tie_as_in_the_plain_formulation():
    masks, classes = drawn(4, scale=0.7)
    masks = np.rint(masks).astype(np.float32)
    found = PIXEL_WISE(masks, classes, size=(36, 52), thing_ids=THINGS)
    expected = plain_pixel_wise(PIXEL_WISE, masks, classes, (36, 52))
    assert (found.panoptic == expected).mean() > 0.99


def test_extreme_logits_stay_finite():
    masks = np.zeros((4, 4, 3), np.float32)
    masks[:, :2, 0] = 3e4
    masks[:, 2:, 1] = 3e4
    classes = np.eye(3, CLASSES + 1, dtype=np.float32) * 20
    for merging in (MASK_WISE, PIXEL_WISE):
        found = merging(masks, classes, size=(16, 16), thing_ids=THINGS)
        assert found.panoptic[0, 0] == 1
        assert found.panoptic[0, 15] == 1002
        assert np.isfinite(found.scores).all()


def test_stuff_of_several_slots_is_one_segment_and_things_are_several():
    masks = np.full((2, 8, 4), -20, np.float32)
    for slot in range(4):
        masks[:, 2 * slot : 2 * slot + 2, slot] = 20
    classes = np.full((4, CLASSES + 1), -20, np.float32)
    classes[[0, 1, 2, 3], [2, 0, 2, 0]] = 20
    found = MASK_WISE(masks, classes, size=(2, 8), thing_ids=THINGS)
    assert found.panoptic[0].tolist() == [2000, 2000, 2, 2, 2000, 2000, 4, 4]
    assert found.ids.tolist() == [2, 4, 2000]
    np.testing.assert_allclose(found.scores, 1, atol=1e-6)


def test_least_areas_are_of_the_networks_input():
    # Input 8 x 32 at stride 4; the image has a quarter of its pixels: the first slot
    # has 4 x 4 = 16 pixels of it, 64 of the input, the second 48, 192 of the input.
    masks = np.full((2, 8, 2), -20, np.float32)
    masks[:, :2, 0] = 20
    masks[:, 2:, 1] = 20
    classes = np.full((2, CLASSES + 1), -20, np.float32)
    classes[[0, 1], [0, 2]] = 20
    for thing_area, stuff_area, expected in (
        (64, 192, [1, 2000]),
        (65, 192, [2000]),
        (64, 193, [1]),
    ):
        merging = panoptic_merging.MaskWise(
            thing_threshold=0.5,
            stuff_threshold=0.5,
            overlap_threshold=0.8,
            min_thing_area=thing_area,
            min_stuff_area=stuff_area,
        )
        found = merging(masks, classes, size=(4, 16), thing_ids=THINGS)
        assert found.ids.tolist() == expected
        assert sorted(set(np.unique(found.panoptic)) - {VOID}) == expected


def test_a_mask_mostly_taken_is_not_pasted():
    # Two slots of equal logits on the left half; the second alone has one more column.
    masks = np.full((4, 8, 3), -20, np.float32)
    masks[:, :4, :2] = 5
    masks[:, 4, 1] = 5
    masks[:, 5:, 2] = 5
    classes = np.full((3, CLASSES + 1), -20, np.float32)
    # The second is sure by 0.8, times 0.6 in the mean: it comes after the first's 0.5.
    classes[[0, 1, 2], [0, 1, 2]] = [20, -20 + np.log(16), 20]
    merging = dataclasses.replace(MASK_WISE, mask_power=1.0)
    found = merging(masks, classes, size=(4, 8), thing_ids=THINGS)
    # Of the second slot's 20 pixels 4 are free, less than 0.7 of them.
    assert found.panoptic[0].tolist() == [1] * 4 + [VOID] + [2000] * 3


def test_what_nobody_is_sure_of_is_void():
    masks, classes = drawn(0)
    for merging in (MASK_WISE, PIXEL_WISE):
        found = merging(masks, 0 * classes, size=(18, 26), thing_ids=THINGS)
        assert (found.panoptic == VOID).all()
        assert len(found.ids) == len(found.scores) == 0


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match=r"pixel_threshold 0\.2: want 1/3 or more"):
        panoptic_merging.PixelWise(pixel_threshold=0.2)
    with pytest.raises(ValueError, match="1000 slots: a panoptic id has room for 999"):
        MASK_WISE(
            np.zeros((1, 1, 1000)), np.zeros((1000, 3)), size=(1, 1), thing_ids=()
        )


def test_the_published_thresholds_are_per_data_set():
    presets = (panoptic_merging.COCO, panoptic_merging.CITYSCAPES)
    assert [p.overlap_threshold for p in presets] == [0.8, 0.9]
    assert panoptic_merging.ADE20K.min_stuff_area == 0
    # The mean probability does not matter in Cityscapes' order.
    assert panoptic_merging.CITYSCAPES.mask_power == 0
