"""Boxes in a CSV file; and boxes that are drawn, or prepared by TFDS."""

import numpy as np
import pytest
from PIL import Image

from official import failures
from official.data import boxes, synthetic
from official.data.box_list import BoxList
from official.data.synthetic_boxes import SyntheticBoxes
from official.data.tfds_boxes import TFDSBoxes
from official.ops import box_kinds
from official.report import contents, terminal

HEAD = "image,class,xmin,ymin,xmax,ymax"


def _write(folder, *rows, **fields):
    (folder / "boxes.csv").write_text("\n".join(rows))
    (folder / "images").mkdir(exist_ok=True)
    for name in "ab":
        Image.new("RGB", (80, 60)).save(folder / "images" / f"{name}.jpg")
    return BoxList(data_dir=str(folder), **fields)


def test_rows_of_an_image_come_together(tmp_path):
    dataset = _write(
        tmp_path,
        "class;split;image;ymin;xmin;ymax;xmax;width;height",
        "red;train;a.jpg;1;2;30;40;80;60",
        ";val;b.jpg;;;;;80;60",
        "blue;train;a.jpg;5.5;6;7;8;80;60",
    )
    assert dataset.class_names == ("blue", "red")
    (example,) = dataset.load("train").as_numpy_iterator()
    assert example["boxes"].tolist() == [[1, 2, 30, 40], [5.5, 6, 7, 8]]
    assert example["box_classes"].tolist() == [1, 0]
    (empty,) = dataset.load("val").as_numpy_iterator()
    assert empty["boxes"].shape == (0, 4)
    assert dataset.summary("val").empty == 1


def test_other_columns_and_no_splits(tmp_path):
    rows = [f"{name}.jpg,red,1,1,9,9" for name in "ab"]
    head = HEAD.replace("image", "filename").replace("class", "label")
    fields = {"image_column": "filename", "class_column": "label"}
    dataset = _write(tmp_path, head, *rows, **fields)
    assert (dataset.size("train"), dataset.size("val")) == (1, 1)


def test_the_table_names_the_first_image_with_each_problem(tmp_path):
    rows = [
        "a.jpg,red,1,1,9,9,train",
        "b.jpg,red,5,5,5,9,val",
        "a.jpg,red,7,7,7,7,train",
    ]
    outside = "b.jpg,red,70,1,99,9,val"
    dataset = _write(tmp_path, f"{HEAD},split", *rows, outside)
    with terminal.console.capture() as capture:
        terminal.console.print(contents.table(dataset, ("train", "val")))
    text = " ".join(capture.get().split())
    assert "problem: without area (dropped) 1 1" in text
    assert "without area: first in train image a.jpg, val image b.jpg" in text
    assert "clipped at the edge of the image: first in val image b.jpg" in text


@pytest.mark.parametrize(
    ("file", "seen", "name"),
    [
        ("JPEGImages/a.jpg", "JPEGImages/", "VOC"),
        ("annotations/instances_train.json", "annotations/*.json", "COCODetection"),
        ("data.yaml", "data.yaml", "YOLO"),
        ("labels/train/a.txt", "labels/", "YOLO"),
    ],
)
def test_data_of_another_format_is_known(tmp_path, file, seen, name):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    with pytest.raises(failures.DataError) as caught:
        BoxList(data_dir=str(tmp_path)).size("train")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'boxes.csv'} does not exist")
    assert message.endswith(
        f"{tmp_path} has {seen}: to read it, set dataset = "
        f"@{name}(data_dir={str(tmp_path)!r})"
    )


def test_a_missing_folder_proposes_no_other_format(tmp_path):
    with pytest.raises(failures.DataError, match=r"xmin,ymin,xmax,ymax$"):
        BoxList(data_dir=str(tmp_path / "x")).size("train")


