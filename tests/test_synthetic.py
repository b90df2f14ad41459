"""SyntheticStreets: the contract, the labels, and that color does not give it away."""

import dataclasses
import time

import numpy as np
import pytest

from official import failures
from official.data import base, synthetic
from official.data.streets import camera as cameras
from official.data.streets.classes import THING_IDS, StreetClass

SMALL = synthetic.SyntheticStreets(height=96, width=192, train_size=60, val_size=60)


@pytest.fixture(scope="module")
def examples():
    return {
        split: [SMALL.read(record) for record in SMALL.records(split)]
        for split in ("train", "val")
    }


def test_an_example_has_the_canonical_keys_types_and_shapes(examples):
    for example in examples["train"]:
        assert set(example) == {"image", "semantic", "instance", "image_id"}
        assert example["image"].dtype == np.uint8
        assert example["image"].shape == (96, 192, 3)
        for key in ("semantic", "instance"):
            assert example[key].dtype == np.int32
            assert example[key].shape == (96, 192)
    assert examples["train"][17]["image_id"] == "train/000017"


def test_names_and_palette_are_those_of_the_ids_in_the_labels():
    assert SMALL.num_classes == len(SMALL.palette) == 19
    for member in StreetClass:
        assert SMALL.class_names[member] == member.name.lower().replace("_", " ")
    assert SMALL.thing_ids == tuple(range(11, 19))


def test_a_record_always_gives_the_same_picture():
    first, second = (SMALL.read(("train", 3)) for _ in range(2))
    for key in first:
        np.testing.assert_array_equal(first[key], second[key])


def test_splits_indices_and_seeds_give_different_pictures():
    other_seed = dataclasses.replace(SMALL, seed=1)
    pictures = [
        SMALL.read(("train", 0))["semantic"],
        SMALL.read(("train", 1))["semantic"],
        SMALL.read(("val", 0))["semantic"],
        other_seed.read(("train", 0))["semantic"],
    ]
    for k, picture in enumerate(pictures):
        for other in pictures[:k]:
            # Road and sky lie alike in all of them: other streets still differ widely.
            assert (picture != other).mean() > 0.1


def test_every_class_is_in_a_twentieth_of_the_pictures(examples):
    for split in ("train", "val"):
        present = np.zeros(19)
        for example in examples[split]:
            ids = np.unique(example["semantic"])
            present[ids[ids != base.IGNORE_LABEL]] += 1
        rare = {StreetClass(k).name for k in np.flatnonzero(present < 3)}
        assert not rare, f"{split}: {rare} in fewer than 3 of 60 pictures"


def test_large_and_small_classes_are_large_and_small(examples):
    labels = np.stack([example["semantic"] for example in examples["train"]])
    share = np.bincount(labels.reshape(-1), minlength=256) / labels.size
    large = ("ROAD", "BUILDING", "VEGETATION", "SKY", "CAR")
    for name in large:
        assert share[StreetClass[name]] > 0.04, name
    for name in ("POLE", "TRAFFIC_LIGHT", "TRAFFIC_SIGN", "PERSON", "BICYCLE"):
        assert share[StreetClass[name]] < 0.04, name
    assert share.max() < 0.45
    assert share[19 : base.IGNORE_LABEL].sum() == 0
    assert share[base.IGNORE_LABEL] < 0.05


def test_instances_lie_on_things_and_each_has_one_class(examples):
    for example in examples["train"]:
        semantic, instance = example["semantic"], example["instance"]
        np.testing.assert_array_equal(np.isin(semantic, THING_IDS), instance > 0)
        for number in range(1, instance.max() + 1):
            assert len(np.unique(semantic[instance == number])) == 1


def test_pictures_are_neither_black_nor_white(examples):
    for example in examples["train"]:
        assert 25 < example["image"].mean() < 230
        assert example["image"].std() > 12


@pytest.mark.parametrize(
    "size", [(96, 160), (128, 128), (33, 47), (16, 200), (200, 16)]
)
def test_any_size_and_aspect_can_be_drawn(size):
    dataset = synthetic.SyntheticStreets(height=size[0], width=size[1])
    for index in range(8):
        example = dataset.read(("val", index))
        assert example["image"].shape == (*size, 3)
        assert example["semantic"].shape == size


def test_a_picture_shows_the_same_street_at_another_resolution():
    large = dataclasses.replace(SMALL, height=192, width=384)
    for index in range(4):
        record = ("train", index)
        agree = (
            SMALL.read(record)["semantic"] == large.read(record)["semantic"][::2, ::2]
        )
        # What differs are outlines, half a pixel of the small picture aside.
        assert agree.mean() > 0.85


