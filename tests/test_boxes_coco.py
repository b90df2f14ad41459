"""COCO's JSON files, with gaps, crowds and mistakes."""

import json

import numpy as np
import pytest
from PIL import Image

from official import failures
from official.data import boxes
from official.data.coco_detection import COCODetection
from official.ops import box_kinds

NAN = float("nan")
RLE = {"counts": [10, 5, 9], "size": [60, 80]}


def _content():
    return {
        "images": [
            {"id": 40, "file_name": "b.jpg", "height": 60, "width": 80},
            {"id": 12, "file_name": "a.jpg", "height": 60, "width": 80},
        ],
        "categories": [{"id": 7, "name": "dog"}, {"id": 2, "name": "cat"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 12,
                "category_id": 7,
                "bbox": [10, 20, 30, 40],
                "area": 700,
                "iscrowd": 0,
                "segmentation": [[1, 2, 3, 4, 5, 6]],
            },
            {
                "id": 2,
                "image_id": 12,
                "category_id": 2,
                "bbox": [0, 0, 8.5, 6],
                "iscrowd": 1,
                "segmentation": RLE,
            },
        ],
    }


def _write(
    folder, content, *, path="annotations/instances_train.json", images="images/train"
):
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / path).write_text(text)
    (folder / images).mkdir(parents=True, exist_ok=True)
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (80, 60)).save(folder / images / name)
    return COCODetection(data_dir=str(folder))


def _examples(dataset, split="train"):
    return list(dataset.load(split).as_numpy_iterator())


def test_categories_become_classes_in_the_order_of_their_ids(tmp_path):
    dataset = _write(tmp_path, _content())
    assert dataset.class_names == ("cat", "dog")
    empty, example = _examples(dataset)
    assert empty["image_id"] == b"train/b.jpg"
    assert empty["boxes"].shape == (0, 4)
    assert example["boxes"].tolist() == [[20, 10, 60, 40], [0, 0, 6, 8.5]]
    assert example["box_classes"].tolist() == [1, 0]
    assert example["box_kinds"].tolist() == [box_kinds.OBJECT, box_kinds.CROWD]
    assert example["box_areas"].tolist() == [700, 51]
    assert dataset.image_numbers("train") == {"train/b.jpg": 40, "train/a.jpg": 12}
    assert dataset.category_ids("train") == (2, 7)


@pytest.mark.parametrize(
    ("path", "images"),
    [
        ("annotations/instances_train2017.json", "train2017"),
        ("annotations/instances_train2017.json", "images/train2017"),
        ("instances_train.json", "JPEGImages"),
        ("train/_annotations.coco.json", "train"),
        ("train/labels.json", "train/images"),
    ],
)
def test_known_layouts_are_found(tmp_path, path, images):
    dataset = _write(tmp_path, _content(), path=path, images=images)
    assert dataset.size("train") == 2


def test_other_layouts_can_be_given(tmp_path):
    _write(tmp_path, _content(), path="one.json", images="photos/all")
    dataset = COCODetection(
        data_dir=str(tmp_path), annotations="one.json", images="photos/all"
    )
    assert dataset.size("train") == 2


def test_other_splits_are_numbered_as_the_training_split(tmp_path):
    _write(tmp_path, _content())
    other = _content() | {"categories": [{"id": 1, "name": "dog"}]}
    other["annotations"] = [other["annotations"][0] | {"category_id": 1}]
    dataset = _write(
        tmp_path, other, path="annotations/instances_val.json", images="images/val"
    )
    assert _examples(dataset, "val")[1]["box_classes"].tolist() == [1]
    assert dataset.category_ids("val") == (-1, 1)
    other["categories"][0]["name"] = "dig"
    _write(tmp_path / "b", _content())
    dataset = _write(
        tmp_path / "b",
        other,
        path="annotations/instances_val.json",
        images="images/val",
    )
    with pytest.raises(failures.DataError, match=r"class 'dig' .* did you mean dog\?"):
        dataset.size("val")


@pytest.mark.parametrize(
    ("orientation", "size", "box"),
    [
        (3, (60, 80), [0, 40, 40, 70]),
        (6, (60, 80), [10, 0, 40, 40]),
        (6, (80, 60), [20, 10, 60, 40]),  # the upright size
    ],
)
def test_pixels_are_those_of_the_stored_image(tmp_path, orientation, size, box):
    content = _content()
    content["images"][1] |= {"height": size[0], "width": size[1]}
    dataset = _write(tmp_path, content)
    picture = Image.new("RGB", (80, 60))
    picture.getexif()[0x0112] = orientation
    picture.save(tmp_path / "images/train/a.jpg", exif=picture.getexif())
    assert _examples(dataset)[1]["boxes"][0].tolist() == box


def test_classes_can_be_chosen(tmp_path):
    _write(tmp_path, _content())
    dataset = COCODetection(data_dir=str(tmp_path), classes=("dog",))
    assert _examples(dataset)[1]["box_classes"].tolist() == [0]
    assert dataset.summary("train").problems == {boxes.LEFT_OUT: 1}
    wrong = COCODetection(data_dir=str(tmp_path), classes=("cats",))
    with pytest.raises(failures.DataError, match=r"no class 'cats'; did you mean cat"):
        wrong.size("train")


