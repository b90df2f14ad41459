"""Boxes that follow what is in them, eagerly and in tf.data."""

import numpy as np
import pytest
import tensorflow as tf

from official.data import box_transforms
from official.ops import box_kinds

SEEDS = [(3, number) for number in range(12)]
SIZE = (96, 160)


def _painted(height=120, width=200, box=(24, 40, 72, 100), kind=box_kinds.OBJECT):
    """A white rectangle on black, and its box in pixels."""
    image = np.zeros((height, width, 3), np.uint8)
    top, left, bottom, right = box
    image[top:bottom, left:right] = 255
    return {
        "image": image,
        "boxes": np.array([box], np.float32),
        "box_classes": np.array([2], np.int32),
        "box_kinds": np.array([kind], np.int32),
    }


def _both(function, example):
    """Results of a function called eagerly; those of tf.data must be the same."""
    eager = function({key: tf.constant(value) for key, value in example.items()})
    (mapped,) = tf.data.Dataset.from_tensors(example).map(function)
    for one, other in zip(tf.nest.flatten(eager), tf.nest.flatten(mapped), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-3)
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), eager)


def _eagerly(function, example):
    return tf.nest.map_structure(np.asarray, function(example))


def _seen(image):
    """The box around what is bright, in shares; pixels half covered are at its edge."""
    bright = image[..., 0] > 127
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    box = np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])
    return box / np.tile(image.shape[:2], 2)


def _assert_follows(view, pixels=1.0):
    difference = np.abs(view.boxes - _seen(view.image)).max(axis=0)
    assert (difference * np.tile(view.image.shape[:2], 2) <= pixels).all()


def _transformed(window=None, *, seed=(0, 0), fill=0.0, size=SIZE):
    """A function that cuts out of an example what `window(view, all, seed)` says."""

    def function(example):
        view = box_transforms.boxed(example)
        chosen = box_transforms.whole(view.image)
        if window is not None:
            chosen = window(view, chosen, tf.constant(seed))
        return box_transforms.cut(view, chosen, size=size, fill=fill)

    return function


WINDOWS = {
    "zoom out": lambda view, window, seed: box_transforms.zoom_out(
        window, seed=seed, probability=1.0
    ),
    "jitter": lambda view, window, seed: box_transforms.scale_jitter(
        window, scale_range=(0.4, 1.2), seed=seed
    ),
    "crop": lambda view, window, seed: box_transforms.ssd_crop(view, window, seed=seed),
    "crop of a zoom": lambda view, window, seed: box_transforms.ssd_crop(
        view, box_transforms.zoom_out(window, seed=seed), seed=seed
    ),
}


def test_the_whole_image_is_resized_and_no_more():
    view = _both(_transformed(size=(60, 100)), _painted())
    np.testing.assert_allclose(view.boxes, [[0.2, 0.2, 0.6, 0.5]], atol=1e-6)
    assert view.image.shape == (60, 100, 3)
    assert view.image.dtype == np.float32
    assert view.classes.tolist() == [2]
    assert view.kinds.tolist() == [box_kinds.OBJECT]
    _assert_follows(view, pixels=1e-4)


@pytest.mark.parametrize("name", WINDOWS)
def test_a_rectangle_and_its_box_move_alike(name):
    kept = 0
    for seed in SEEDS:
        run = _both if seed == SEEDS[0] else _eagerly
        view = run(_transformed(WINDOWS[name], seed=seed), _painted())
        if len(view.boxes):
            _assert_follows(view)
            kept += 1
    assert kept > len(SEEDS) / 2


