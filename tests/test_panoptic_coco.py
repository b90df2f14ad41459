"""COCO's panoptic files, with gaps, crowds and mistakes."""

import json

import numpy as np
import pytest
from PIL import Image

from official import failures
from official.data import base, errors, segments
from official.data.coco_panoptic import COCOPanoptic

VOID = base.IGNORE_LABEL

CATEGORIES = [
    {"id": 90, "name": "sky", "isthing": 0},
    {"id": 7, "name": "dog", "isthing": 1},
    {"id": 2, "name": "cat", "isthing": 1},
]
# Rows: two dogs and a crowd of cats; sky and nothing.
MAP = np.array([[500, 500, 70_000, 70_000], [9, 9, 3, 3], [0, 0, 3, 0]])
SEGMENTS = [
    {"id": 3, "category_id": 90, "iscrowd": 0, "area": 3, "bbox": [2, 1, 2, 2]},
    {"id": 9, "category_id": 2, "iscrowd": 1},
    {"id": 70_000, "category_id": 7, "iscrowd": 0},
    {"id": 500, "category_id": 7, "iscrowd": 0},
]


def _content(**changes):
    return {
        "images": [{"id": 12, "file_name": "a.png", "height": 3, "width": 4}],
        "categories": CATEGORIES,
        "annotations": [
            {"image_id": 12, "file_name": "map.png", "segments_info": SEGMENTS}
        ],
    } | changes


def _save_map(numbers, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = np.asarray(numbers)
    colors = np.stack([numbers % 256, numbers // 256 % 256, numbers // 65536], axis=-1)
    Image.fromarray(colors.astype(np.uint8)).save(path)


def _write(
    folder,
    content=None,
    *,
    path="annotations/panoptic_train.json",
    image="images/train/a.png",
    stored=MAP,
    **fields,
):
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(json.dumps(content or _content()))
    _save_map(stored, (folder / path).with_suffix("") / "map.png")
    (folder / image).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3)).save(folder / image)
    return COCOPanoptic(data_dir=str(folder), **fields)


def _only(dataset, split="train"):
    (example,) = dataset.load(split).as_numpy_iterator()
    return example


def test_segments_become_classes_and_instances(tmp_path):
    dataset = _write(tmp_path)
    assert dataset.class_names == ("cat", "dog", "sky")
    assert dataset.thing_ids == (0, 1)
    example = _only(dataset)
    assert example["semantic"].tolist() == [
        [1, 1, 1, 1],
        [0, 0, 2, 2],
        [VOID, VOID, 2, VOID],
    ]
    # Two dogs in the order of the file; the crowd and the sky have none.
    assert example["instance"].tolist() == [[2, 2, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert example["image_id"] == b"train/a.png"
    assert dataset.image_numbers("train") == {"train/a.png": 12}
    assert dataset.category_ids("train") == (2, 7, 90)


@pytest.mark.parametrize(
    ("path", "image", "maps"),
    [
        (
            "annotations/panoptic_val2017.json",
            "val2017/a.png",
            "annotations/panoptic_val2017",
        ),
        ("annotations/panoptic_val2017.json", "val2017/a.png", "panoptic_val2017"),
        ("panoptic_valid.json", "valid/a.png", "panoptic_valid"),
        ("ade20k_panoptic_val.json", "images/validation/a.png", "ade20k_panoptic_val"),
    ],
)
def test_files_are_found_where_others_keep_them(tmp_path, path, image, maps):
    dataset = _write(tmp_path, path=path, image=image)
    (tmp_path / path).with_suffix("").rename(tmp_path / maps)
    assert dataset.size("val") == 1
    assert _only(dataset, "val")["instance"].max() == 2


def test_the_training_images_of_ade20k_are_found(tmp_path):
    path = "ade20k_panoptic_train.json"
    assert _write(tmp_path, path=path, image="images/training/a.png").size("train") == 1


def test_a_segment_without_a_pixel_is_nowhere(tmp_path):
    stored = np.where(MAP == 500, 0, MAP)
    example = _only(_write(tmp_path, stored=stored))
    assert set(np.unique(example["instance"])) == {0, 1}


def test_a_map_may_have_999_things_of_more_that_are_listed():
    numbers = np.arange(1, 1002)
    found = segments.Segments(numbers, np.zeros(1001, np.int32), np.zeros(1001, bool))

    def labels(stored):
        return segments.labels(stored[None], found, (0,), path="m.png", source="j.json")

    semantic, instance = labels(numbers[2:])
    assert not semantic.any()
    assert instance.tolist() == [list(range(1, 1000))]
    message = r"m.png: 1000 things, and an image may have 999; .* crowd of some \(iscro"
    with pytest.raises(failures.DataError, match=message):
        labels(numbers[:1000])


def test_a_segment_of_the_map_that_the_file_lacks_is_an_error(tmp_path):
    dataset = _write(tmp_path, stored=np.where(MAP == 9, 8, MAP))
    with (
        pytest.raises(
            failures.DataError,
            match=r"map.png: segment 8 at row 1, column 0 is not among the 4 that "
            r".*panoptic_train.json has for this image; export both again",
        ),
        errors.clear(),
    ):
        _only(dataset)


def test_maps_of_numbers_are_refused(tmp_path):
    dataset = _write(tmp_path)
    path = tmp_path / "annotations/panoptic_train/map.png"
    Image.fromarray(np.zeros((3, 4), np.uint8)).save(path)
    with pytest.raises(failures.DataError, match=r"one number for each pixel; want an"):
        _only(dataset)


def test_maps_have_the_size_of_their_image(tmp_path):
    dataset = _write(tmp_path, stored=np.zeros((3, 5), int))
    with pytest.raises(failures.DataError, match=r"is 5x3, its image 4x3"):
        _only(dataset)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_maps_are_turned_with_their_image(tmp_path, orientation):
    dataset = _write(tmp_path, image="images/train/a.jpg")
    content = _content(images=[{"id": 12, "file_name": "a.jpg"}])
    (tmp_path / "annotations/panoptic_train.json").write_text(json.dumps(content))
    picture = Image.new("RGB", (4, 3))
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "images/train/a.jpg", exif=exif)
    example = _only(dataset)
    steps = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.T,
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).T,
        8: np.rot90,
    }
    expected = steps[orientation](np.array([[2, 2, 1, 1], [0] * 4, [0] * 4]))
    np.testing.assert_array_equal(example["instance"], expected)