def test_broken_boxes_are_dropped_and_counted(tmp_path):
    content = _content()
    good = content["annotations"][0]
    content["annotations"] += [
        good | {"id": 3, "bbox": [5, 5, 0, 9]},
        good | {"id": 4, "bbox": [5, 5, 9, -2]},
        good | {"id": 5, "bbox": [5, NAN, 9, 9]},
        good | {"id": 6, "bbox": [85, 5, 9, 9]},
        good | {"id": 7, "bbox": [75, 5, 9, 9]},
    ]
    dataset = _write(tmp_path, content)
    assert dataset.summary("train").problems == {
        boxes.NO_AREA: 2,
        boxes.NOT_A_NUMBER: 1,
        boxes.OUTSIDE: 1,
        boxes.CLIPPED: 1,
    }
    assert _examples(dataset)[1]["boxes"][-1].tolist() == [5, 75, 14, 80]


def _changed(key, place, **fields):
    content = _content()
    content[key][place] |= fields
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"images": [', "instances_train.json: not JSON"),
        ("[]", "want an object with lists images, categories, annotations"),
        (_content() | {"annotations": None}, "want an object with lists"),
        (_content() | {"images": [], "annotations": []}, "lists no image"),
        (_content() | {"categories": []}, "annotation 1: category_id 7"),
        (
            _changed("annotations", 0, image_id=5),
            "annotation 1: image_id 5 is not among the images",
        ),
        (
            _changed("annotations", 1, category_id=3),
            r"annotation 2: category_id 3 is not among the categories of the file \(7,",
        ),
        (_changed("annotations", 1, bbox=[1, 2, 3]), "annotation 2 is faulty"),
        (_changed("annotations", 1, bbox=["x", 1, 2, 3]), "annotation 2 is faulty"),
        (_changed("annotations", 1, bbox=None), "annotation 2 is faulty"),
        (_content() | {"annotations": [4]}, "annotation 0 is faulty"),
        (_changed("images", 1, id=40), "image 40 is listed twice"),
        (_changed("images", 1, id=None), "image in place 1 is faulty"),
        (_changed("categories", 0, name="cat"), "two categories have the same name"),
        (
            _changed("images", 1, file_name="c.jpg"),
            r"1 of its 2 images are not in .*images/train: c.jpg \(copy",
        ),
        (_changed("images", 0, file_name="c.jpg"), "names c.jpg, which is not in"),
    ],
)
def test_a_faulty_file_is_one_clear_line(tmp_path, content, message):
    dataset = _write(tmp_path, content)
    with pytest.raises(failures.DataError, match=message) as caught:
        dataset.size("train")
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_image_is_named_when_it_is_read(tmp_path):
    dataset = _write(tmp_path, _content())
    (tmp_path / "images/train/b.jpg").write_bytes(b"no jpeg")
    with pytest.raises(failures.DataError, match=r"b.jpg: not an image"):
        dataset.load("train")


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(failures.DataError, match="SyntheticBoxes"):
        COCODetection(data_dir=str(tmp_path / "none")).size("train")
    dataset = _write(tmp_path, _content())
    with pytest.raises(failures.DataError, match="no annotations of split 'test'"):
        dataset.size("test")


def test_the_real_files_are_read_whole(shared):
    dataset = COCODetection(data_dir=str(shared / "data" / "coco128"))
    assert dataset.num_classes == 80
    assert dataset.class_names[:2] == ("person", "bicycle")
    train, val = dataset.summary("train"), dataset.summary("val")
    assert (train.images, val.images, train.empty) == (102, 26, 2)
    assert sum(train.classes.values()) + train.crowds == 729
    assert sum(val.classes.values()) + val.crowds == 210
    assert (train.crowds, val.crowds) == (6, 4)
    assert train.problems == val.problems == {}
    assert max(dataset.category_ids("train")) == 90
    example = dataset.read(dataset.records("train")[0])
    assert (example["boxes"][:, 2:] <= example["image"].shape[:2]).all()


def test_published_detectors_number_classes_by_category_ids(shared):
    folder = str(shared / "data" / "coco128")
    plain = COCODetection(data_dir=folder)
    dataset = COCODetection(data_dir=folder, keep_gaps=True)
    assert dataset.num_classes == len(dataset.palette) == 90
    assert dataset.class_names[0] == "person"
    assert dataset.class_names[11] == "(unused 12)"
    assert dataset.class_names[89] == "toothbrush"
    for split in ("train", "val"):
        ids = plain.category_ids(split)
        for one, other in zip(
            plain.records(split), dataset.records(split), strict=True
        ):
            counted = [ids[number] for number in one.objects.classes]
            assert (other.objects.classes + 1).tolist() == counted
        kept = dataset.category_ids(split)
        assert [n for n in kept if n > 0] == sorted(ids)
        assert all(n in (place + 1, -1) for place, n in enumerate(kept))
    assert dataset.summary("val").classes["(unused 12)"] == 0


@pytest.mark.parametrize("number", [0, 20_000])
def test_gaps_want_small_ids_from_one(tmp_path, number):
    content = _content() | {"annotations": []}
    content["categories"][0]["id"] = number
    _write(tmp_path, content)
    with pytest.raises(failures.DataError, match=rf"ids .*{number}.*; .*keep_gaps"):
        COCODetection(data_dir=str(tmp_path), keep_gaps=True).size("train")


def test_gaps_and_chosen_classes_exclude_each_other():
    with pytest.raises(failures.RequestError, match="give one of them"):
        COCODetection(data_dir="coco", classes=("dog",), keep_gaps=True)


@pytest.mark.parametrize("name", ["bccd_voc", "raccoon_voc"])
def test_the_json_of_voc_data_is_read(shared, name):
    dataset = COCODetection(data_dir=str(shared / "data" / name))
    assert dataset.size("train") > dataset.size("val") > 0
    assert np.isfinite(dataset.summary("val").sides).all()