@pytest.mark.parametrize("name", WINDOWS)
def test_seeds_differ_and_repeat(name):
    once, again = (
        [_transformed(WINDOWS[name], seed=seed)(_painted()).image for seed in SEEDS]
        for _ in range(2)
    )
    for one, other in zip(once, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len({image.numpy().tobytes() for image in once}) > len(SEEDS) / 2


def test_a_flip_takes_the_box_along():
    def flipped(seed):
        def function(example):
            view = box_transforms.boxed(example)
            return box_transforms.random_flip(view, seed=tf.constant(seed))

        run = _both if seed == SEEDS[0] else _eagerly
        return run(function, _painted())

    views = [flipped(seed) for seed in SEEDS]
    for view in views:
        assert view.image.dtype == np.uint8
        _assert_follows(view, pixels=1e-3)
    lefts = {round(float(view.boxes[0, 1]), 3) for view in views}
    assert lefts == {0.2, 0.5}


def test_a_zoom_shows_everything_up_to_four_times_smaller():
    sides = []
    for seed in SEEDS:
        view = _transformed(WINDOWS["zoom out"], seed=seed)(_painted())
        sides.append(float(view.boxes[0, 2] - view.boxes[0, 0]) / 0.4)
    assert 0.24 < min(sides) < 0.5
    assert max(sides) <= 1.0
    untouched = box_transforms.zoom_out(
        tf.constant([0, 0, 120, 200]), seed=tf.constant(SEEDS[0]), probability=0.0
    )
    assert untouched.numpy().tolist() == [0, 0, 120, 200]


def test_padding_is_filled():
    view = box_transforms.boxed(_painted())
    shown = box_transforms.cut(view, tf.constant([-120, 0, 120, 200]), size=(40, 40))
    assert shown.image.numpy()[:20].min() == shown.image.numpy()[:20].max() == 127.5
    np.testing.assert_allclose(shown.boxes, [[0.6, 0.2, 0.8, 0.5]], atol=1e-6)


def test_an_object_whose_center_is_outside_is_dropped_and_a_crowd_stays():
    window = tf.constant([0, 0, 120, 65])  # the center is at 70
    for kind, left in (
        (box_kinds.OBJECT, 0),
        (box_kinds.CROWD, 1),
        (box_kinds.DIFFICULT, 1),
    ):
        view = box_transforms.boxed(_painted(kind=kind))
        cut = box_transforms.cut(view, window, size=SIZE)
        assert len(cut.boxes) == len(cut.classes) == len(cut.kinds) == left
    inside = box_transforms.cut(view, tf.constant([0, 0, 120, 75]), size=SIZE)
    np.testing.assert_allclose(inside.boxes, [[0.2, 40 / 75, 0.6, 1.0]], atol=1e-6)


def test_what_is_left_of_a_crowd_has_an_area():
    view = box_transforms.boxed(_painted(kind=box_kinds.CROWD))
    assert not len(box_transforms.cut(view, tf.constant([0, 0, 24, 200]), size=SIZE)[1])


def test_a_crop_keeps_an_object_and_its_proportions():
    for seed in SEEDS * 3:
        view = box_transforms.boxed(_painted())
        window = box_transforms.whole(view.image)
        window = box_transforms.ssd_crop(view, window, seed=tf.constant(seed)).numpy()
        height, width = window[2:] - window[:2]
        assert height * width >= 0.09 * 120 * 200
        assert 0.45 < width / height < 2.2
        assert len(box_transforms.cut(view, tf.constant(window), size=SIZE).boxes) == 1


@pytest.mark.parametrize("name", WINDOWS)
def test_images_without_boxes_go_through(name):
    example = _painted() | {
        "boxes": np.zeros((0, 4), np.float32),
        "box_classes": np.zeros(0, np.int32),
        "box_kinds": np.zeros(0, np.int32),
    }
    for seed in SEEDS[:1]:
        view = _both(_transformed(WINDOWS[name], seed=seed), example)
        assert view.boxes.shape == (0, 4)
        assert view.image.shape == (*SIZE, 3)


def test_no_box_leaves_the_image_or_loses_its_area():
    random = np.random.default_rng(0)
    corners = np.sort(random.uniform(0, 1, (40, 2, 2)), axis=1)
    boxes = corners.reshape(40, 4) * [120, 200, 120, 200]
    example = _painted() | {
        "boxes": boxes.astype(np.float32),
        "box_classes": np.arange(40, dtype=np.int32),
        "box_kinds": (np.arange(40) % 3).astype(np.int32),
    }
    for name in WINDOWS:
        for seed in SEEDS:
            view = _transformed(WINDOWS[name], seed=seed)(example)
            found = view.boxes.numpy()
            assert found.min(initial=0.0) >= 0.0
            assert found.max(initial=1.0) <= 1.0
            assert (found[:, 2:] - found[:, :2] >= 0.001).all()
            assert (view.kinds.numpy() == view.classes.numpy() % 3).all()


def test_colors_change_half_the_time_each_and_stay_in_range():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    results = [
        box_transforms.photometric(image, seed=tf.constant((7, number))).numpy()
        for number in range(64)
    ]
    unchanged = [np.abs(result - image).max() < 0.01 for result in results]
    assert 0 < sum(unchanged) < 16  # one in sixteen is expected
    assert min(result.min() for result in results) >= 0.0
    assert max(result.max() for result in results) <= 255.0
