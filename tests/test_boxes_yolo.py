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


@pytest.mark.parametrize("split", ["", "/train"])
def test_a_text_file_without_its_image_is_refused(tmp_path, split):
    texts = {"a.1": "0 0.5 0.5 0.1 0.1", "c": "", "d": "0 0.5 0.5 0.1 0.1"}
    folders = {"images": f"images{split}", "labels": f"labels{split}"}
    dataset = _write(tmp_path, texts, **folders)
    (tmp_path / "labels" / "classes.txt").write_text("red\nblue\n")
    (tmp_path / folders["images"] / "c.jpg").unlink()
    (tmp_path / folders["images"] / "d.jpg").unlink()
    message = (
        rf"labels{split}: the images of 2 of its 3 text files are not in .*images{split}"
        r": c\.txt, d\.txt \(copy them there, or remove these files\)"
    )
    with pytest.raises(failures.DataError, match=message):
        dataset.records("train")


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


def test_test_standing_for_val_is_logged(tmp_path, caplog):
    dataset = _write(
        tmp_path, {"a": "0 .5 .5 .1 .1"}, images="images/test", labels="labels/test"
    )
    assert dataset.size("test") == 1
    assert not caplog.records
    assert dataset.size("val") == 1
    (record,) = caplog.records
    assert (
        f"no split 'val': {tmp_path / 'images' / 'test'} stands for it"
        in record.message
    )


def test_text_files_are_read_as_editors_save_them(tmp_path):
    dataset = _write(tmp_path, {"a": "\ufeff1 0.5 0.5 0.25 0.5\r\n"})
    assert dataset.read(dataset.records("train")[0])["box_classes"].tolist() == [1]
    other = _write(tmp_path / "b", {"a": ""})
    (tmp_path / "b/labels/train/a.txt").write_bytes(b"1 0.5 0.5 0.2 0.5\n\xff\xfe")
    with pytest.raises(failures.DataError, match=r"a.txt: line 2 is not UTF-8"):
        other.size("train")


@pytest.mark.parametrize(
    "lines",
    [
        "train: images/train",
        "train: ./images/train/ # all",
        "train: '../images/train'",
        "path: /content/data\ntrain: /content/data/images/train",
        "path: ../elsewhere\ntrain: images/train",
        "train: C:\\data\\images\\train",
        "train:\nval: null",
        "val: images/elsewhere",
    ],
)
def test_paths_to_the_folders_that_are_read_are_taken(tmp_path, lines):
    dataset = _write(tmp_path, {"a": "0 .5 .5 .1 .1"})
    (tmp_path / "data.yaml").write_text(f"names: [red]\n{lines}\n")
    assert dataset.size("train") == 1


@pytest.mark.parametrize(
    "line",
    [
        "train: photos/train",
        "train: images/other",  # which exists
        "train: train.txt",
        "train: [images/train, images/other]",
        "train:\n  - images/train\n  - images/other",
    ],
)
def test_paths_to_other_folders_are_refused(tmp_path, line):
    dataset = _write(tmp_path, {"a": "0 .5 .5 .1 .1"})
    (tmp_path / "images/other").mkdir()
    (tmp_path / "data.yaml").write_text(f"names: [red]\n{line}\n")
    message = r"data.yaml: train: .* is not .*images/train, which would be read; lay"
    with pytest.raises(failures.DataError, match=message) as caught:
        dataset.size("train")
    assert "\n" not in str(caught.value)


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
        ("names: ['red # cell', 'b']", ("red # cell", "b")),
        ('names: ["a # b", c] # two', ("a # b", "c")),
        ("names: ['it''s', \"b\\\"c\", 'd \"e\"']", ("it's", 'b"c', 'd "e"')),
        ("names: [driver's seat, bob's, c#]", ("driver's seat", "bob's", "c#")),
        ("names:\n- 'it''s # 1' # one\n- b # two\n", ("it's # 1", "b")),
        ("names: {0: 'a, b', 1: \"c # d\"}", ("a, b", "c # d")),
        ("names: [\n  'a, b', # one\n  'c',\n]", ("a, b", "c")),
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
        ("nc: 2", "has no key 'names'; want names: "),
        ("names: []", "has no names of classes"),
        ("names: [a, a]", "class 'a' is listed twice"),
        ("names: [a]\nnames: [b]", "has 2 keys 'names'; keep one"),
        ("names: [a, , b]", "' , b' among names; want names:"),
        ("names: [a, b", r"names have no '\]' at their end"),
        ("names: ['a, b]", "is no plain text; put it in quotes"),
        ("names: [[a], b]", r"'\[a\]' is no plain text"),
        ("names: {a: 0, b: 1}", "'a: 0' among names; want names:"),
        ("names:\n  a\n  b", "'a' among names; want names:"),
        ("names: a b", "names: 'a b'; want names:"),
        ("names:\n- a\n-", "'' is no plain text"),
        ("names:\n  1: a\n  2: b", r"numbers \[1, 2\]; want 0 to 1"),
    ],
)
def test_faulty_names_are_named(tmp_path, text, message):
    path = tmp_path / "data.yaml"
    path.write_text(text)
    with pytest.raises(failures.DataError, match=message):
        yaml_names.read(path)
