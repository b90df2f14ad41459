"""Folders of photographs, right and wrong, and photographs without labels."""

import logging

import numpy as np
import pytest
from PIL import Image

from official import failures
from official.data import image_files, image_folder, photos


def _save(path, *, value=90, mode="RGB", size=(6, 4), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.full(size[::-1], value, np.uint8)).convert(mode)
    picture.save(path, **options)


def _folder(root, **splits):
    """`train={"cat": 2}` writes train/cat/0.jpg and train/cat/1.jpg."""
    for split, classes in splits.items():
        for name, count in classes.items():
            (root / split / name).mkdir(parents=True)
            for index in range(count):
                _save(root / split / name / f"{index}.jpg")
    return root


def _dataset(root, **fields):
    return image_folder.ImageFolder(data_dir=str(root), **fields)


def _labels(dataset, split="train"):
    return {record.path: record.label for record in dataset.records(split)}


def _error(root, split="train", **fields):
    with pytest.raises(failures.DataError) as caught:
        list(_dataset(root, **fields).load(split).as_numpy_iterator())
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_folders_are_splits_and_classes_sorted_by_name(tmp_path):
    _folder(tmp_path, train={"dog": 1, "cat": 2}, val={"cat": 1, "dog": 1})
    dataset = _dataset(tmp_path)
    assert dataset.class_names == ("cat", "dog")
    assert len(dataset.palette) == 2
    assert _labels(dataset) == {
        "train/cat/0.jpg": 0,
        "train/cat/1.jpg": 0,
        "train/dog/0.jpg": 1,
    }
    examples = list(dataset.load("val").as_numpy_iterator())
    assert [int(example["label"]) for example in examples] == [0, 1]
    assert examples[0]["label"].dtype == np.int32
    assert examples[1]["image_id"] == b"val/dog/0.jpg"


def test_classes_pick_and_order_the_folders(tmp_path, caplog):
    _folder(tmp_path, train={"dog": 1, "cat": 1, "cow": 1})
    dataset = _dataset(tmp_path, classes=("dog", "cat"))
    with caplog.at_level(logging.WARNING):
        assert _labels(dataset) == {"train/dog/0.jpg": 0, "train/cat/0.jpg": 1}
    assert "1 folders in" in caplog.text
    assert "not in dataset.classes: cow" in caplog.text


def test_without_folders_of_splits_a_fifth_of_each_class_is_val(tmp_path):
    for name, count in (("cat", 10), ("dog", 5), ("emu", 1)):
        _folder(tmp_path, **{".": {name: count}})
    train, val = (_labels(_dataset(tmp_path), split) for split in ("train", "val"))
    assert not train.keys() & val.keys()
    assert len(train | val) == 16
    assert [list(val.values()).count(label) for label in range(3)] == [2, 1, 0]
    assert val == _labels(_dataset(tmp_path), "val")
    assert "there is no split 'test'; there are 'train' and 'val'" in _error(
        tmp_path, "test"
    )


def test_a_new_photograph_moves_few_others():
    names = [f"{number}.jpg" for number in range(50)]
    before, after = image_files.held_out(names), image_files.held_out([*names, "new"])
    assert len(before) == len(after) == 10
    assert len(before & after) >= 9


@pytest.mark.parametrize("name", ["validation", "valid", "test"])
def test_val_may_have_another_name(tmp_path, name):
    _folder(tmp_path, train={"cat": 1}, **{name: {"cat": 2}})
    assert _dataset(tmp_path).size("val") == 2


def test_a_missing_split_names_those_that_exist(tmp_path):
    _folder(tmp_path, train={"cat": 1}, extra={"cat": 1})
    assert "has no split 'val'; it has extra, train" in _error(tmp_path, "val")
    _save(tmp_path / "val" / "ILSVRC2012_val_00000001.JPEG")
    assert "val holds no folders of classes; its images go" in _error(tmp_path, "val")


def test_folders_below_a_class_belong_to_it(tmp_path):
    _save(tmp_path / "train" / "cat" / "2021" / "may" / "a.png")
    assert _labels(_dataset(tmp_path)) == {"train/cat/2021/may/a.png": 0}


def test_endings_in_upper_case_count_and_hidden_files_do_not(tmp_path, caplog):
    _save(tmp_path / "train" / "cat" / "A.JPG")
    _save(tmp_path / "train" / "cat" / "._A.JPG", format="JPEG")
    _save(tmp_path / "train" / "cat" / ".thumbnails" / "a.jpg")
    _save(tmp_path / "train" / ".trash" / "a.jpg")
    _save(tmp_path / ".cache" / "cat" / "a.jpg")
    with caplog.at_level(logging.WARNING):
        assert _labels(_dataset(tmp_path)) == {"train/cat/A.JPG": 0}
    assert not caplog.text


