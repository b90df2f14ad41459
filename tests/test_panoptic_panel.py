"""Drawn segments, and how a file's outputs are read."""

import dataclasses
import json

import numpy as np
import pytest

from official.ops import panoptic
from official.report import segments
from official.report.panels import base as panels
from official.tasks import center_grouping, panoptic_merging, segment_reader

PANEL = panels.find("panoptic")
NAMES = ("person", "car", "road")
PALETTE = ((220, 20, 60), (0, 0, 142), (128, 64, 128))
THINGS = (0, 1)
VOID = panoptic.VOID
PHOTO = np.full((60, 90, 3), 200, np.uint8)

TRUTH = np.full((60, 90), 2000, np.int32)
TRUTH[10:50, 10:30] = 1
TRUTH[10:50, 30:50] = 2
TRUTH[10:50, 60:80] = 1007
TRUTH[:5] = VOID


def predicted(pixels, scores):
    return {
        "panoptic": pixels,
        "segment_ids": np.array([*scores, -1], np.int32),
        "segment_scores": np.array([*scores.values(), 0], np.float32),
    }


def test_stuff_has_its_classes_color_and_things_have_shades():
    found = segments.colors(TRUTH, PALETTE)
    assert found[2000] == PALETTE[2]
    assert found[VOID] == (0, 0, 0)
    assert found[1007] == PALETTE[1]
    assert {found[1], found[2]} > {PALETTE[0]}
    assert len({*found.values()}) == len(found)


def test_many_things_have_as_many_colors():
    pixels = np.arange(1, 61, dtype=np.int32).reshape(1, -1)
    assert len({*segments.colors(pixels, PALETTE).values()}) == 60


def test_a_thing_found_again_keeps_its_color_and_another_gets_a_new_one():
    shades = segments.colors(TRUTH, PALETTE)
    other = np.where(TRUTH == 2, 44, TRUTH)  # the same thing under another number
    other[10:50, 10:13] = 2000  # most of the first is left
    other[10:50, 60:80] = 99  # a person in the place of a car
    found = segments.colors(other, PALETTE, like=(TRUTH, shades))
    assert found[44] == shades[2]
    assert found[1] == shades[1]
    assert found[99] not in shades.values()


def test_classes_beyond_the_palette_are_drawn():
    pixels = np.full((60, 90), 7003, np.int32)
    picture = PANEL.draw(
        PHOTO, {}, {"a file": predicted(pixels, {})}, class_names=NAMES, palette=PALETTE
    )
    assert picture.width > 480
    assert PANEL.lines(predicted(pixels, {7003: 0.5}), NAMES) == (
        " 50.0 %  class 7, 100.0 % of the image",
    )


