"""Pascal VOC's XML files, and what tools make of them."""

import pytest
from PIL import Image

from official import failures
from official.data import boxes
from official.data.voc import VOC
from official.ops import box_kinds


def _object(name="cat", box=(11, 21, 30, 40), **fields):
    """xmin, ymin, xmax, ymax."""
    sides = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    corners = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
    extra = "".join(f"<{key}>{value}</{key}>" for key, value in fields.items())
    return f"<object><name>{name}</name>{extra}<bndbox>{corners}</bndbox></object>"


def _write(folder, content, *, split="train", size=(80, 60), root=""):
    """Each image with the inside of its XML file."""
    root = folder / root
    for name, inside in content.items():
        for part, ending in (("JPEGImages", "jpg"), ("Annotations", "xml")):
            path = root / part / f"{name}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(root / "JPEGImages" / f"{name}.jpg")
        path.write_text(f"<annotation>{inside}</annotation>")
    if split is not None:
        path = root / "ImageSets" / "Main" / f"{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(content) + "\n")
    return VOC(data_dir=str(folder))


def _boxes(dataset, place=0):
    return dataset.read(dataset.records("train")[place])


def test_pixels_are_counted_from_one_and_the_last_is_part_of_the_box(tmp_path):
    dataset = _write(tmp_path, {"one": _object(box=(1, 1, 80, 60))})
    assert _boxes(dataset)["boxes"].tolist() == [[0, 0, 60, 80]]
    assert dataset.summary("train").problems == {}


def test_a_zero_is_the_edge_and_no_problem(tmp_path):
    dataset = _write(tmp_path, {"one": _object(box=(0, 0.5, 7, 8))})
    assert _boxes(dataset)["boxes"].tolist() == [[0, 0, 8, 7]]
    assert dataset.summary("train").problems == {}


def test_difficult_objects_are_of_their_kind_and_truncated_ones_are_not(tmp_path):
    inside = _object(difficult=1) + _object("ant", truncated=1, difficult=0)
    dataset = _write(tmp_path, {"one": inside, "two": ""})
    assert dataset.class_names == ("ant", "cat")
    example = _boxes(dataset)
    assert example["box_kinds"].tolist() == [box_kinds.DIFFICULT, box_kinds.OBJECT]
    assert example["box_classes"].tolist() == [1, 0]
    assert example["box_areas"].tolist() == [400, 400]
    assert _boxes(dataset, 1)["boxes"].shape == (0, 4)


def test_parts_of_an_object_are_no_objects(tmp_path):
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    inside = _object("person").replace("<bndbox>", f"{part}<bndbox>", 1)
    dataset = _write(tmp_path, {"one": inside})
    assert dataset.class_names == ("person",)
    assert _boxes(dataset)["boxes"].tolist() == [[20, 10, 40, 30]]


def test_broken_boxes_are_dropped_and_counted(tmp_path):
    inside = "".join(
        _object(box=box)
        for box in [
            (5, 5, 5, 5),
            (9, 5, 5, 9),
            ("nan", 5, 9, 9),
            (81, 5, 95, 9),
            (-4, 5, 9, 9),
        ]
    )
    dataset = _write(tmp_path, {"one": inside})
    assert _boxes(dataset)["boxes"].tolist() == [[4, 0, 9, 9]]
    assert dataset.summary("train").problems == {
        boxes.NO_AREA: 2,
        boxes.NOT_A_NUMBER: 1,
        boxes.OUTSIDE: 1,
        boxes.CLIPPED: 1,
    }


def test_a_list_of_labels_gives_the_order(tmp_path):
    dataset = _write(tmp_path, {"one": _object("cat") + _object("ant")})
    (tmp_path / "labels.txt").write_text("dog\ncat\nant\n")
    assert dataset.class_names == ("dog", "cat", "ant")
    assert _boxes(dataset)["box_classes"].tolist() == [1, 2]


def test_classes_can_be_chosen(tmp_path):
    _write(tmp_path, {"one": _object("cat") + _object("ant")})
    dataset = VOC(data_dir=str(tmp_path), classes=("ant",))
    assert _boxes(dataset)["box_classes"].tolist() == [0]
    assert dataset.summary("train").problems == {boxes.LEFT_OUT: 1}