def test_stray_files_are_counted_once(tmp_path, caplog):
    _folder(tmp_path, train={"cat": 1})
    (tmp_path / "train" / "cat" / "notes.txt").write_text("")
    (tmp_path / "train" / "Thumbs.db").write_text("")
    dataset = _dataset(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert dataset.size("train") == dataset.size("train") == 1
    assert caplog.text.count("2 files in") == 1
    assert "Thumbs.db, cat/notes.txt" in caplog.text


def test_an_empty_class_is_told(tmp_path, caplog):
    _folder(tmp_path, train={"cat": 1, "dog": 0})
    with caplog.at_level(logging.WARNING):
        assert _dataset(tmp_path).size("train") == 1
    assert "hold no image: dog" in caplog.text
    assert _dataset(tmp_path).class_names == ("cat", "dog")


def test_a_class_that_only_train_has_is_told(tmp_path, caplog):
    _folder(tmp_path, train={"cat": 1, "dog": 1}, val={"dog": 1})
    with caplog.at_level(logging.WARNING):
        assert _labels(_dataset(tmp_path), "val") == {"val/dog/0.jpg": 1}
    assert "1 classes have no folder in" in caplog.text


def test_a_class_that_train_lacks_is_refused(tmp_path):
    _folder(tmp_path, train={"cat": 1, "roses": 1}, val={"rose": 1})
    message = _error(tmp_path, "val")
    assert f"{tmp_path / 'val'}: class rose is not in {tmp_path / 'train'}" in message
    assert "did you mean roses?" in message


def test_a_missing_or_empty_folder_says_what_is_wanted(tmp_path):
    message = _error(tmp_path / "none")
    assert "none does not exist" in message
    assert "@SyntheticCrops()" in message
    assert "holds no folders" in _error(tmp_path)
    _folder(tmp_path, train={"cat": 0})
    assert "has no image <class>/*; want the endings" in _error(tmp_path)


def test_faulty_classes_are_refused(tmp_path):
    _folder(tmp_path, train={"daisy": 1})
    message = _error(tmp_path, classes=("dasy",))
    assert "has no folder 'dasy'; did you mean daisy?" in message
    assert "want names, each once" in _error(tmp_path, classes=("daisy", "daisy"))
    assert "want names, each once" in _error(tmp_path, classes=())


def test_a_damaged_image_is_named(tmp_path):
    _folder(tmp_path, train={"cat": 1})
    path = tmp_path / "train" / "cat" / "0.jpg"
    path.write_bytes(path.read_bytes()[:200])
    assert f"{path}: truncated, damaged or of an unknown kind" in _error(tmp_path)
    path.write_bytes(b"")
    assert f"{path}: the file is empty" in _error(tmp_path)
    path.write_text("<html>")
    assert f"{path}: not an image" in _error(tmp_path)


def test_every_kind_of_image_is_rgb_and_upright(tmp_path):
    folder = tmp_path / "train" / "cat"
    for mode, ending in (
        ("L", "png"),
        ("L", "jpg"),
        ("1", "png"),
        ("P", "gif"),
        ("RGBA", "png"),
        ("RGB", "webp"),
        ("RGB", "bmp"),
        ("CMYK", "jpg"),
    ):
        _save(folder / f"{mode}.{ending}", mode=mode)
    Image.fromarray(np.full((4, 6), 90 * 257, np.uint16)).save(folder / "16.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    _save(folder / "turned.jpg", size=(4, 6), exif=turned)
    examples = list(_dataset(tmp_path).load("train").as_numpy_iterator())
    assert len(examples) == 10
    for example in examples:
        assert example["image"].shape == (4, 6, 3), example["image_id"]
        if b"/1.png" not in example["image_id"]:  # black and white is dithered
            assert abs(example["image"].mean() - 90) < 4, example["image_id"]


def test_photos_are_found_in_all_folders_and_have_no_label(tmp_path, caplog):
    _save(tmp_path / "b.jpg")
    _save(tmp_path / "x" / "y" / "a.PNG")
    _save(tmp_path / ".x" / "hidden.jpg")
    (tmp_path / "readme.txt").write_text("")
    dataset = photos.Photos(data_dir=str(tmp_path))
    with caplog.at_level(logging.WARNING):
        examples = list(dataset.load("train").as_numpy_iterator())
    assert [example["image_id"] for example in examples] == [b"b.jpg", b"x/y/a.PNG"]
    assert [int(example["label"]) for example in examples] == [-1, -1]
    assert "1 files in" in caplog.text


def test_photos_say_what_is_missing(tmp_path):
    with pytest.raises(failures.DataError, match="none does not exist"):
        photos.Photos(data_dir=str(tmp_path / "none")).size("train")
    with pytest.raises(failures.DataError, match="has no image; want the endings"):
        photos.Photos(data_dir=str(tmp_path)).size("train")
    with pytest.raises(failures.DataError, match="no split 'val'; it has 'train'"):
        photos.Photos(data_dir=str(tmp_path)).size("val")


@pytest.mark.parametrize(
    ("name", "sizes", "classes"),
    [("flowers", (550, 160), 5), ("cifar10", (4000, 1000), 10)],
)
def test_real_folders_are_read(shared, name, sizes, classes):
    dataset = _dataset(shared / "data" / name)
    assert (dataset.size("train"), dataset.size("val")) == sizes
    assert dataset.num_classes == classes
    (example,) = dataset.pick("val", [100])
    folder = example["image_id"].decode().split("/")[1]
    assert dataset.class_names[int(example["label"])] == folder
