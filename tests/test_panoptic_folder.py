"""Folders of images with maps of classes and of instances, right and wrong."""

import json

import numpy as np
import pytest
from PIL import Image

from official import failures
from official.data import class_list
from official.data.panoptic_folder import PanopticFolder

CLASSES = {"classes": ["road", "car", "person"], "things": ["person", "car"]}
MASK = [[0, 0, 1, 1], [1, 2, 2, 255]]


def _save(pixels, path, dtype=np.uint8):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype)).save(path)


def _write(root, instances, *, dtype=np.uint8, masks="labels", maps="instances"):
    _save(np.zeros((2, 4, 3)), root / "images/train/a.jpg")
    _save(MASK, root / masks / "train/a.png")
    _save(instances, root / maps / "train/a.png", dtype)
    (root / "classes.json").write_text(json.dumps(CLASSES))
    return PanopticFolder(data_dir=str(root))


def _only(dataset):
    (example,) = dataset.load("train").as_numpy_iterator()
    return example


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_numbers_tell_things_of_one_class_apart(tmp_path, dtype):
    largest = int(np.iinfo(dtype).max)
    # Stuff and what is unlabelled have none, whatever is written there.
    dataset = _write(tmp_path, [[9, 0, 1, largest], [1, 1, 0, 8]], dtype=dtype)
    assert dataset.class_names == ("road", "car", "person")
    assert dataset.thing_ids == (1, 2)
    example = _only(dataset)
    assert example["semantic"].tolist() == MASK
    # Car 1 has two pixels; person 1 is another thing, and person 0 a crowd.
    assert example["instance"].tolist() == [[0, 0, 1, 2], [1, 3, 0, 0]]


def test_colors_are_those_of_ade20k(tmp_path):
    red = [[0, 0, 20, 20], [20, 12, 0, 0]]
    green = [[0, 0, 2, 3], [2, 1, 0, 0]]
    pixels = np.stack([red, green, np.zeros((2, 4))], axis=-1)
    dataset = _write(tmp_path, pixels, masks="annotations", maps="annotations_instance")
    assert _only(dataset)["instance"].tolist() == [[0, 0, 1, 2], [1, 3, 0, 0]]


def test_other_colors_are_refused(tmp_path):
    pixels = np.zeros((2, 4, 3))
    pixels[1, 2] = 10, 20, 30
    dataset = _write(tmp_path, pixels)
    with pytest.raises(failures.DataError, match=r"color \(10, 20, 30\) at row 1, col"):
        _only(dataset)


@pytest.mark.parametrize("masks", ["masks", "semantic"])
def test_folders_have_other_names_too(tmp_path, masks):
    dataset = _write(tmp_path, np.zeros((2, 4)), masks=masks, maps="instance")
    assert not _only(dataset)["instance"].any()


def test_the_field_overrides_which_are_things(tmp_path):
    _write(tmp_path, np.ones((2, 4)))
    dataset = PanopticFolder(data_dir=str(tmp_path), things=("car",))
    assert dataset.thing_ids == (1,)
    assert _only(dataset)["instance"].tolist() == [[0, 0, 1, 1], [1, 0, 0, 0]]


def test_the_void_of_the_list_moves_the_things_with_the_classes(tmp_path):
    content = {"classes": ["void", "road", "car"], "things": ["car"]}
    (tmp_path / "classes.json").write_text(json.dumps(content))
    assert class_list.read(tmp_path, ignore_label=None).thing_ids == (1,)


def test_things_are_needed_and_are_classes(tmp_path):
    dataset = _write(tmp_path, np.ones((2, 4)))
    (tmp_path / "classes.json").write_text(
        json.dumps({"classes": ["road", "car", "x"]})
    )
    with pytest.raises(
        failures.DataError, match=r"no class is a thing: write {\"class"
    ):
        dataset.size("train")
    dataset = PanopticFolder(data_dir=str(tmp_path), things=("cars",))
    message = r"dataset.things: thing 'cars' is no class; did you mean car\?"
    with pytest.raises(failures.DataError, match=message):
        dataset.size("train")


def test_missing_maps_are_named(tmp_path):
    dataset = _write(tmp_path, np.ones((2, 4)))
    (tmp_path / "instances/train/a.png").unlink()
    message = r"1 of 1 images of split 'train' have no map of instances .*train/<name>"
    with pytest.raises(failures.DataError, match=message):
        dataset.size("train")
    (tmp_path / "instances/train").rmdir()
    (tmp_path / "instances").rmdir()
    message = r"neither instances nor instance nor annotations_instance; the maps of"
    with pytest.raises(failures.DataError, match=message):
        dataset.records("train")


def test_maps_of_another_size_are_found_before_training(tmp_path):
    dataset = _write(tmp_path, np.ones((2, 5)))
    with pytest.raises(failures.DataError, match=r"1 of 1 masks differ.*a.png is 5x2"):
        dataset.size("train")


def test_other_folders_are_told_apart(tmp_path):
    for lacking, rest in (
        ("none", r"none does not exist; .* instances/<split>/ .*SyntheticStreets"),
        ("images", r"images does not exist; .*classes.json"),
        ("classes.json", r"classes.json does not exist; dataset.data_dir must hold im"),
    ):
        root = tmp_path / lacking
        if lacking != "none":
            _write(root, np.ones((2, 4)))
            (root / lacking).rename(root / "elsewhere")
        with pytest.raises(failures.DataError, match=rest):
            PanopticFolder(data_dir=str(root)).size("train")
    (tmp_path / "none").mkdir()
    with pytest.raises(failures.DataError, match=r"nane .*did you mean .*none\?\)"):
        PanopticFolder(data_dir=str(tmp_path / "nane")).size("train")
    (tmp_path / "coco/annotations").mkdir(parents=True)
    (tmp_path / "coco/annotations/panoptic_train2017.json").write_text("{}")
    with pytest.raises(failures.DataError, match=r"dataset = @COCOPanoptic\(data_dir="):
        PanopticFolder(data_dir=str(tmp_path / "coco")).size("train")


def test_colors_without_a_palette_are_told_where_it_goes(tmp_path):
    dataset = _write(tmp_path, np.ones((2, 4)))
    _save(np.zeros((2, 4, 3)), tmp_path / "labels/train/a.png")
    message = r'holds colors.*add "palette": .* to .*classes.json'
    with pytest.raises(failures.DataError, match=message):
        _only(dataset)


def test_things_numbered_from_zero_are_suspected(tmp_path, caplog):
    assert (
        not _write(tmp_path, [[0, 0, 1, 2], [1, 3, 4, 0]])
        .segment_counts("train")
        .crowded
    )
    assert not caplog.messages
    _save([[0, 0, 0, 1], [0, 0, 1, 0]], tmp_path / "instances/train/a.png")
    PanopticFolder(data_dir=str(tmp_path)).segment_counts("train")
    (message,) = caplog.messages
    assert message.startswith("1 of 1 images of split 'train' with things have one of")


def test_more_things_than_a_panoptic_map_can_hold_are_refused(tmp_path):
    numbers = np.arange(1000).reshape(25, 40)
    dataset = _write(tmp_path, numbers + 1, dtype=np.uint16)
    _save(np.ones((25, 40)), tmp_path / "labels/train/a.png")
    _save(np.zeros((25, 40, 3)), tmp_path / "images/train/a.jpg")
    message = r"instances/train/a.png: 1000 things, and an image may have 999; cut the"
    with pytest.raises(failures.DataError, match=message):
        _only(dataset)
    _save(numbers, tmp_path / "instances/train/a.png", np.uint16)
    assert _only(dataset)["instance"].max() == 999
