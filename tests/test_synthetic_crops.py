"""SyntheticCrops: balanced, repeatable, and that the thing is what one sees."""

import dataclasses

import numpy as np
import pytest

from official import failures
from official.data import synthetic_crops
from official.data.streets import closeup, painter
from official.data.streets.classes import THING_IDS

SMALL = synthetic_crops.SyntheticCrops(side=32, train_size=60, val_size=30)


@pytest.fixture(scope="module")
def examples():
    return [SMALL.read(record) for record in SMALL.records("train")]


def test_an_example_has_the_canonical_keys_types_and_shapes(examples):
    for example in examples:
        assert set(example) == {"image", "label", "image_id"}
        assert example["image"].dtype == np.uint8
        assert example["image"].shape == (32, 32, 3)
    assert examples[17]["image_id"] == "train/000017"


def test_all_things_of_the_streets_are_classes():
    kinds = [subject.kind for subject in closeup.SUBJECTS]
    assert set(THING_IDS) <= set(kinds)
    names = [kind.name.lower().replace("_", " ") for kind in kinds]
    assert list(SMALL.class_names) == names
    assert len(SMALL.palette) == SMALL.num_classes == 10


def test_classes_are_balanced(examples):
    assert np.bincount([e["label"] for e in examples]).tolist() == [6] * 10


def test_a_record_always_gives_the_same_picture(examples):
    again = SMALL.read(("train", 13))
    np.testing.assert_array_equal(again["image"], examples[13]["image"])


def test_splits_indices_and_seeds_give_different_pictures(examples):
    other_seed = dataclasses.replace(SMALL, seed=1)
    pictures = [
        examples[0]["image"],
        examples[10]["image"],
        SMALL.read(("val", 0))["image"],
        other_seed.read(("train", 0))["image"],
    ]
    for k, picture in enumerate(pictures):
        for other in pictures[:k]:
            assert (picture != other).mean() > 0.5


@pytest.mark.parametrize(
    "subject", closeup.SUBJECTS, ids=lambda subject: subject.kind.name
)
def test_the_thing_stands_in_the_middle_and_nothing_hides_it(subject):
    for index in range(8):
        scene = closeup.scene(np.random.default_rng(index), subject, side=48)
        kinds = painter.paint(scene).labels & 255
        own = kinds == subject.kind
        assert own.mean() > 0.03, index
        rows, columns = np.nonzero(own)
        assert np.hypot(np.median(rows) - 23.5, np.median(columns) - 23.5) < 16, index


def test_pictures_are_neither_black_nor_white(examples):
    for example in examples:
        assert 20 < example["image"].mean() < 235
        assert example["image"].std() > 5


def test_the_mean_color_does_not_give_the_class_away(examples):
    val = [SMALL.read(record) for record in SMALL.records("val")]
    colors = np.stack([e["image"].mean(axis=(0, 1)) for e in examples])
    labels = np.array([e["label"] for e in examples])
    means = np.stack([colors[labels == k].mean(axis=0) for k in range(10)])
    hits = [
        ((means - e["image"].mean(axis=(0, 1))) ** 2).sum(axis=1).argmin() == e["label"]
        for e in val
    ]
    assert np.mean(hits) < 0.4  # chance is 0.1


def test_any_side_can_be_drawn():
    for side in (16, 33, 224):
        dataset = dataclasses.replace(SMALL, side=side)
        assert dataset.read(("val", side))["image"].shape == (side, side, 3)


def test_an_unknown_split_is_named_with_those_that_exist():
    with pytest.raises(failures.DataError, match=r"no split 'test'.*'train' and 'val'"):
        SMALL.records("test")


@pytest.mark.parametrize("field", ["side", "train_size", "val_size", "seed"])
def test_a_field_that_is_too_small_is_refused(field):
    with pytest.raises(failures.RequestError, match=rf"{field} = -1 is too small"):
        synthetic_crops.SyntheticCrops(**{field: -1})