def test_color_alone_does_not_tell_the_classes_apart(examples):
    means = np.stack([_pixels(examples["train"], k).mean(axis=0) for k in range(19)])
    confusion = np.zeros((19, 19))
    for example in examples["val"]:
        valid = example["semantic"] != base.IGNORE_LABEL
        pixels = example["image"][valid].astype(np.float32)
        distance = ((pixels[:, None] - means) ** 2).sum(axis=-1)
        np.add.at(confusion, (example["semantic"][valid], distance.argmin(axis=1)), 1)
    hits = np.diag(confusion)
    iou = hits / (confusion.sum(axis=0) + confusion.sum(axis=1) - hits)
    # Measured: 0.06. A model that looks at shapes must be far better than this.
    assert iou.mean() < 0.15


def _pixels(examples, class_id: int) -> np.ndarray:
    return np.concatenate([e["image"][e["semantic"] == class_id] for e in examples])


def test_labels_lie_where_the_image_shows_their_things(examples):
    spread = {
        shift: np.mean([_spread_within_segments(e, shift) for e in examples["train"]])
        for shift in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))
    }
    # Segments are most even in color where they belong: one pixel aside is worse.
    assert min(spread, key=spread.get) == (0, 0), spread


def _spread_within_segments(example, shift: tuple[int, int]) -> float:
    """Mean variance of grey in a segment, with labels shifted by rows and columns."""
    segments = np.roll(example["semantic"] + 256 * example["instance"], shift, (0, 1))
    segments = segments[2:-2, 2:-2].reshape(-1)
    grey = example["image"].mean(axis=-1)[2:-2, 2:-2].reshape(-1)
    count = np.maximum(np.bincount(segments), 1)
    mean = np.bincount(segments, grey) / count
    return float(((grey - mean[segments]) ** 2).mean())


def test_size_is_that_of_the_split():
    dataset = synthetic.SyntheticStreets(train_size=7, val_size=3)
    assert dataset.size("train") == 7
    assert dataset.size("val") == 3


def test_an_unknown_split_is_named_with_those_that_exist():
    with pytest.raises(failures.DataError, match=r"no split 'test'.*'train' and 'val'"):
        SMALL.records("test")


@pytest.mark.parametrize("field", ["height", "width", "train_size", "val_size", "seed"])
def test_a_field_that_is_too_small_is_refused(field):
    with pytest.raises(failures.RequestError, match=rf"{field} = -1 is too small"):
        synthetic.SyntheticStreets(**{field: -1})


def test_examples_load_in_parallel_as_they_are_read_one_by_one():
    dataset = dataclasses.replace(SMALL, train_size=6)
    for k, example in enumerate(dataset.load("train").as_numpy_iterator()):
        expected = dataset.read(("train", k))
        assert example["image_id"].decode() == expected["image_id"]
        np.testing.assert_array_equal(example["image"], expected["image"])
        np.testing.assert_array_equal(example["instance"], expected["instance"])


def test_a_point_on_the_ground_ahead_lies_where_a_pinhole_puts_it():
    camera = cameras.Camera(
        width=200,
        height=100,
        focal=100.0,
        horizon=40.0,
        eye=(1.0, 1.5, 0.0),
        yaw=0.0,
        roll=0.0,
    )
    point = camera.view(np.array([[3.0, 0.0, 10.0]]))
    # 2 m to the right and 1.5 m down at 10 m: 100 * 2 / 10 and 100 * 1.5 / 10 pixels.
    np.testing.assert_allclose(camera.project(point), [[100 + 20, 40 + 15]])
    right, forward, down = camera.plane()
    assert forward[54, 119] == pytest.approx(10.0, rel=0.04)
    assert right[54, 119] == pytest.approx(2.0, rel=0.04)
    assert down[54, 119] == pytest.approx(0.145, rel=0.01)


def test_what_lies_behind_the_lens_is_cut_off():
    quad = np.array([(-1.0, 0, -5), (1, 0, -5), (1, 0, 5), (-1, 0, 5)])
    piece = cameras.clip_near(quad)
    assert piece[:, 2].min() == pytest.approx(cameras.NEAR)
    assert piece[:, 2].max() == 5
    assert len(piece) == 4


def test_one_picture_is_drawn_at_a_time(monkeypatch):
    drawing, most = [], []
    draw = synthetic.SyntheticStreets.read

    def read(dataset, record):
        drawing.append(record)
        most.append(len(drawing))
        time.sleep(0.01)  # Lets others in.
        example = draw(dataset, record)
        drawing.remove(record)
        return example

    monkeypatch.setattr(synthetic.SyntheticStreets, "read", read)
    list(SMALL.load("train", limit=12))
    list(SMALL.stored("train", range(12)))
    assert len(most) >= 24
    assert max(most) == 1