def test_images_without_an_annotation_are_left_out_and_named(tmp_path, caplog):
    images = [
        {"id": 12, "file_name": "a.png"},
        {"id": 13, "file_name": "b.png"},
    ]
    dataset = _write(tmp_path, _content(images=images))
    assert dataset.size("train") == 1
    assert "1 of the 2 images of" in caplog.text
    assert "are left out: b.png" in caplog.text


def test_palettes_come_from_the_file_where_it_has_all(tmp_path):
    colors = [row | {"color": [row["id"], 0, 0]} for row in CATEGORIES]
    dataset = _write(tmp_path, _content(categories=colors))
    assert dataset.palette == ((2, 0, 0), (7, 0, 0), (90, 0, 0))
    half = _write(tmp_path / "half", _content(categories=[*CATEGORIES[:2], colors[2]]))
    assert len(set(half.palette)) == 3
    assert half.palette[0] != (2, 0, 0)


def _annotation(**changes):
    first = _content()["annotations"][0]
    return {"annotations": [first | changes]}


def _segment(**changes):
    return _annotation(segments_info=[SEGMENTS[0] | changes])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"categories": [{"id": 1, "name": "x"}]},
            r"category in place 0 is faulty \(lacks isthing: 1 for things, 0 for stuff",
        ),
        (_annotation(image_id=5), r"image_id 5 is not among the images"),
        (
            _annotation(segments_info=None),
            r"place 0 \(image_id 12, .*\) is faulty .* segments_info, a list",
        ),
        (_segment(category_id=4), r"image 12: segment 3: category_id 4 is not among"),
        (_segment(id=0), r"segment 0: a map cannot store that; want 1 to 16777215"),
        (_segment(id=2**24), r"segment 16777216: a map cannot store that"),
        (
            _annotation(segments_info=[SEGMENTS[0]] * 2),
            r"image 12: segment 3 is listed twice",
        ),
        (
            {"annotations": _content()["annotations"] * 2},
            r"image 12 has two annotations",
        ),
        ({"annotations": []}, r"panoptic_train.json has no image with an annotation"),
        ({"annotations": None}, r"as in COCO's panoptic_\*.json"),
        (
            {"images": [{"id": 12, "file_name": "c.png"}]},
            r"names c.png, which is not in .*set dataset.images",
        ),
        (
            _annotation(file_name="c.png"),
            r"names c.png, which is not in .*set dataset.maps",
        ),
    ],
)
def test_mistakes_are_named(tmp_path, changes, message):
    dataset = _write(tmp_path, _content(**changes))
    with pytest.raises(failures.DataError, match=message):
        dataset.records("train")


def test_splits_agree_about_what_is_a_thing(tmp_path):
    dataset = _write(tmp_path)
    swapped = [CATEGORIES[0] | {"isthing": 1}, *CATEGORIES[1:]]
    _write(
        tmp_path,
        _content(categories=swapped),
        path="annotations/panoptic_val.json",
        image="images/val/a.png",
    )
    with pytest.raises(failures.DataError, match=r"'sky' has isthing 1, and 0 in the"):
        dataset.records("val")


