"""Folders of images and masks, right and wrong."""

import json
import logging

import numpy as np
import pytest
from PIL import Image

from official import failures
from official.data import mask_folder

NAMES = "road\nsky\n"


def _write(root, files):
    """Writes arrays as pictures, strings and bytes as they are, by path."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            Image.fromarray(np.asarray(content, np.uint8)).save(path)
    return root


def _image(height=4, width=6):
    return np.full((height, width, 3), 90)


def _mask(value=1, height=4, width=6):
    return np.full((height, width), value)


def _folder(root, **splits):
    """`train=("a", "b")` writes images/train/a.jpg, labels/train/a.png, ..."""
    for split, names in splits.items():
        for name in names:
            _write(root, {f"images/{split}/{name}.jpg": _image()})
            _write(root, {f"labels/{split}/{name}.png": _mask()})
    return _write(root, {"classes.txt": NAMES})


def _dataset(root, **fields):
    return mask_folder.MaskFolder(data_dir=str(root), **fields)


def _names(root, split):
    return [record.image_id for record in _dataset(root).records(split)]


def _error(root, split="train", **fields):
    with pytest.raises(failures.DataError) as caught:
        _dataset(root, **fields).load(split)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_folders_are_splits(tmp_path):
    _folder(tmp_path, train=("b", "a"), val=("c",))
    assert _names(tmp_path, "train") == ["train/a", "train/b"]
    assert _names(tmp_path, "val") == ["val/c"]
    dataset = _dataset(tmp_path)
    assert dataset.class_names == ("road", "sky")
    assert len(dataset.palette) == 2
    (example,) = dataset.load("val").as_numpy_iterator()
    assert example["image"].shape == (4, 6, 3)
    assert (example["semantic"] == 1).all()


def test_masks_is_another_name_for_labels(tmp_path):
    _folder(tmp_path, train=("a",))
    (tmp_path / "labels").rename(tmp_path / "masks")
    assert _dataset(tmp_path).size("train") == 1
    (tmp_path / "labels").mkdir()
    with pytest.raises(failures.DataError, match="has both labels and masks"):
        _dataset(tmp_path).records("train")


def test_a_list_picks_and_orders(tmp_path):
    _folder(tmp_path, train=("a", "b", "c", "d.2"))
    _write(tmp_path, {"train.txt": "c\n\nd.2\r\na.jpg\n"})
    assert _names(tmp_path, "train") == ["train/c", "train/d.2", "train/a"]


def test_lists_split_a_single_folder(tmp_path):
    _write(tmp_path, {f"images/{n}.png": _image() for n in "abc"})
    _write(tmp_path, {f"labels/{n}.png": _mask() for n in "abc"})
    _write(tmp_path, {"classes.txt": NAMES, "train.txt": "a\nc", "val.txt": "b"})
    assert _names(tmp_path, "train") == ["train/a", "train/c"]
    assert _names(tmp_path, "val") == ["val/b"]
    assert "has no split 'test'; it has train, val" in _error(tmp_path, "test")


def test_without_folders_and_lists_a_fifth_is_val(tmp_path):
    names = [f"{k:03}" for k in range(20)]
    _write(tmp_path, {f"images/{n}.png": _image() for n in names})
    _write(tmp_path, {f"labels/{n}.png": _mask() for n in names})
    _write(tmp_path, {"classes.txt": NAMES})
    train, val = _names(tmp_path, "train"), _names(tmp_path, "val")
    assert (len(train), len(val)) == (16, 4)
    assert {name.split("/")[1] for name in train + val} == set(names)
    assert val != [f"val/{n}" for n in names[:4]]  # not just the first
    assert val == _names(tmp_path, "val")


@pytest.mark.parametrize("ignored", [255, 7])
def test_unlabelled_pixels_become_the_ignore_label(tmp_path, ignored):
    _folder(tmp_path, train=("a",))
    _write(tmp_path, {"labels/train/a.png": _mask(ignored)})
    _write(
        tmp_path,
        {"classes.json": json.dumps({"classes": ["x", "y"], "ignore_index": 7})},
    )
    (example,) = _dataset(tmp_path).load("train").as_numpy_iterator()
    assert (example["semantic"] == 255).all()
    assert example["semantic"].dtype == np.int32


def test_the_field_overrides_the_ignored_number(tmp_path):
    _folder(tmp_path, train=("a",))
    _write(tmp_path, {"labels/train/a.png": _mask(9)})
    (example,) = _dataset(tmp_path, ignore_label=9).load("train").as_numpy_iterator()
    assert (example["semantic"] == 255).all()


@pytest.mark.parametrize("number", [-1, 65536, 10**10])
def test_an_ignored_number_that_no_mask_can_hold_is_refused(tmp_path, number):
    _folder(tmp_path, train=("a",))
    message = f"no mask stores {number} for unlabelled pixels; want 0 to 65535"
    assert message in _error(tmp_path, ignore_label=number)
    assert message in _error(tmp_path, ignore_label=number, classes=("p", "q"))
    content = {"classes": ["x", "y"], "ignore_index": number}
    _write(tmp_path, {"classes.json": json.dumps(content)})
    assert f"classes.json: {message}" in _error(tmp_path)


def test_the_largest_ignored_number_is_that_of_a_16_bit_mask(tmp_path):
    _folder(tmp_path, train=("a",))
    mask = np.full((4, 6), 65535, np.uint16)
    Image.fromarray(mask).save(tmp_path / "labels/train/a.png")
    dataset = _dataset(tmp_path, ignore_label=65535)
    (example,) = dataset.load("train").as_numpy_iterator()
    assert (example["semantic"] == 255).all()


def test_the_field_overrides_the_names(tmp_path):
    _folder(tmp_path, train=("a",))
    assert _dataset(tmp_path, classes=("p", "q", "r")).class_names == ("p", "q", "r")


def test_entries_called_void_are_no_class(tmp_path):
    _folder(tmp_path, train=("a",))
    _write(tmp_path, {"classes.txt": "Void\nroad\nsky", "labels/train/a.png": [[0, 2]]})
    _write(tmp_path, {"images/train/a.jpg": _image(1, 2)})
    dataset = _dataset(tmp_path)
    assert dataset.class_names == ("road", "sky")
    (example,) = dataset.load("train").as_numpy_iterator()
    assert example["semantic"].tolist() == [[255, 1]]


COLORED = "road 128 64 128\ntraffic sign 220 220 0\nignore 0 0 0\n"


def _color_folder(root, pixels, classes=COLORED):
    _write(root, {"images/train/a.png": _image(1, len(pixels))})
    _write(root, {"masks/train/a.png": [pixels], "classes.txt": classes})
    return root


def test_colors_become_classes(tmp_path):
    _color_folder(tmp_path, [(220, 220, 0), (0, 0, 0), (128, 64, 128)])
    dataset = _dataset(tmp_path)
    assert dataset.class_names == ("road", "traffic sign")
    assert dataset.palette == ((128, 64, 128), (220, 220, 0))
    (example,) = dataset.load("train").as_numpy_iterator()
    assert example["semantic"].tolist() == [[1, 255, 0]]


def test_an_unlisted_color_is_named_with_its_place(tmp_path):
    _color_folder(tmp_path, [(0, 0, 0), (128, 64, 129), (0, 0, 0)])
    message = _error(tmp_path)
    assert (
        "a.png: color (128, 64, 129) at row 0, column 1 is not in the list" in message
    )


def test_colors_without_a_list_of_colors_say_how_to_give_one(tmp_path):
    _color_folder(tmp_path, [(0, 0, 0)], classes=NAMES)
    assert "write lines 'name r g b' into" in _error(tmp_path)


def test_a_label_out_of_range_is_named_with_its_place(tmp_path):
    _folder(tmp_path, train=("a", "b"))
    mask = _mask()
    mask[2, 3] = 12
    _write(tmp_path, {"labels/train/a.png": mask})
    message = _error(tmp_path)
    assert "a.png: label 12 at row 2, column 3; want 0..1, 255" in message


def test_images_without_masks_are_counted_and_named(tmp_path):
    _folder(tmp_path, train="abcdef")
    for name in "bcdf":
        (tmp_path / f"labels/train/{name}.png").unlink()
    message = _error(tmp_path)
    assert "4 of 6 images in" in message
    assert "have no mask" in message
    assert message.endswith("b, c, d, ...")


def test_a_split_without_a_folder_of_masks_is_told(tmp_path):
    _folder(tmp_path, train=("a",))
    _write(tmp_path, {"images/val/b.jpg": _image()})
    message = _error(tmp_path, "val")
    assert message.startswith("1 of 1 images in")
    assert f"have no mask {tmp_path / 'labels/val'}/<name>.png: b" in message


def test_masks_without_images_are_told(tmp_path, caplog):
    _folder(tmp_path, train=("a",))
    _write(tmp_path, {"labels/train/z.png": _mask()})
    with caplog.at_level(logging.WARNING):
        assert _dataset(tmp_path).size("train") == 1
    assert "1 masks in" in caplog.text
    assert "have no image: z" in caplog.text


def test_listed_names_without_images_are_counted_and_named(tmp_path):
    _folder(tmp_path, train=("a",))
    _write(tmp_path, {"train.txt": "a\nx\n"})
    message = _error(tmp_path)
    assert "1 of 2 images named in" in message
    assert message.endswith("train: x")


def test_a_name_listed_twice_is_refused(tmp_path):
    _folder(tmp_path, train=("a",))
    _write(tmp_path, {"train.txt": "a\na\n"})
    assert "train.txt: a is listed twice" in _error(tmp_path)


HIDDEN = {
    "images/.ipynb_checkpoints/a-checkpoint.jpg": _image(),
    "images/train/.ipynb_checkpoints/b.jpg": _image(),
    "images/train/._a.jpg": b"of macOS",
    "labels/.cache/a.png": _mask(),
    "labels/train/._a.png": b"of macOS",
    ".train.txt": "x",
}


def test_hidden_files_and_folders_are_ignored(tmp_path, caplog):
    _folder(_write(tmp_path, HIDDEN), train=("a",), val=("b",))
    with caplog.at_level(logging.WARNING):
        assert _names(tmp_path, "train") == ["train/a"]
    assert caplog.text == ""
    assert "images has no split 'tset'; it has train, val" in _error(tmp_path, "tset")
    assert "it has train, val" in _error(tmp_path, ".ipynb_checkpoints")


def test_a_hidden_folder_makes_no_splits(tmp_path):
    _write(tmp_path, {f"images/{n}.png": _image() for n in "abcde"})
    _write(tmp_path, {f"labels/{n}.png": _mask() for n in "abcde"})
    _write(tmp_path, {"images/.ipynb_checkpoints/a.png": _image(), ".val.txt": "a"})
    _write(tmp_path, {"classes.txt": NAMES})
    assert len(_names(tmp_path, "train")) == 4
    assert len(_names(tmp_path, "val")) == 1


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
@pytest.mark.parametrize("file", ["classes.txt", "classes.json", "train.txt"])
def test_text_in_another_encoding_is_refused(tmp_path, file, encoding):
    _folder(tmp_path, train=("a",))
    text = '{"classes":\n["Stra\xdfe"]}' if file.endswith("json") else "a\nStra\xdfe"
    _write(tmp_path, {file: text.encode(encoding)})
    line = {"latin-1": 2, "utf-16": 1}[encoding]
    expected = f"{tmp_path / file}: line {line} is not UTF-8; save the file as UTF-8"
    assert _error(tmp_path) == expected


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    _folder(tmp_path, train=("a", "b"))
    mark = b"\xef\xbb\xbf"
    _write(tmp_path, {"classes.txt": mark + b"road\nsky", "train.txt": mark + b"a\n"})
    assert _dataset(tmp_path).class_names == ("road", "sky")
    assert _names(tmp_path, "train") == ["train/a"]
    other = _write(
        tmp_path / "other", {"classes.json": mark + b'{"classes": ["p", "q"]}'}
    )
    (other / "images").mkdir()
    assert _dataset(other).class_names == ("p", "q")


def test_masks_of_another_size_are_found_before_training(tmp_path):
    _folder(tmp_path, train=("a", "b"))
    _write(tmp_path, {"labels/train/b.png": _mask(1, 6, 4)})
    with pytest.raises(failures.DataError) as caught:
        _dataset(tmp_path).size("train")
    assert "1 of 2 masks differ in size" in str(caught.value)
    assert "b.png is 4x6" in str(caught.value)


def test_two_images_of_one_name_are_refused(tmp_path):
    _folder(tmp_path, train=("a",))
    _write(tmp_path, {"images/train/a.png": _image()})
    assert "have the same name; rename one" in _error(tmp_path)


def test_a_folder_without_images_says_what_is_known(tmp_path):
    _folder(tmp_path, train=("a",))
    (tmp_path / "images/train/a.jpg").rename(tmp_path / "images/train/a.txt")
    assert "has no image" in _error(tmp_path)
    assert ".jpg" in _error(tmp_path)


def test_an_unknown_split_names_those_that_exist(tmp_path):
    _folder(tmp_path, train=("a",), val=("b",))
    assert "images has no split 'tset'; it has train, val" in _error(tmp_path, "tset")


def test_a_missing_folder_says_what_it_must_hold(tmp_path):
    _write(tmp_path, {"classes.txt": NAMES})
    assert "images/<split>/ and masks/<split>/" in _error(tmp_path)
    (tmp_path / "images").mkdir()
    assert "has neither labels nor masks" in _error(tmp_path)


def test_missing_names_say_how_to_give_them(tmp_path):
    _folder(tmp_path, train=("a",))
    (tmp_path / "classes.txt").unlink()
    assert "write the names of the classes into classes.txt" in _error(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "want {"),
        ('["road"]', "want {"),
        ('{"classes": []}', "0 classes; want 1 to 255"),
        ('{"classes": ["a", "a"]}', "class 'a' is listed twice"),
        ('{"classes": ["a", "b"], "palette": [[1, 2, 3]]}', "2 classes but 1 colors"),
        ('{"classes": ["a"], "palette": [[1, 2, 300]]}', "want values from 0 to 255"),
    ],
)
def test_a_faulty_json_list_is_refused(tmp_path, content, message):
    _folder(tmp_path, train=("a",))
    _write(tmp_path, {"classes.json": content})
    assert "classes.json" in _error(tmp_path)
    assert message in _error(tmp_path)


def test_a_text_list_with_some_colors_is_refused(tmp_path):
    _folder(tmp_path, train=("a",))
    _write(tmp_path, {"classes.txt": "road 1 2 3\nsky\n"})
    assert "'sky' has no color and others have" in _error(tmp_path)


def test_camvid_has_its_counts_and_classes(shared):
    dataset = _dataset(shared / "data/camvid")
    assert (dataset.size("train"), dataset.size("val")) == (367, 101)
    assert dataset.num_classes == 11
    values = set()
    for example in dataset.load("val", limit=10).as_numpy_iterator():
        assert example["image"].shape == (360, 480, 3)
        values |= set(np.unique(example["semantic"]).tolist())
    assert values <= {*range(11), 255}
    assert len(values) > 8