def test_broken_boxes_are_dropped_and_counted(tmp_path):
    rows = ["1,1,1,9", "nan,1,9,9", "70,1,90,9", "90,1,99,9"]
    head = f"{HEAD},split"
    dataset = _write(tmp_path, head, *[f"a.jpg,red,{row},train" for row in rows])
    assert dataset.summary("train").problems == {
        boxes.NO_AREA: 1,
        boxes.NOT_A_NUMBER: 1,
        boxes.CLIPPED: 1,
        boxes.OUTSIDE: 1,
    }


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ["image,class,xmin,ymin,xmax", "a.jpg,red,1,1,9"],
            r"boxes.csv:1: no column 'ymax'; did you mean .*xmax",
        ),
        (["file,class,xmin,ymin,xmax,ymax", "a"], "no column 'image'.*image_column"),
        ([HEAD], "has no rows below its first line"),
        ([HEAD, "a.jpg,red,1,1,9"], "boxes.csv:2: 5 cells; the first line has 6"),
        ([HEAD, "a.jpg,red,1,x,9,9"], "boxes.csv:2: ymin is 'x'; want a number"),
        ([HEAD, "a.jpg,red,1,,9,9"], "boxes.csv:2: ymin is ''; want a number"),
        ([HEAD, "a.jpg,,1,1,9,9"], "boxes.csv:2: a box without a class"),
        ([HEAD, ",red,1,1,9,9"], "boxes.csv:2: names no image"),
        ([HEAD, "c.jpg,red,1,1,9,9"], r"1 of its 1 images are not in .*: c.jpg \("),
        ([f"{HEAD},split", "a.jpg,red,1,1,9,9,val"], "no row of split 'train'"),
        (
            [f"{HEAD},split", "a.jpg,red,1,1,9,9,train", "b.jpg,red,1,1,9,9,"],
            "boxes.csv:3: split is empty, so b.jpg would be in none; name its split",
        ),
        (
            [f"{HEAD},split", "a.jpg,red,1,1,9,9,train", "a.jpg,red,2,2,9,9,val"],
            r"csv:3: a.jpg is in split 'val' here, and in 'train' in line 2; give all",
        ),
        (
            [f"{HEAD},width,height", "a.jpg,red,1,1,9,9,80,"],
            "boxes.csv:2: width without height, so the size of the image cannot be",
        ),
        (
            [f"{HEAD},height", "a.jpg,red,1,1,9,9,60"],
            "boxes.csv:2: height without width, so the size",
        ),
    ],
)
def test_a_faulty_table_is_one_clear_line(tmp_path, rows, message):
    dataset = _write(tmp_path, *rows)
    with pytest.raises(failures.DataError, match=message) as caught:
        dataset.size("train")
    assert "\n" not in str(caught.value)


def test_a_class_that_training_lacks_is_named_with_its_line(tmp_path):
    rows = ["a.jpg,red,1,1,9,9,train", "b.jpg,rod,1,1,9,9,val"]
    dataset = _write(tmp_path, f"{HEAD},split", *rows)
    with pytest.raises(failures.DataError, match=r"csv:3: class 'rod' .* mean red\?"):
        dataset.size("val")


def test_a_table_of_another_size_is_refused(tmp_path):
    head = f"{HEAD},width,height,split"
    dataset = _write(tmp_path, head, "a.jpg,red,1,1,9,9,60,80,train")
    with pytest.raises(failures.DataError, match=r"80x60 pixels, but 60x80 in .*csv:2"):
        dataset.load("train")


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(
        failures.DataError, match=r"none does not exist .* columns image"
    ):
        BoxList(data_dir=str(tmp_path / "none")).size("train")
    with pytest.raises(failures.DataError, match=r"boxes.csv does not exist"):
        BoxList(data_dir=str(tmp_path)).size("train")


def test_drawn_boxes_go_around_what_is_seen():
    streets = synthetic.SyntheticStreets(height=96, width=128, train_size=3)
    drawn = SyntheticBoxes(height=96, width=128, train_size=3, smallest=10)
    found = 0
    for street, example in zip(
        streets.load("train").as_numpy_iterator(),
        drawn.load("train").as_numpy_iterator(),
        strict=True,
    ):
        np.testing.assert_array_equal(street["image"], example["image"])
        numbers, counts = np.unique(street["instance"], return_counts=True)
        large = numbers[(numbers > 0) & (counts >= 10)]
        assert len(large) == len(example["boxes"])
        for number, box, label, area in zip(
            large,
            example["boxes"].astype(int),
            example["box_classes"],
            example["box_areas"],
            strict=True,
        ):
            pixels = street["instance"] == number
            top, left, bottom, right = box
            inside = pixels[top:bottom, left:right]
            assert inside.sum() == pixels.sum() == area
            assert inside[0].any()
            assert inside[-1].any()
            assert inside[:, 0].any()
            assert inside[:, -1].any()
            name = streets.class_names[street["semantic"][pixels][0]]
            assert drawn.class_names[label] == name
            found += 1
    assert found > 5


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"smallest": 0}, "smallest = 0; give 1"), ({"height": 3}, "height = 3 is too")],
)
def test_wrong_fields_of_drawn_boxes_are_named(fields, message):
    with pytest.raises(failures.RequestError, match=message):
        SyntheticBoxes(**fields)


