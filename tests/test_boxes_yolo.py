"""YOLO's text files, and the names of their classes."""

import numpy as np
import pytest
from PIL import Image

from official import failures
from official.data import boxes, yaml_names
from official.data.yolo import YOLO


def _write(folder, texts, *, images="images/train", labels="labels/train"):
    """Images of 80 x 60 pixels, with the text of each, None where there is no file."""
    for name, text in texts.items():
        for part in (images, labels):
            (folder / part / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (80, 60)).save(folder / images / f"{name}.jpg")
        if text is not None:
            (folder / labels / f"{name}.txt").write_text(text)
    (folder / "classes.txt").write_text("red\nblue\n")
    return YOLO(data_dir=str(folder))


def test_shares_become_pixels(tmp_path):
    dataset = _write(tmp_path, {"a": "1 0.5 0.5 0.25 0.5\n\n0 0.1 0.9 0.1 0.1\n"})
    (example,) = dataset.load("train").as_numpy_iterator()
    expected = [[15, 30, 45, 50], [51, 4, 57, 12]]
    np.testing.assert_allclose(example["boxes"], expected, atol=1e-5)
    assert example["box_classes"].tolist() == [1, 0]
    np.testing.assert_allclose(example["box_areas"], [600, 48], rtol=1e-5)


def test_a_box_goes_around_a_polygon(tmp_path):
    dataset = _write(tmp_path, {"a": "0 0.25 0.5 0.75 0.5 0.5 1.0"})
    (example,) = dataset.load("train").as_numpy_iterator()
    assert example["boxes"].tolist() == [[30, 20, 60, 60]]
    assert example["box_areas"].tolist() == [600]  # a triangle


def test_an_image_without_a_file_has_no_object(tmp_path):
    dataset = _write(tmp_path, {"a": "0 0.5 0.5 0.1 0.1", "b": None, "c/d": ""})
    summary = dataset.summary("train")
    assert (summary.images, summary.empty) == (3, 2)


def test_broken_boxes_are_dropped_and_counted(tmp_path):
    lines = ["0 0.5 0.5 0 0.1", "0 0.5 nan 0.1 0.1", "1 0.9 0.5 0.4 0.5", "0 2 2 .1 .1"]
    dataset = _write(tmp_path, {"a": "\n".join(lines)})
    assert dataset.summary("train").problems == {
        boxes.NO_AREA: 1,
        boxes.NOT_A_NUMBER: 1,
        boxes.CLIPPED: 1,
        boxes.OUTSIDE: 1,
    }


@pytest.mark.parametrize(
    ("images", "labels"),
    [("valid/images", "valid/labels"), ("images/val2017", "labels/val2017")],
)
def test_other_layouts_are_found(tmp_path, images, labels):
    dataset = _write(tmp_path, {"a": "0 0.5 0.5 0.1 0.1"}, images=images, labels=labels)
    assert dataset.size("val") == 1


def test_without_folders_of_splits_a_fifth_is_held_out(tmp_path):
    texts = {str(number): "0 0.5 0.5 0.1 0.1" for number in range(10)}
    dataset = _write(tmp_path, texts, images="images", labels="labels")
    assert (dataset.size("train"), dataset.size("val")) == (8, 2)
    with pytest.raises(failures.DataError, match="there are 'train' and 'val'"):
        dataset.size("test")


def test_classes_can_be_chosen(tmp_path):
    _write(tmp_path, {"a": "1 0.5 0.5 0.25 0.5\n0 0.1 0.9 0.1 0.1"})
    dataset = YOLO(data_dir=str(tmp_path), classes=("blue",))
    assert dataset.read(dataset.records("train")[0])["box_classes"].tolist() == [0]
    assert dataset.summary("train").problems == {boxes.LEFT_OUT: 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2 0.5 0.5 0.1 0.1", "a.txt:2: class 2; .*classes.txt names 2, 0 to 1"),
        ("-1 0.5 0.5 0.1 0.1", "a.txt:2: class -1"),
        ("red 0.5 0.5 0.1 0.1", "a.txt:2: 'red 0.5 0.5 0.1 0.1': want the number"),
        ("0 0.5 0.5 0.1", "a.txt:2: 3 numbers after the class; want x y width height"),
        ("0 0.5 0.5 0.1 0.1 0.9", "a.txt:2: 5 numbers after the class"),
    ],
)
def test_a_faulty_line_is_named(tmp_path, line, message):
    dataset = _write(tmp_path, {"a": f"\n{line}\n"})
    with pytest.raises(failures.DataError, match=message) as caught:
        dataset.size("train")
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(failures.DataError, match="SyntheticBoxes"):
        YOLO(data_dir=str(tmp_path / "none")).size("train")
    dataset = _write(tmp_path, {"a": None})
    with pytest.raises(
        failures.DataError, match="a text file for none of the 1 images"
    ):
        dataset.size("train")
    with pytest.raises(failures.DataError, match="no split 'test'; it has train"):
        dataset.size("test")
    (tmp_path / "classes.txt").unlink()
    with pytest.raises(failures.DataError, match=r"neither data.yaml nor classes.txt"):
        YOLO(data_dir=str(tmp_path), classes=("red",)).size("train")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("names: ['red cell', blue]", ("red cell", "blue")),
        ("nc: 2\nnames: [\"a, b\", 'c'] # two\npath: x", ("a, b", "c")),
        ("names:\n- red\n- 'light blue'\nnc: 2", ("red", "light blue")),
        ("names:\n  - red\n  - blue\n", ("red", "blue")),
        ("names:\n  1: blue\n  0: red\n\ndownload: x", ("red", "blue")),
        ("names: {0: red, 1: blue}", ("red", "blue")),
        ("names: [\n  'red',\n  'blue'\n]\nnc: 2", ("red", "blue")),
        ("names: # of cells\n  0: red # cell\n  1: blue", ("red", "blue")),
    ],
)
def test_names_are_read_as_tools_write_them(tmp_path, text, names):
    path = tmp_path / "data.yaml"
    path.write_text(text)
    assert yaml_names.read(path) == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nc: 2", "has 0 keys 'names'; want names: "),
        ("names: []", "has no names of classes"),
        ("names: [a, a]", "class 'a' is listed twice"),
        ("names:\n  1: a\n  2: b", r"numbers \[1, 2\]; want 0 to 1"),
    ],
)
def test_faulty_names_are_named(tmp_path, text, message):
    path = tmp_path / "data.yaml"
    path.write_text(text)
    with pytest.raises(failures.DataError, match=message):
        yaml_names.read(path)
