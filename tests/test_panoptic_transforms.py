"""Maps of classes and instances that move together, and pasted segments."""

import numpy as np
import pytest
import tensorflow as tf

from official.data import base, copy_paste, panoptic_transforms, transforms
from official.data.synthetic import SyntheticStreets

CAR, SKY, ROAD, VOID = 0, 1, 2, base.IGNORE_LABEL
THINGS = (CAR,)


def test_two_maps_move_as_each_would_alone():
    (example,) = SyntheticStreets(height=64, width=96).pick("train", [3])
    seed = tf.constant((4, 2))

    def moved(labels):
        image, labels = transforms.random_scale_crop(
            tf.constant(example["image"]),
            labels,
            base_size=(64, 96),
            scale_range=(0.5, 1.5),
            crop_size=(80, 80),
            seed=seed,
        )
        return transforms.random_flip(image, labels, seed=seed)

    image, semantic = moved(tf.constant(example["semantic"]))
    packed = panoptic_transforms.pack(example["semantic"], example["instance"])
    same, both = moved(packed)
    classes, instances = panoptic_transforms.unpack(both)
    np.testing.assert_array_equal(image, same)
    np.testing.assert_array_equal(semantic, classes)
    padding = classes.numpy() == VOID
    assert padding.any()
    assert not instances.numpy()[padding].any()
    things = np.isin(classes, SyntheticStreets().thing_ids)
    assert things.any()
    np.testing.assert_array_equal(things, instances.numpy() > 0)


