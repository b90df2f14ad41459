"""Cityscapes folders."""

import numpy as np
import pytest
from PIL import Image

from official import failures
from official.data import base, cityscapes, cityscapes_panoptic


def _write(root, city="aachen", number=0, split="train", labels=None, size=(4, 6)):
    stem = f"{city}_{number:06}_000019"
    image = root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png"
    mask = root / "gtFine" / split / city / f"{stem}_gtFine_labelIds.png"
    for path in (image, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), 50, np.uint8)).save(image)
    labels = np.full(size, 7) if labels is None else labels
    Image.fromarray(np.asarray(labels, np.uint8)).save(mask)
    return mask


def _dataset(root):
    return cityscapes.Cityscapes(data_dir=str(root))


def test_the_table_is_that_of_the_official_scripts():
    labels = pytest.importorskip("cityscapesscripts.helpers.labels").labels
    theirs = {row.id: row for row in labels}
    ours = [(row.label_id, row.name, row.color) for row in cityscapes.CLASSES]
    assert ours == [
        (row.id, row.name, row.color)
        for row in sorted(theirs.values(), key=lambda row: row.trainId)
        if row.trainId not in (255, -1)
    ]


def test_label_ids_become_the_nineteen_classes(tmp_path):
    ids = np.arange(36).reshape(6, 6)
    ids[5, 4:] = 255  # there is no 34, 35
    _write(tmp_path, labels=ids, size=(6, 6))
    (example,) = _dataset(tmp_path).load("train").as_numpy_iterator()
    classes = example["semantic"].ravel()
    assert sorted(classes[classes != base.IGNORE_LABEL]) == list(range(19))
    assert classes[7] == 0  # road
    assert classes[26] == 13  # car
    assert classes[33] == 18  # bicycle
    assert classes[0] == 255
    assert example["image_id"] == b"train/aachen_000000_000019"


def test_examples_come_by_city_and_number(tmp_path):
    for city, number in (("ulm", 2), ("bonn", 3), ("ulm", 1)):
        _write(tmp_path, city=city, number=number)
    names = [r.image.name[:8] for r in _dataset(tmp_path).records("train")]
    assert names == ["bonn_000", "ulm_0000", "ulm_0000"]
    assert _dataset(tmp_path).records("train")[1].image.name.startswith("ulm_000001")


def test_missing_data_says_where_to_get_it(tmp_path):
    with pytest.raises(failures.DataError) as caught:
        _dataset(tmp_path / "none").size("train")
    message = str(caught.value)
    assert "https://www.cityscapes-dataset.com" in message
    assert "leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip" in message
    assert '--set "dataset = @SyntheticStreets()"' in message


def test_an_unknown_split_names_those_that_exist(tmp_path):
    _write(tmp_path)
    _write(tmp_path, split="val")
    with pytest.raises(failures.DataError, match="no split 'dev'; it has train, val"):
        _dataset(tmp_path).size("dev")


def test_images_without_labels_are_counted(tmp_path):
    _write(tmp_path)
    _write(tmp_path, number=1).unlink()
    with pytest.raises(failures.DataError, match=r"1 of the 2 images in .* no labels"):
        _dataset(tmp_path).size("train")


def test_an_empty_split_says_what_is_looked_for(tmp_path):
    _write(tmp_path)
    (tmp_path / "leftImg8bit/val").mkdir()
    with pytest.raises(failures.DataError, match=r"has no image <city>/\*_leftImg8bit"):
        _dataset(tmp_path).size("val")


def test_a_number_that_is_no_label_id_is_refused(tmp_path):
    _write(tmp_path, labels=np.full((4, 6), 40))
    with pytest.raises(
        failures.DataError, match=r"label 40 at row 0, column 0; want 0"
    ):
        _dataset(tmp_path).load("train")


def test_labels_of_another_size_are_refused(tmp_path):
    _write(tmp_path, labels=np.full((6, 4), 7))
    with pytest.raises(failures.DataError, match="is 4x6, its image 6x4"):
        _dataset(tmp_path).load("train")


def test_camvid_in_cityscapes_folders_gives_its_train_ids(shared):
    dataset = _dataset(shared / "data/camvid_cityscapes")
    assert (dataset.size("train"), dataset.size("val")) == (24, 10)
    records = dataset.records("val")
    for record, example in zip(
        records, dataset.load("val").as_numpy_iterator(), strict=True
    ):
        name = record.labels.name.replace("labelIds", "labelTrainIds")
        expected = np.asarray(Image.open(record.labels.with_name(name)))
        np.testing.assert_array_equal(example["semantic"], expected)


def _write_instances(root, numbers):
    mask = _write(root, city="ulm", size=np.shape(numbers))
    path = mask.with_name(mask.name.replace("labelIds", "instanceIds"))
    Image.fromarray(np.asarray(numbers, np.uint16)).save(path)
    return cityscapes_panoptic.CityscapesPanoptic(data_dir=str(root))


def test_instance_ids_become_classes_and_instances(tmp_path):
    # A road; two cars and a group of them; a person; a caravan, which is no class.
    numbers = [[7, 7, 26_004, 26_001], [26, 24_001, 29_000, 0]]
    dataset = _write_instances(tmp_path, numbers)
    (example,) = dataset.load("train").as_numpy_iterator()
    assert example["semantic"].tolist() == [[0, 0, 13, 13], [13, 11, 255, 255]]
    assert example["instance"].tolist() == [[0, 0, 3, 2], [0, 1, 0, 0]]
    assert [dataset.class_names[k] for k in dataset.thing_ids] == [
        "person",
        "rider",
        "car",
        "truck",
        "bus",
        "train",
        "motorcycle",
        "bicycle",
    ]


def test_instances_have_the_numbers_of_the_official_scripts(tmp_path):
    dataset = _write_instances(tmp_path, [[7]])
    name = "ulm_000000_000019"
    assert dataset.image_numbers("train") == {f"train/{name}": name}
    assert dataset.category_ids("train")[:2] == (7, 8)
    assert dataset.category_ids("train")[18] == 33


def test_an_unknown_label_of_an_instance_is_named(tmp_path):
    dataset = _write_instances(tmp_path, [[7, 40_001]])
    with pytest.raises(failures.DataError, match=r"instanceIds.png: label 40 at row 0"):
        dataset.load("train")


def test_data_without_instances_says_where_to_get_them(shared):
    folder = shared / "data" / "camvid_cityscapes"
    assert cityscapes.Cityscapes(data_dir=str(folder)).size("val") == 10
    dataset = cityscapes_panoptic.CityscapesPanoptic(data_dir=str(folder))
    message = r"10 of the 10 images .*_gtFine_instanceIds.png does not exist; unpack gt"
    with pytest.raises(failures.DataError, match=message):
        dataset.size("val")