def test_truth_and_predictions_stand_side_by_side():
    example = {
        "semantic": np.where(TRUTH == VOID, 255, TRUTH // 1000),
        "instance": TRUTH % 1000,
        "thing_ids": np.array(THINGS, np.int32),
    }
    truth = PANEL.truth(example)
    assert truth["panoptic"].tolist() == TRUTH.tolist()
    assert PANEL.truth({"semantic": example["semantic"]}) == {}
    padded = np.pad(TRUTH, ((0, 4), (0, 4)), constant_values=VOID)
    shown = {"one": predicted(padded, {1: 0.9}), "two": predicted(TRUTH, {})}
    picture = PANEL.draw(PHOTO, truth, shown, class_names=NAMES, palette=PALETTE)
    single = PANEL.draw(PHOTO, truth, {}, class_names=NAMES, palette=PALETTE)
    assert picture.height > single.height  # four tiles stand in two rows
    pixels = np.asarray(single)[18:338, 492:972]  # the second tile, 480 x 320
    # At the middle of the car 40 % photograph and 60 % of the color.
    expected = 0.4 * 200 + 0.6 * np.array(PALETTE[1])
    np.testing.assert_allclose(pixels[80, 340], expected, atol=1)
    # Outlines are white: between the two persons, 30 of 90 columns from the left.
    assert pixels[100, 160].tolist() == [255] * 3


def test_names_are_written_on_things_and_crowds():
    crowd = np.where(TRUTH == 2, 0, TRUTH)
    plain = {"panoptic": crowd, "thing_ids": np.array([], np.int32)}
    named = {"panoptic": crowd, "thing_ids": np.array(THINGS, np.int32)}
    pictures = [
        np.asarray(PANEL.draw(PHOTO, t, {}, class_names=NAMES, palette=PALETTE))
        for t in (plain, named)
    ]
    assert (pictures[0] != pictures[1]).any()
    dark = [(picture == 20).all(axis=-1).sum() for picture in pictures]
    assert dark[1] > dark[0] + 200  # the box of "person (crowd)"


def _assert_void(pixels):
    """The photograph of 200s, dark, with lines."""
    found = np.unique(pixels.reshape(-1, 3), axis=0)
    np.testing.assert_allclose(found, [[0.4 * 200] * 3, [120] * 3], atol=1)


def test_training_targets_are_drawn():
    targets = {
        "segments": np.array([[0, 0, 1], [-1, 2, 1]]),
        "segment_classes": np.array([0, 2, 0, -1]),
    }
    picture = PANEL.sample(PHOTO, targets, class_names=NAMES, palette=PALETTE)
    pixels = np.asarray(picture)
    assert picture.size == (320, 213)
    _assert_void(pixels[180:200, 5:25])
    road = 0.4 * 200 + 0.6 * np.array(PALETTE[2])
    np.testing.assert_allclose(pixels[10, 310], road, atol=1)


def test_training_targets_of_centers_are_drawn_as_things():
    # A person of two places, another beside it, a crowd, road and void.
    semantic = np.array([[0, 0, 0, 0, 2, 255]])
    photo = np.full((4, 24, 3), 200, np.uint8)
    offsets = np.zeros((1, 6, 2), np.float32)
    offsets[0, :2, 1] = 2, -2
    targets = {
        "semantic": semantic,
        "offsets": offsets,
        "offset_weights": np.float32([[1, 1, 1, 0, 0, 0]]),
    }
    picture = PANEL.sample(photo, targets, class_names=NAMES, palette=PALETTE)
    middle = picture.height // 2 + 8  # below the names
    _assert_void(np.asarray(picture)[middle:, -20:-2])
    row = np.asarray(picture)[middle, picture.width // 12 :: picture.width // 6][:6]
    one, same, other, crowd, road, void = (tuple(each.tolist()) for each in row)
    assert one == same
    assert len({one, other, road, void}) == 4
    # Of the class alone, as stuff is; the first person may have its color, too.
    person = 0.4 * 200 + 0.6 * np.array(PALETTE[0])
    np.testing.assert_allclose(crowd, person, atol=1)
    np.testing.assert_allclose(road, 0.4 * 200 + 0.6 * np.array(PALETTE[2]), atol=1)


MASKS = {"mask_logits": (1, 8, 12, 20), "class_logits": (1, 20, 4)}
CENTERS = {
    "logits": (1, 8, 12, 3),
    "center_heatmap": (1, 8, 12, 1),
    "offsets": (1, 8, 12, 2),
}


@pytest.mark.parametrize(
    ("shapes", "classes"),
    [
        (MASKS, 3),
        ({"slots": (1, 8, 12), "class_logits": (1, 20, 4)}, 3),
        (CENTERS, 3),
        (MASKS | {"class_logits": (1, 19, 4)}, None),
        (MASKS | {"class_logits": (1, 20, 1)}, None),
        (MASKS | {"mask_logits": (1, 8, 20)}, None),
        ({"slots": (1, 8, 12), "class_logits": (1, 1000, 4)}, None),
        (CENTERS | {"offsets": (1, 8, 12, 1)}, None),
        (CENTERS | {"logits": (1, 3)}, None),
        ({"logits": (1, 8, 12, 3)}, None),
    ],
)
def test_a_file_is_known_by_its_outputs(shapes, classes):
    assert PANEL.classes(shapes) == classes
    if classes:
        assert panels.of_outputs(shapes) is PANEL


def outputs():
    """Two slots: a person on the left, road on the right."""
    masks = np.full((1, 4, 8, 3), -9, np.float32)
    masks[:, :, :4, 0] = 9
    masks[:, :, 4:, 1] = 9
    classes = np.full((1, 3, 4), -9, np.float32)
    classes[0, [0, 1, 2], [0, 2, 3]] = 9
    return {"mask_logits": masks, "class_logits": classes}


def test_masks_and_slots_are_read_as_the_description_says():
    merging = panoptic_merging.MaskWise(
        thing_threshold=0.5, stuff_threshold=0.5, overlap_threshold=0.8
    )
    reader = segment_reader.SegmentReader(merging=merging, thing_ids=THINGS)
    masks = outputs()
    slots = {
        "slots": masks["mask_logits"].argmax(axis=-1),
        "class_logits": masks["class_logits"],
    }
    for given in (masks, slots):
        found = PANEL.decide(given, (16, 32), scores="softmax", reader=reader)
        assert np.unique(found["panoptic"][:, :15]).tolist() == [1]
        assert np.unique(found["panoptic"][:, 17:]).tolist() == [2000]
        assert found["segment_ids"].tolist() == [1, 2000]
    # Nobody says what is a thing: all are.
    found = PANEL.decide(masks, (16, 32), scores="softmax")
    assert found["segment_ids"].tolist() == [1, 2002]
    lines = PANEL.lines(found, NAMES)
    assert lines[0].endswith("person, 50.0 % of the image")


def test_centers_are_read():
    logits = np.zeros((1, 4, 8, 3), np.float32)
    logits[..., 2] = 5
    logits[:, :, :4, 0] = 9
    heatmap = np.zeros((1, 4, 8, 1), np.float32)
    heatmap[0, 2, 2] = 0.7
    given = {
        "logits": logits,
        "center_heatmap": heatmap,
        "offsets": np.zeros((1, 4, 8, 2), np.float32),
    }
    reader = segment_reader.SegmentReader(
        merging=center_grouping.CenterGrouping(min_stuff_area=0), thing_ids=THINGS
    )
    found = PANEL.decide(given, (4, 8), scores="softmax", reader=reader)
    assert found["panoptic"][0].tolist() == [1] * 4 + [2000] * 4


def test_what_is_no_number_is_survived():
    for value in (np.nan, np.inf, -np.inf):
        given = {name: np.full_like(v, value) for name, v in outputs().items()}
        found = PANEL.decide(given, (16, 32), scores="softmax")
        assert found["panoptic"].shape == (16, 32)
        PANEL.lines(found, NAMES)
    given = {"slots": np.full((1, 4, 8), 77), "class_logits": np.zeros((1, 3, 4))}
    found = PANEL.decide(given, (16, 32), scores="softmax")
    assert PANEL.lines(found, NAMES) == ("nothing",)


@pytest.mark.parametrize(
    "merging",
    [
        panoptic_merging.COCO,
        dataclasses.replace(panoptic_merging.CITYSCAPES, stride=8),
        panoptic_merging.PixelWise(class_threshold=0.6),
        center_grouping.CenterGrouping(nms_kernel=5),
    ],
)
def test_settings_give_the_reader_back(merging):
    reader = segment_reader.SegmentReader(merging=merging, thing_ids=(3, 5))
    settings = json.loads(json.dumps(reader.settings()))
    assert settings["label_divisor"] == 1000
    assert segment_reader.of_settings(settings) == reader


def test_wrong_settings_are_refused():
    settings = segment_reader.SegmentReader(
        merging=panoptic_merging.PixelWise(), thing_ids=(0,)
    ).settings()
    for change, message in (
        ({"merging": "Magic"}, "merging 'Magic': want one of MaskWise, PixelWise"),
        ({"stride": "4"}, "PixelWise: want numbers"),
        ({"class_threshold": float("nan")}, "want numbers"),
        ({"thing_ids": [0.5]}, r"thing_ids \[0\.5\]: want a list of class ids"),
        ({"pixel_threshold": 0.1}, "want 1/3 or more"),
    ):
        with pytest.raises(ValueError, match=message):
            segment_reader.of_settings(settings | change)
    del settings["stride"]
    with pytest.raises(ValueError, match="PixelWise lacks stride"):
        segment_reader.of_settings(settings)
