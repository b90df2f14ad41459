"""Tables of images with their classes, right and wrong."""

import collections
import logging

import numpy as np
import pytest
from PIL import Image

from official import failures
from official.data import image_list


def _folder(root, *, table="file,label\na.jpg,dog\nb.jpg,cat\n", split="train"):
    (root / "images").mkdir(exist_ok=True)
    for name in "abcde":
        Image.fromarray(np.full((4, 6, 3), 90, np.uint8)).save(
            root / "images" / f"{name}.jpg"
        )
    data = table if isinstance(table, bytes) else table.encode()
    (root / f"{split}.csv").write_bytes(data)
    return root


def _dataset(root, **fields):
    return image_list.ImageList(data_dir=str(root), **fields)


def _labels(root, split="train", **fields):
    stream = _dataset(root, **fields).load(split).as_numpy_iterator()
    return [example["label"].tolist() for example in stream]


def _error(root, split="train", **fields):
    with pytest.raises(failures.DataError) as caught:
        _dataset(root, **fields).load(split)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_names_are_classes_in_the_order_of_the_alphabet(tmp_path):
    dataset = _dataset(_folder(tmp_path))
    assert dataset.class_names == ("cat", "dog")
    assert len(dataset.palette) == 2
    examples = list(dataset.load("train").as_numpy_iterator())
    assert [int(example["label"]) for example in examples] == [1, 0]
    assert examples[0]["label"].dtype == np.int32
    assert examples[0]["image_id"] == b"train/a.jpg"


def test_numbers_are_classes_from_zero(tmp_path, caplog):
    _folder(tmp_path, table="file,label\na.jpg,2\nb.jpg,0\n")
    with caplog.at_level(logging.WARNING):
        assert _dataset(tmp_path).class_names == ("0", "1", "2")
    assert "1 of 3 have no row: 1" in caplog.text
    assert _labels(tmp_path) == [2, 0]


def test_given_classes_are_called_by_name_or_number(tmp_path):
    _folder(tmp_path, table="file,label\na.jpg,1\nb.jpg,dog\n")
    assert _labels(tmp_path, classes=("dog", "cat")) == [1, 0]


def test_val_has_the_classes_of_train(tmp_path):
    _folder(tmp_path)
    _folder(tmp_path, table="file,label\nc.jpg,dog\n", split="val")
    assert _labels(tmp_path, "val") == [1]


def test_columns_table_and_images_are_fields(tmp_path):
    _folder(tmp_path)
    (tmp_path / "images").rename(tmp_path / "photos_train")
    (tmp_path / "lists").mkdir()
    table = tmp_path / "lists" / "vww_train.csv"
    table.write_text("id,person,name\n7,1,a.jpg\n")
    labels = _labels(
        tmp_path,
        table="lists/vww_{split}.csv",
        images="photos_{split}",
        file_column="name",
        label_column="person",
        classes=("nobody", "somebody"),
    )
    assert labels == [1]


@pytest.mark.parametrize(
    "table",
    [
        b"\xef\xbb\xbffile,label\r\na.jpg,dog\r\n\r\nb.jpg,cat\r\n",
        b"file;label\na.jpg;dog\nb.jpg;cat",
        b"file\tlabel\na.jpg\tdog\nb.jpg\tcat\n\n",
        b'file, label\n"a.jpg", dog\n b.jpg ,cat\n',
    ],
    ids=["byte order mark and CRLF", "semicolons", "tabs", "spaces"],
)
def test_tables_of_other_systems_are_read(tmp_path, table):
    assert _labels(_folder(tmp_path, table=table)) == [1, 0]


def test_a_cell_may_hold_several_labels(tmp_path):
    table = "file,label\na.jpg,dog; cat\nb.jpg,\nc.jpg,emu\n"
    dataset = _dataset(_folder(tmp_path, table=table), separator=";")
    assert dataset.class_names == ("cat", "dog", "emu")
    stream = dataset.load("train")
    assert stream.element_spec["labels"].shape == (3,)
    labels = [example["labels"] for example in stream.as_numpy_iterator()]
    assert labels[0].dtype == np.float32
    np.testing.assert_array_equal(labels, [[1, 1, 0], [0, 0, 0], [0, 0, 1]])