def test_packing_keeps_all_numbers():
    semantic = np.array([[0, 254, 255, 255]], np.int32)
    instance = np.array([[0, 1, 0, 2**23 - 1]], np.int32)
    for one, other in zip(
        panoptic_transforms.unpack(panoptic_transforms.pack(semantic, instance)),
        (semantic, instance),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


# Sky over road with a car; two cars, and nothing beside them.
FIRST = [[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [1, 1, 2, 2]]
SECOND = [[-1, -1, -1, 1], [-1, -1, -1, 1], [-1, -1, 0, 1], [-1, -1, 0, 1]]
CLASSES = [[SKY, ROAD, CAR, -1, -1], [CAR, CAR, -1, -1, -1]]


def _batch(maps, classes, *, enlarge=lambda side: 2 * side):
    segments, classes = np.array(maps, np.int32), np.array(classes, np.int32)
    count, *sides = segments.shape
    images = np.zeros((count, *map(enlarge, sides), 3), np.float32)
    images += 100 * np.arange(1, count + 1)[:, None, None, None]
    known = np.pad(classes, ((0, 0), (0, 1)), constant_values=VOID)
    semantic = np.stack([row[m] for row, m in zip(known, segments, strict=True)])
    return images, {
        "segments": segments,
        "segment_classes": classes,
        "semantic": semantic,
        "other": np.arange(count),
    }


def _pasted(batch, *, seed=(0, 0), probability=1.0):
    component = copy_paste.CopyPaste(probability=probability)

    def function(images, targets):
        return component(
            images, targets, thing_ids=THINGS, seed=tf.constant(seed, tf.int32)
        )

    eager = function(*tf.nest.map_structure(tf.constant, batch))
    (mapped,) = tf.data.Dataset.from_tensors(batch).map(function)
    for one, other in zip(tf.nest.flatten(eager), tf.nest.flatten(mapped), strict=True):
        np.testing.assert_array_equal(one, other)
    return tf.nest.map_structure(np.asarray, eager)


def test_things_of_the_next_image_cover_the_image():
    """Worked by hand: the own car is covered, so its number goes to another."""
    batch = _batch((FIRST, SECOND), CLASSES)
    images, targets = _pasted(batch)
    assert targets["segments"][0].tolist() == [
        [0, 0, 0, 3],
        [0, 0, 0, 3],
        [1, 1, 2, 3],
        [1, 1, 2, 3],
    ]
    assert targets["segment_classes"][0].tolist() == [SKY, ROAD, CAR, CAR, -1]
    assert targets["semantic"][0].tolist() == [
        [SKY, SKY, SKY, CAR],
        [SKY, SKY, SKY, CAR],
        [ROAD, ROAD, CAR, CAR],
        [ROAD, ROAD, CAR, CAR],
    ]
    # Two pixels of the image, across and down, for one of the map.
    cars = np.kron(targets["semantic"][0] == CAR, np.ones((2, 2)))
    np.testing.assert_array_equal(images[0, ..., 0], np.where(cars, 200, 100))
    np.testing.assert_array_equal(targets["other"], batch[1]["other"])


def test_the_largest_segments_stay_where_there_are_too_many():
    batch = _batch((FIRST, SECOND), [row[:3] for row in CLASSES])
    _, targets = _pasted(batch)
    # Sky 6, road 4 and one car 4 pixels; the car of 2 keeps its class alone.
    assert targets["segment_classes"][0].tolist() == [SKY, ROAD, CAR]
    assert targets["segments"][0][2].tolist() == [1, 1, -1, 2]
    assert targets["semantic"][0][2].tolist() == [ROAD, ROAD, CAR, CAR]


def test_stuff_goes_into_the_segment_of_its_class():
    first, second = [[0, 0, 1, 1]], [[0, 0, 0, 1]]
    batch = _batch((first, second), [[ROAD, SKY, -1], [SKY, CAR, -1]])
    found = set()
    for number in range(20):
        _, targets = _pasted(batch, seed=(number, 5))
        found.add((*targets["segments"][0, 0], *targets["segment_classes"][0]))
    assert found == {
        (0, 0, 1, 2, ROAD, SKY, CAR),  # the sky was not drawn
        (0, 0, 0, 1, SKY, CAR, -1),  # it was, and covers the road and joins the sky
    }


def _random_batch(seed, count=4, side=12, rows=9):
    generator = np.random.default_rng(seed)
    maps, classes = [], []
    for _ in range(count):
        coarse = generator.integers(-1, rows, (side // 3, side // 3))
        segments = np.kron(coarse, np.ones((3, 3), int))
        # Each stuff has one segment at most.
        named = np.full(rows, CAR)
        named[generator.permutation(rows)[:2]] = SKY, ROAD
        seen = np.isin(np.arange(rows), segments)
        maps.append(segments)
        classes.append(np.where(seen, named, -1))
    return _batch(maps, classes)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_pasted_stays_whole_and_true(seed):
    images, targets = _random_batch(seed)
    mixed_images, mixed = _pasted((images, targets), seed=(seed, 9))
    for index in range(len(images)):
        other = (index + 1) % len(images)
        segments, semantic = mixed["segments"][index], mixed["semantic"][index]
        classes = mixed["segment_classes"][index]
        # Numbers have no gap, and what has a number has a class.
        count = (classes >= 0).sum()
        assert set(segments[segments >= 0]) == set(range(count))
        assert (classes[count:] == -1).all()
        inside = segments >= 0
        np.testing.assert_array_equal(classes[segments[inside]], semantic[inside])
        stuff = classes[(classes >= 0) & (classes != CAR)]
        assert len(set(stuff)) == len(stuff)
        # Labels and image come from the same of the two.
        from_other = mixed_images[index, ::2, ::2, 0] == 100 * (other + 1)
        expected = np.where(
            from_other, targets["semantic"][other], targets["semantic"][index]
        )
        np.testing.assert_array_equal(semantic, expected)
        assert not (from_other & (targets["segments"][other] < 0)).any()
        for number, label in enumerate(targets["segment_classes"][other]):
            mask = targets["segments"][other] == number
            if label == CAR:
                assert from_other[mask].all()
                (found,) = set(segments[mask])
                if found >= 0:
                    np.testing.assert_array_equal(segments == found, mask)
            elif label >= 0:
                assert from_other[mask].all() or not from_other[mask].any()


def test_probability_decides_how_many_images_change():
    images, targets = _random_batch(0, count=64)
    same_images, same = _pasted((images, targets), probability=0.0)
    np.testing.assert_array_equal(images, same_images)
    np.testing.assert_array_equal(targets["semantic"], same["semantic"])
    half, _ = _pasted((images, targets), probability=0.5)
    changed = (half != images).any(axis=(1, 2, 3)).sum()
    assert 20 <= changed <= 44  # 32, and three deviations of 4 on either side
    with pytest.raises(ValueError, match=r"probability 1.5: want 0..1"):
        copy_paste.CopyPaste(probability=1.5)


def test_targets_may_be_at_pixels_of_the_image_that_are_a_step_apart():
    batch = _batch((FIRST, SECOND), CLASSES, enlarge=lambda side: 4 * (side - 1) + 1)
    images, targets = _pasted(batch)
    assert images.shape[1:3] == (13, 13)
    cars = targets["semantic"][0] == CAR
    np.testing.assert_array_equal(images[0, ::4, ::4, 0] == 200, cars)
    # Pixels between two of the map go to the nearer one.
    assert (images[0, 0, :, 0] == 200).tolist() == [False] * 10 + [True] * 3


def test_targets_of_another_size_are_refused():
    batch = _batch((FIRST, SECOND), CLASSES, enlarge=lambda side: 2 * side + 1)
    with pytest.raises(
        ValueError, match=r"targets of 4 pixels for an image of 9: want"
    ):
        _pasted(batch)