def test_without_lists_a_fifth_is_held_out(tmp_path):
    names = {f"image {number}": _object() for number in range(10)}
    dataset = _write(tmp_path, names, split=None)
    assert dataset.size("train") == 8
    assert dataset.size("val") == 2
    with pytest.raises(failures.DataError, match="there are 'train' and 'val'"):
        dataset.size("test")


def test_splits_may_have_folders(tmp_path):
    _write(tmp_path, {"one": _object(), "two": ""}, split=None, root="train")
    dataset = _write(tmp_path, {"three": _object()}, split=None, root="val")
    assert (dataset.size("train"), dataset.size("val")) == (2, 1)


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ("<object>", r"one.xml: not XML \(mismatched tag"),
        (
            "<object><name>cat</name></object>",
            "one.xml: object 'cat' has no <bndbox>; draw its box, or remove it",
        ),
        (_object(box=("x", 1, 2, 3)), "<bndbox/xmin> is 'x'; want a number of pixels"),
        (_object().replace("<ymax>40</ymax>", ""), "<bndbox/ymax> is None; want"),
        (_object(name=""), "one.xml: an object without <name>"),
        ("<size><width>80</width></size>", "<size/height> is None"),
    ],
)
def test_a_faulty_file_is_one_clear_line(tmp_path, inside, message):
    dataset = _write(tmp_path, {"one": inside, "two": _object()})
    with pytest.raises(failures.DataError, match=message) as caught:
        dataset.size("train")
    assert "\n" not in str(caught.value)


def test_a_class_that_training_lacks_is_named(tmp_path):
    _write(tmp_path, {"one": _object("cat")})
    dataset = _write(tmp_path, {"two": _object("cut")}, split="val")
    with pytest.raises(failures.DataError, match=r"two.xml: class 'cut' .*mean cat\?"):
        dataset.size("val")


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(failures.DataError, match="SyntheticBoxes"):
        VOC(data_dir=str(tmp_path / "none")).size("train")
    dataset = _write(tmp_path, {"one": _object(), "two": _object()})
    with pytest.raises(failures.DataError, match=r"test.txt does not exist; .* train"):
        dataset.size("test")
    (tmp_path / "JPEGImages" / "two.jpg").unlink()
    with pytest.raises(failures.DataError, match="1 of 2 annotated images of 'train'"):
        dataset.size("train")


def test_an_image_of_another_size_is_refused(tmp_path):
    size = "<size><width>80</width><height>60</height></size>"
    dataset = _write(tmp_path, {"one": size + _object()}, size=(80, 61))
    with pytest.raises(failures.DataError, match="is 80x61 pixels, but 80x60 in"):
        dataset.load("train")


def test_a_name_without_annotation_is_refused(tmp_path):
    dataset = _write(tmp_path, {"one": _object(), "two": _object()})
    (tmp_path / "Annotations" / "two.xml").unlink()
    with pytest.raises(failures.DataError, match=r"two.xml does not exist; an image"):
        dataset.size("train")


def test_the_real_blood_cells_lack_two_boxes_without_area(shared):
    dataset = VOC(data_dir=str(shared / "data" / "bccd_voc"))
    assert dataset.class_names == ("RBC", "WBC", "Platelets")
    train, val = dataset.summary("train"), dataset.summary("val")
    assert (train.images, val.images) == (205, 87)
    assert train.problems == val.problems == {boxes.NO_AREA: 1}
    assert sum(train.classes.values()) + sum(val.classes.values()) == 3943 - 2


def test_the_real_raccoons_are_read_whole(shared):
    dataset = VOC(data_dir=str(shared / "data" / "raccoon_voc"))
    assert dataset.class_names == ("raccoon",)
    train, val = dataset.summary("train"), dataset.summary("val")
    assert (train.images, val.images) == (130, 30)
    assert sum(train.classes.values()) + sum(val.classes.values()) == 175
    assert train.problems == val.problems == {}
    for record in dataset.records("val")[:3]:
        assert len(dataset.read(record)["boxes"]) >= 1