def test_missing_files_say_what_to_have(tmp_path):
    dataset = COCOPanoptic(data_dir=str(tmp_path / "none"))
    with pytest.raises(failures.DataError, match=r"none does not exist; .*SyntheticSt"):
        dataset.size("train")
    dataset = _write(tmp_path)
    with pytest.raises(
        failures.DataError, match=r"no panoptic annotations of split 'v"
    ):
        dataset.size("val")


def test_an_archive_within_the_archive_is_to_be_unpacked(tmp_path):
    dataset = _write(tmp_path)
    maps = tmp_path / "annotations/panoptic_train"
    (maps / "map.png").unlink()
    maps.rmdir()
    maps.with_suffix(".zip").write_bytes(b"")
    with pytest.raises(failures.DataError, match=r"panoptic_train.zip is packed; unp"):
        dataset.size("train")


def test_what_cityscapes_scripts_write_is_read(tmp_path):
    name = "ulm_000001_000019"
    categories = [
        {"id": 7, "name": "road", "isthing": 0, "color": [128, 64, 128]},
        {"id": 26, "name": "car", "isthing": 1, "color": [0, 0, 142]},
    ]
    segments = [
        {"id": 7, "category_id": 7, "iscrowd": 0},
        {"id": 26, "category_id": 26, "iscrowd": 1},
        {"id": 26_003, "category_id": 26, "iscrowd": 0},
    ]
    content = {
        "images": [{"id": name, "file_name": f"{name}_gtFine_leftImg8bit.png"}],
        "categories": categories,
        "annotations": [
            {"image_id": name, "file_name": "map.png", "segments_info": segments}
        ],
    }
    dataset = _write(
        tmp_path,
        content,
        path="gtFine/cityscapes_panoptic_train.json",
        image=f"leftImg8bit/train/ulm/{name}_leftImg8bit.png",
        stored=[[7, 7, 7, 7], [26, 26, 26_003, 0], [26, 7, 26_003, 0]],
    )
    example = _only(dataset)
    assert example["semantic"].tolist() == [[0] * 4, [1, 1, 1, VOID], [1, 0, 1, VOID]]
    assert example["instance"].tolist() == [[0] * 4, [0, 0, 1, 0], [0, 0, 1, 0]]
    image_id = f"train/ulm/{name}_leftImg8bit.png"
    assert dataset.image_numbers("train") == {image_id: name}
    assert dataset.category_ids("train") == (7, 26)


@pytest.mark.parametrize("kind", ["", "coarse_"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_real_files_give_the_areas_that_they_name(shared, kind, split):
    pattern = f"annotations/panoptic_{kind}{{split}}.json"
    folder = shared / "data" / "coco128"
    dataset = COCOPanoptic(data_dir=str(folder), annotations=pattern)
    content = json.loads((folder / pattern.replace("{split}", split)).read_text())
    areas = {
        (row["image_id"], kind): []
        for row in content["annotations"]
        for kind in ("thing", "other")
    }
    things = {row["id"] for row in content["categories"] if row["isthing"]}
    for row in content["annotations"]:
        for one in row["segments_info"]:
            single = one["category_id"] in things and not one["iscrowd"]
            areas[row["image_id"], "thing" if single else "other"].append(one["area"])
    numbers = dataset.image_numbers(split)
    examples = list(dataset.pick(split, range(0, dataset.size(split), 4)))
    for example in examples:
        number = numbers[example["image_id"].decode()]
        counts = np.bincount(example["instance"].ravel())[1:]
        assert counts.tolist() == areas[number, "thing"]
        labelled = example["semantic"] != VOID
        others = (labelled & (example["instance"] == 0)).sum()
        assert others == sum(areas[number, "other"])


def test_the_133_classes_of_coco_are_80_things_and_then_stuff(shared):
    dataset = COCOPanoptic(data_dir=str(shared / "data" / "coco128"))
    assert dataset.num_classes == 133
    assert dataset.thing_ids == tuple(range(80))
    assert dataset.category_ids("val")[79:82] == (90, 92, 93)


def test_the_persons_of_penn_fudan_are_things(shared):
    dataset = COCOPanoptic(data_dir=str(shared / "data" / "pennfudan_panoptic"))
    assert dataset.class_names == ("person", "background")
    assert dataset.thing_ids == (0,)
    assert dataset.palette == ((220, 20, 60), (120, 120, 120))
    assert (dataset.size("train"), dataset.size("val")) == (105, 25)
    (example,) = dataset.pick("val", [0])
    assert example["instance"].max() >= 1
    np.testing.assert_array_equal(example["semantic"] == 0, example["instance"] > 0)
