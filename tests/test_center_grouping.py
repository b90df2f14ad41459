"""Panoptic-DeepLab's grouping of pixels around centers."""

import dataclasses

import numpy as np
import pytest

from official.ops import panoptic
from official.tasks import center_grouping

THINGS = (0, 1)
GROUPING = center_grouping.CenterGrouping(nms_kernel=3, min_stuff_area=0, stride=4)
VOID = panoptic.VOID


def outputs(classes, centers, offsets=None):
    """Sure logits of a class map, and a heatmap: {(y, x): height}."""
    classes = np.asarray(classes)
    logits = 20.0 * np.eye(4)[classes]
    heatmap = np.zeros((*classes.shape, 1))
    for place, height in centers.items():
        heatmap[place] = height
    if offsets is None:
        offsets = np.zeros((*classes.shape, 2))
    return logits, heatmap, offsets


def grouped(*given, size, grouping=GROUPING):
    return grouping(*given, size=size, thing_ids=THINGS)


def test_a_pixel_goes_to_the_center_nearest_to_its_place():
    given = outputs([[0] * 8], {(0, 1): 0.9, (0, 6): 0.5})
    found = grouped(*given, size=(1, 8))
    assert found.panoptic.tolist() == [[1, 1, 1, 1, 2, 2, 2, 2]]
    assert found.panoptic.dtype == np.int32
    assert found.ids.tolist() == [1, 2]
    np.testing.assert_allclose(found.scores, [0.9, 0.5], rtol=1e-5)


def test_offsets_are_pixels_of_the_input_y_first():
    # Places are 4 pixels of the input apart: 5 places to the right are 20 pixels.
    offsets = np.zeros((1, 8, 2))
    offsets[0, 1, 1] = 20
    given = outputs([[0] * 8], {(0, 1): 0.9, (0, 6): 0.5}, offsets)
    assert grouped(*given, size=(1, 8)).panoptic[0].tolist() == [1, 2, 1, 1, 2, 2, 2, 2]
    offsets[0, 1] = [20, 0]  # down, where no center is: still nearest to the first
    given = outputs([[0] * 8], {(0, 1): 0.9, (0, 6): 0.5}, offsets)
    assert grouped(*given, size=(1, 8)).panoptic[0].tolist() == [1] * 4 + [2] * 4
    # At twice the size a pixel is half as far from its neighbour.
    plain = outputs([[0] * 8], {(0, 1): 0.9, (0, 6): 0.5})
    assert grouped(*plain, size=(2, 16)).panoptic.tolist() == [[1] * 8 + [2] * 8] * 2


def test_an_instance_has_the_class_of_most_of_its_pixels_and_stuff_keeps_its_own():
    given = outputs([[1, 0, 0, 2, 2, 1]], {(0, 1): 0.9, (0, 5): 0.8})
    found = grouped(*given, size=(1, 6))
    assert found.panoptic[0].tolist() == [1, 1, 1, 2000, 2000, 1002]


def test_the_lower_of_two_near_centers_is_none_and_so_is_one_below_the_threshold():
    centers = {(0, 1): 0.9, (0, 2): 0.8, (0, 7): 0.1, (0, 5): 0.2}
    given = outputs([[0] * 8], centers)
    assert grouped(*given, size=(1, 8)).ids.tolist() == [1, 2]
    one = dataclasses.replace(GROUPING, centers=1)
    assert grouped(*given, size=(1, 8), grouping=one).ids.tolist() == [1]
    wide = dataclasses.replace(GROUPING, nms_kernel=9)
    assert grouped(*given, size=(1, 8), grouping=wide).ids.tolist() == [1]


def test_of_equal_neighbours_one_is_a_center():
    given = outputs([[0] * 8], {(0, 2): 0.5, (0, 3): 0.5, (0, 7): 0.5})
    assert grouped(*given, size=(1, 8)).ids.tolist() == [1, 2]


def test_things_without_a_center_are_void():
    given = outputs([[0, 0, 2, 2]], {(0, 0): 0.05})
    found = grouped(*given, size=(1, 4))
    assert found.panoptic[0].tolist() == [VOID, VOID, 2000, 2000]
    assert found.ids.tolist() == [2000]


def test_small_stuff_is_void_measured_in_the_networks_input():
    # 3 places of 16 pixels of the input each: 48.
    given = outputs([[2, 2, 2, 3, 3, 3, 3, 3]], {})
    for least, expected in ((48, [2000, 3000]), (49, [3000])):
        grouping = dataclasses.replace(GROUPING, min_stuff_area=least)
        found = grouped(*given, size=(1, 8), grouping=grouping)
        assert found.ids.tolist() == expected


def test_scores_are_height_times_the_mean_probability():
    logits, heatmap, offsets = outputs([[0, 0, 2, 2]], {(0, 0): 0.5})
    logits = logits / 20  # e / (e + 3) = 0.4754
    found = grouped(logits, heatmap, offsets, size=(1, 4))
    np.testing.assert_allclose(found.scores, [0.5 * 0.4754, 0.4754], atol=1e-4)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="nms_kernel 4: want an odd number"):
        center_grouping.CenterGrouping(nms_kernel=4)
    with pytest.raises(ValueError, match=r"centers 1000: want 1\.\.999"):
        center_grouping.CenterGrouping(centers=1000)