def _prepare(folder, name, *, splits, config=None):
    """Stores a data set with the features of VOC in the catalog."""
    tfds = pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("importlib_resources", reason="needed to write the fixture")
    thing = {
        "bbox": tfds.features.BBoxFeature(),
        "label": tfds.features.ClassLabel(names=["red", "blue"]),
        "is_difficult": np.bool_,
    }
    features = {
        "image": tfds.features.Image(shape=(None, None, 3)),
        "objects": tfds.features.Sequence(thing),
    }
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        config=config,
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={
            split: [
                (
                    "0",
                    {
                        "image": image,
                        "objects": [
                            {
                                "bbox": tfds.features.BBox(*box),
                                "label": label,
                                "is_difficult": difficult,
                            }
                            for box, label, difficult in objects
                        ],
                    },
                )
            ]
            for split, (image, objects) in splits.items()
        },
        data_dir=folder,
    )
    return str(folder)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    image = np.zeros((8, 16, 3), np.uint8)
    objects = [
        ((0.25, 0.5, 0.75, 1.0), "blue", True),
        ((0.0, 0.0, 0.5, 0.5), "red", False),
    ]
    splits = {"train": (image, objects), "test": (image, [])}
    return _prepare(tmp_path_factory.mktemp("tfds"), "cells", splits=splits)


@pytest.mark.parametrize(("orientation", "size"), [(3, (60, 80)), (6, (80, 60))])
def test_boxes_of_the_catalog_turn_with_their_image(tmp_path, orientation, size):
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[10:20, 5:45] = 255
    picture = Image.fromarray(pixels)
    picture.getexif()[0x0112] = orientation
    file = tmp_path / "one.jpg"
    picture.save(file, exif=picture.getexif(), quality=100)
    objects = [((10 / 60, 5 / 80, 20 / 60, 45 / 80), "red", False)]
    splits = {"train": (str(file), objects)}
    folder = _prepare(tmp_path / "tfds", "turned", splits=splits)
    dataset = TFDSBoxes(name="turned", data_dir=folder)
    (example,) = dataset.load("train").as_numpy_iterator()
    assert example["image"].shape[:2] == size
    ((top, left, bottom, right),) = example["boxes"].round().astype(int)
    assert example["image"][top:bottom, left:right].min() > 200
    assert (bottom - top) * (right - left) == 10 * 40
    assert dataset.summary("train").problems == {}


def test_voc_in_the_catalog_counts_pixels_from_one(tmp_path):
    image = np.zeros((8, 16, 3), np.uint8)
    objects = [
        ((1 / 8, 1 / 16, 1.0, 1.0), "red", False),
        ((0.0, 0.0, 0.5, 0.5), "red", False),
        ((0.5, 0.5, 0.5, 0.5), "red", False),
    ]
    splits = {"train": (image, objects)}
    folder = _prepare(tmp_path, "voc", splits=splits, config="2007")
    dataset = TFDSBoxes(name="voc/2007", data_dir=folder)
    (example,) = dataset.load("train").as_numpy_iterator()
    assert example["boxes"].tolist() == [[0, 0, 8, 16], [0, 0, 4, 8]]
    assert dataset.summary("train").problems == {boxes.NO_AREA: 1}


def test_shares_of_the_catalog_become_pixels(prepared):
    dataset = TFDSBoxes(name="cells", data_dir=prepared)
    assert dataset.class_names == ("red", "blue")
    (example,) = dataset.load("train").as_numpy_iterator()
    assert example["boxes"].tolist() == [[2, 8, 6, 16], [0, 0, 4, 8]]
    assert example["box_kinds"].tolist() == [box_kinds.DIFFICULT, box_kinds.OBJECT]
    assert example["box_classes"].tolist() == [1, 0]
    assert example["box_areas"].tolist() == [32, 32]
    (empty,) = dataset.load("val").as_numpy_iterator()
    assert empty["boxes"].shape == (0, 4)


def test_classes_of_the_catalog_can_be_chosen(prepared):
    dataset = TFDSBoxes(name="cells", data_dir=prepared, classes=("blue",))
    (example,) = dataset.load("train").as_numpy_iterator()
    assert example["box_classes"].tolist() == [0]
    wrong = TFDSBoxes(name="cells", data_dir=prepared, classes=("blau",))
    with pytest.raises(failures.DataError, match="cells has no class 'blau'"):
        wrong.size("train")


def test_data_without_objects_names_what_it_has(prepared):
    dataset = TFDSBoxes(name="cells", data_dir=prepared, objects_key="object")
    with pytest.raises(failures.DataError) as caught:
        dataset.size("train")
    assert "no objects 'object' with 'bbox' and 'label'; did you mean objects?" in str(
        caught.value
    )
