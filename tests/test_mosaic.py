"""Four images in one, eagerly and in tf.data."""

import numpy as np
import pytest
import tensorflow as tf

from official.data import mosaic

SIDE = 64


def _batch(count=6, boxes=5):
    """Each image has one rectangle of a color of its own, and the rest is padding."""
    random = np.random.default_rng(0)
    images = np.zeros((count, SIDE, SIDE, 3), np.float32)
    targets = {
        "boxes": np.zeros((count, boxes, 4), np.float32),
        "box_classes": np.full((count, boxes), -1, np.int32),
        "other": np.arange(count, dtype=np.float32),
    }
    for index in range(count):
        top, left = random.integers(0, 40, 2)
        height, width = random.integers(12, 24, 2)
        images[index, top : top + height, left : left + width] = 40 * (index + 1)
        corners = np.array([top, left, top + height, left + width])
        targets["boxes"][index, 0] = corners / SIDE
        targets["box_classes"][index, 0] = index
    return images, targets


def _mixed(component, *, seed=(1, 2), batch=None):
    def function(images, targets):
        return component(images, targets, seed=tf.constant(seed))

    images, targets = _batch() if batch is None else batch
    eager = function(tf.constant(images), targets)
    (mapped,) = tf.data.Dataset.from_tensors((images, targets)).map(function)
    for one, other in zip(tf.nest.flatten(eager), tf.nest.flatten(mapped), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)
    return tf.nest.map_structure(np.asarray, eager)


def test_boxes_go_around_their_rectangles():
    images, targets = _mixed(mosaic.Mosaic(probability=1.0))
    found = 0
    for image, boxes, classes in zip(
        images, targets["boxes"], targets["box_classes"], strict=True
    ):
        for box, label in zip(boxes[classes >= 0], classes[classes >= 0], strict=True):
            color = 40 * (label + 1)
            pixels = np.abs(image[..., 0] - color) < 0.5
            rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
            seen = [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]
            # Pixels at the edge are mixed with black, so not of the color.
            np.testing.assert_allclose(box * SIDE, seen, atol=1.01)
            found += 1
    assert found > len(images)
    assert targets["other"].tolist() == list(range(6))


def test_without_luck_a_batch_stays_as_it_is():
    given_images, given = _batch()
    images, targets = _mixed(mosaic.Mosaic(probability=0.0))
    np.testing.assert_allclose(images, given_images, atol=1e-2)
    np.testing.assert_allclose(targets["boxes"], given["boxes"], atol=1e-6)
    np.testing.assert_array_equal(targets["box_classes"], given["box_classes"])


def test_a_seed_gives_the_same_mosaic_and_another_seed_another():
    one, again = (_mixed(mosaic.Mosaic(), seed=(5, 6))[0] for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - _mixed(mosaic.Mosaic(), seed=(5, 7))[0]).max() > 1


def test_the_window_holds_the_middle_and_stays_in_the_square():
    windows = mosaic.Mosaic(probability=1.0)._windows(500, tf.constant((1, 2))).numpy()
    assert windows.min() >= 0
    assert windows.max() <= 1
    assert (windows[:, :2] <= 0.5).all()
    assert (windows[:, 2:] >= 0.5 - 1e-6).all()
    sides = windows[:, 2:] - windows[:, :2]
    np.testing.assert_allclose(sides[:, 0], sides[:, 1], atol=1e-6)
    assert 0.5 <= sides.min() < 0.52
    assert 0.98 < sides.max() <= 1.0


def _row(box, label):
    boxes, classes = np.array([[box]], np.float32), np.array([[label]], np.int32)
    window = tf.constant([[0.25, 0.25, 0.75, 0.75]])
    seen = mosaic._seen(boxes, classes, window, visible=0.3)
    return [tensor.numpy()[0, 0].tolist() for tensor in seen]


def test_slivers_of_objects_are_dropped_and_of_regions_kept():
    assert _row([0.3, 0.3, 0.5, 0.5], 4)[1] == 4
    assert _row([0.15, 0.3, 0.3, 0.5], 4)[1] == 4  # a third of it is seen
    assert _row([0.05, 0.3, 0.3, 0.5], 4) == [[0.0] * 4, -1]  # a fifth
    box, label = _row([0.05, 0.3, 0.3, 0.5], -2)
    assert label == -2
    np.testing.assert_allclose(box, [0.0, 0.1, 0.1, 0.5], atol=1e-6)
    assert _row([0.8, 0.8, 0.9, 0.9], -2)[1] == -1


def test_where_room_is_short_the_largest_boxes_stay():
    images, targets = _batch(boxes=1)
    assert (targets["box_classes"] >= 0).all()
    _, mixed = _mixed(mosaic.Mosaic(probability=1.0), batch=(images, targets))
    _, all_boxes = _mixed(
        mosaic.Mosaic(probability=1.0), batch=(images, _batch(boxes=4)[1])
    )
    for kept, seen in zip(mixed["boxes"], all_boxes["boxes"], strict=True):
        areas = (seen[:, 2:] - seen[:, :2]).prod(axis=1)
        np.testing.assert_allclose(kept[0], seen[areas.argmax()], atol=1e-6)


def test_a_batch_smaller_than_four_repeats_itself():
    images, targets = _batch(count=1, boxes=4)
    mixed, kept = _mixed(mosaic.Mosaic(probability=1.0), batch=(images, targets))
    assert mixed.shape == images.shape
    assert set(kept["box_classes"][0].tolist()) <= {-1, 0}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"probability": 1.5}, "probability 1.5: want 0..1"),
        ({"visible": -0.1}, "visible -0.1: want 0..1"),
        ({"smallest": 0.4}, r"smallest 0.4: want 0.5..1"),
    ],
)
def test_wrong_settings_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        mosaic.Mosaic(**fields)