def test_one_table_for_all_is_divided_by_a_hash(tmp_path):
    table = "file,label\n" + "".join(f"{name}.jpg,x\n" for name in "abcde")
    _folder(tmp_path, table=table, split="all")
    dataset = _dataset(tmp_path, table="all.csv")
    names = [
        [record.image.name for record in dataset.records(split)]
        for split in ("train", "val")
    ]
    assert [len(part) for part in names] == [4, 1]
    assert sorted(names[0] + names[1]) == [f"{name}.jpg" for name in "abcde"]
    assert "there is no split 'test'" in _error(tmp_path, "test", table="all.csv")


def test_a_label_that_is_no_class_is_named_with_its_line(tmp_path):
    _folder(tmp_path, table="file,label\na.jpg,dog\n\nb.jpg,dgo\n")
    message = _error(tmp_path, classes=("cat", "dog"))
    assert "train.csv:4: label 'dgo' is not a class; did you mean dog?" in message
    _folder(tmp_path, table="file,label\na.jpg,2\n")
    assert "train.csv:2: label '2' is not" in _error(tmp_path, classes=("x", "y"))
    _folder(tmp_path, table="file,label\na.jpg,-1\n")
    assert "train.csv:2: label '-1' is not" in _error(tmp_path, classes=("x", "z"))


def test_a_row_without_image_is_named_with_its_line(tmp_path):
    _folder(tmp_path, table="file,label\na.jpg,dog\nz.jpg,dog\n")
    message = _error(tmp_path)
    assert f"train.csv:3: {tmp_path / 'images' / 'z.jpg'} does not exist" in message
    assert "1 of 2 rows" in message


def test_an_image_listed_twice_is_named_with_both_lines(tmp_path):
    _folder(tmp_path, table="file,label\na.jpg,dog\nb.jpg,dog\na.jpg,cat\n")
    assert "train.csv:4: a.jpg is in line 2 already" in _error(tmp_path)


def test_a_missing_column_names_the_nearest(tmp_path):
    _folder(tmp_path, table="file,labels\na.jpg,dog\n")
    message = _error(tmp_path)
    assert "train.csv:1: no column 'label'; did you mean labels?" in message
    assert "set dataset.label_column" in message


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,label\na.jpg\n", "train.csv:2: 1 cells; the first line has 2"),
        ("file,label\na.jpg,\n", "train.csv:2: the label is empty"),
        ("file,label\n,dog\n", "train.csv:2: names no image"),
        ("file,label\n\n", "has no rows below its first line"),
        ("", "no column 'file' (its columns: none"),
        (b"file,label\na.jpg,\xff\n", "line 2 is not UTF-8"),
    ],
)
def test_a_faulty_table_is_refused(tmp_path, table, message):
    assert message in _error(_folder(tmp_path, table=table))


def test_missing_files_and_folders_are_named(tmp_path):
    _folder(tmp_path)
    assert "train.csv?) (dataset.data_dir, dataset.table" in _error(tmp_path, "val")
    assert "none does not exist" in _error(tmp_path / "none")
    assert "photos does not exist; set dataset.images" in _error(
        tmp_path, images="photos"
    )


def test_faulty_fields_are_refused(tmp_path):
    with pytest.raises(failures.RequestError, match="separator = ' '"):
        _dataset(tmp_path, separator=" ")
    _folder(tmp_path)
    assert "want names, each once" in _error(tmp_path, classes=("a", "a"))


def test_a_damaged_image_is_named(tmp_path):
    _folder(tmp_path)
    path = tmp_path / "images" / "a.jpg"
    path.write_bytes(path.read_bytes()[:200])
    assert f"{path}: truncated, damaged" in _error(tmp_path)


def test_visual_wake_words_are_read(shared):
    dataset = _dataset(
        shared / "data" / "coco128",
        table="annotations/vww_{split}.csv",
        images="images/{split}",
        label_column="person",
        classes=("no person", "person"),
    )
    assert (dataset.size("train"), dataset.size("val")) == (102, 26)
    counts = collections.Counter(r.class_ids for r in dataset.records("train"))
    assert counts == {(0,): 60, (1,): 42}
