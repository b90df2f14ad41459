"""What every data set must keep, on a fixture of two sizes of pictures."""

import dataclasses
import importlib
import inspect
import json
import pkgutil

import numpy as np
import pytest
from PIL import Image

import official.data
from official.data import (
    base,
    image_folder,
    indexed,
    mask_folder,
    photos,
    record_writing,
)
from official.ops import box_kinds

SPLIT = "train"


def _pictures(count=4, numbers=(0, 1)):
    """Images and label maps, uint8, of two sizes."""
    generator = np.random.default_rng(0)
    for index in range(count):
        size = (12 + 4 * (index % 2), 16)
        image = generator.integers(0, 256, (*size, 3), np.uint8)
        yield index, image, generator.choice(np.array([*numbers, 255], np.uint8), size)


def _save(array, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def _cityscapes(folder):
    for index, image, labels in _pictures(numbers=(7, 26)):
        stem = f"ulm/ulm_{index:06}_000019"
        _save(image, folder / "leftImg8bit" / SPLIT / f"{stem}_leftImg8bit.png")
        _save(labels, folder / "gtFine" / SPLIT / f"{stem}_gtFine_labelIds.png")
    return {"data_dir": str(folder)}


def _cityscapes_panoptic(folder):
    for index, image, labels in _pictures(numbers=(26, 7)):
        stem = f"ulm/ulm_{index:06}_000019"
        _save(image, folder / "leftImg8bit" / SPLIT / f"{stem}_leftImg8bit.png")
        numbers = np.array([26_003, 26, 7, 4], np.uint16)[_segments(labels, 7)]
        _save(numbers, folder / "gtFine" / SPLIT / f"{stem}_gtFine_instanceIds.png")
    return {"data_dir": str(folder)}


def _panoptic_folder(folder):
    for index, image, labels in _pictures():
        _save(image, folder / "images" / SPLIT / f"{index}.png")
        _save(labels, folder / "labels" / SPLIT / f"{index}.png")
        numbers = np.array([3, 0, 3, 0], np.uint16)[_segments(labels, 1)]
        _save(numbers, folder / "instances" / SPLIT / f"{index}.png")
    content = {"classes": ["thing", "stuff"], "things": ["thing"]}
    (folder / "classes.json").write_text(json.dumps(content))
    return {"data_dir": str(folder)}


def _segments(labels, stuff):
    """Of `_pictures`: things above row 4 are 0, a crowd below 1, stuff 2, others 3."""
    rows = np.arange(len(labels))[:, None]
    return np.select([labels == 255, labels == stuff, rows < 4], [3, 2, 0], 1)


def _colors(labels):
    """COCO's of segments 300, 70000, which is a crowd, and 7, the stuff."""
    ids = np.array([300, 70_000, 7, 0])[_segments(labels, 1)]
    return np.stack([ids % 256, ids // 256 % 256, ids // 256**2], -1).astype(np.uint8)


def _mask_folder(folder):
    for index, image, labels in _pictures():
        _save(image, folder / "images" / SPLIT / f"{index}.png")
        _save(labels, folder / "labels" / SPLIT / f"{index}.png")
    (folder / "classes.txt").write_text("thing\nother thing\n")
    return {"data_dir": str(folder)}


def _tfds(folder):
    tfds = pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("importlib_resources", reason="needed to write the fixture")
    features = {
        "image": tfds.features.Image(shape=(None, None, 3)),
        "segmentation_mask": tfds.features.Image(shape=(None, None, 1)),
    }
    examples = [
        (str(index), {"image": image, "segmentation_mask": labels[..., None]})
        for index, image, labels in _pictures()
    ]
    tfds.dataset_builders.store_as_tfds_dataset(
        name="tiny",
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={SPLIT: examples},
        data_dir=folder,
    )
    return {"name": "tiny", "data_dir": str(folder), "classes": ("a", "b")}


def _image_folder(folder):
    for index, image, _ in _pictures():
        _save(image, folder / SPLIT / "ab"[index % 2] / f"{index}.png")
    return {"data_dir": str(folder)}


def _image_list(folder):
    rows = ["file,label"]
    for index, image, _ in _pictures():
        _save(image, folder / "images" / f"{index}.png")
        rows.append(f"{index}.png,{'ab'[index % 2]}")
    (folder / f"{SPLIT}.csv").write_text("\n".join(rows))
    return {"data_dir": str(folder)}


def _image_list_of_several(folder):
    return _image_list(folder) | {"separator": "|"}


def _photos(folder):
    for index, image, _ in _pictures():
        _save(image, folder / f"{index}.png")
    return {"data_dir": str(folder)}


def _tfds_labels(folder):
    tfds = pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("importlib_resources", reason="needed to write the fixture")
    features = {
        "image": tfds.features.Image(shape=(None, None, 3)),
        "label": tfds.features.ClassLabel(names=["a", "b"]),
    }
    examples = [
        (str(index), {"image": image, "label": index % 2})
        for index, image, _ in _pictures()
    ]
    tfds.dataset_builders.store_as_tfds_dataset(
        name="tiny_classes",
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={SPLIT: examples},
        data_dir=folder,
    )
    return {"name": "tiny_classes", "data_dir": str(folder)}


def _tfds_boxes(folder):
    tfds = pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("importlib_resources", reason="needed to write the fixture")
    thing = {
        "bbox": tfds.features.BBoxFeature(),
        "label": tfds.features.ClassLabel(names=["a", "b"]),
        "is_crowd": np.bool_,
        "area": np.int64,
    }
    features = {
        "image": tfds.features.Image(shape=(None, None, 3)),
        "objects": tfds.features.Sequence(thing),
    }
    examples = []
    for index, image, _ in _pictures():
        height, width, _ = image.shape
        objects = [
            {
                "bbox": tfds.features.BBox(
                    top / height, left / width, bottom / height, right / width
                ),
                "label": name,
                "is_crowd": name == "b",
                "area": 17,
            }
            for name, (left, top, right, bottom) in _boxes(index)
        ]
        examples.append((str(index), {"image": image, "objects": objects}))
    tfds.dataset_builders.store_as_tfds_dataset(
        name="tiny_boxes",
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={SPLIT: examples},
        data_dir=folder,
    )
    return {"name": "tiny_boxes", "data_dir": str(folder)}


def _tfds_panoptic(folder):
    tfds = pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("importlib_resources", reason="needed to write the fixture")
    image = tfds.features.Image(shape=(None, None, 3), encoding_format="png")
    one = {
        "id": np.int64,
        "area": np.int64,
        "bbox": tfds.features.BBoxFeature(),
        "label": tfds.features.ClassLabel(names=["a", "b"]),
        "is_crowd": np.bool_,
    }
    found = [
        {
            "id": number,
            "area": 1,
            "bbox": tfds.features.BBox(0.0, 0.0, 1.0, 1.0),
            "label": label,
            "is_crowd": crowd,
        }
        for number, label, crowd in (
            (300, "a", False),
            (70_000, "a", True),
            (7, "b", False),
        )
    ]
    examples = [
        (
            str(index),
            {
                "image": image,
                "panoptic_image": _colors(labels),
                "panoptic_objects": found,
                "image/id": 10 + index,
            },
        )
        for index, image, labels in _pictures()
    ]
    tfds.dataset_builders.store_as_tfds_dataset(
        name="tiny_panoptic",
        version="1.0.0",
        features=tfds.features.FeaturesDict(
            {
                "image": image,
                "panoptic_image": image,
                "panoptic_objects": tfds.features.Sequence(one),
                "image/id": np.int64,
            }
        ),
        split_datasets={SPLIT: examples},
        data_dir=folder,
        disable_shuffling=True,
    )
    return {"name": "tiny_panoptic", "data_dir": str(folder), "thing_count": 1}


def _yolo(folder):
    for index, image, _ in _pictures():
        _save(image, folder / "images" / SPLIT / f"{index}.png")
        height, width, _ = image.shape
        lines = [
            f"{'ab'.index(name)} {(left + right) / 2 / width} "
            f"{(top + bottom) / 2 / height} {(right - left) / width} "
            f"{(bottom - top) / height}"
            for name, (left, top, right, bottom) in _boxes(index)
        ]
        path = folder / "labels" / SPLIT / f"{index}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        if lines:
            path.write_text("\n".join(lines))
    (folder / "data.yaml").write_text("nc: 2\nnames: [a, 'b']\n")
    return {"data_dir": str(folder)}


def _box_list(folder):
    rows = ["image,split,class,xmin,ymin,xmax,ymax"]
    for index, image, _ in _pictures():
        _save(image, folder / "images" / f"{index}.png")
        found = _boxes(index)
        rows += [
            f"{index}.png,{SPLIT},{name},{','.join(map(str, box))}"
            for name, box in found
        ]
        rows += [] if found else [f"{index}.png,{SPLIT},,,,,"]
    (folder / "boxes.csv").write_text("\n".join(rows))
    return {"data_dir": str(folder)}


def _with_unlabeled(folder):
    return {
        "labeled": image_folder.ImageFolder(**_image_folder(folder / "labelled")),
        "unlabeled": photos.Photos(**_photos(folder / "photographs")),
    }


def _boxes(index):
    """Left, top, right and lower edges of two boxes in each of `_pictures`, or none."""
    return [] if index == 2 else [("a", (1, 2, 7, 9)), ("b", (3, 0, 16, 12))]


def _coco_detection(folder):
    images, annotations = [], []
    for index, image, _ in _pictures():
        _save(image, folder / "images" / SPLIT / f"{index}.png")
        height, width = image.shape[:2]
        name = {"id": 10 + index, "file_name": f"{index}.png"}
        images.append(name | {"height": height, "width": width})
        for name, (left, top, right, bottom) in _boxes(index):
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": 10 + index,
                    "category_id": {"a": 3, "b": 7}[name],
                    "bbox": [left, top, right - left, bottom - top],
                    "area": 20.5,
                    "iscrowd": int(name == "b"),
                    "segmentation": {"counts": [3, 5], "size": [height, width]},
                }
            )
    categories = [{"id": 7, "name": "b"}, {"id": 3, "name": "a"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path = folder / "annotations" / f"instances_{SPLIT}.json"
    path.parent.mkdir()
    path.write_text(json.dumps(content))
    return {"data_dir": str(folder)}


def _coco_panoptic(folder):
    images, annotations = [], []
    for index, image, labels in _pictures():
        _save(image, folder / "images" / SPLIT / f"{index}.png")
        name = {"id": 10 + index, "file_name": f"{index}.png"}
        images.append(name | dict(zip(("height", "width"), labels.shape, strict=True)))
        _save(_colors(labels), folder / f"annotations/panoptic/{index}.png")
        segments = [
            {
                "id": 300,
                "category_id": 3,
                "iscrowd": 0,
                "area": 1,
                "bbox": [0, 0, 1, 1],
            },
            {"id": 70_000, "category_id": 3, "iscrowd": 1},
            {"id": 7, "category_id": 7, "iscrowd": 0},
        ]
        annotations.append(
            {
                "image_id": 10 + index,
                "file_name": f"{index}.png",
                "segments_info": segments,
            }
        )
    categories = [
        {"id": 7, "name": "b", "isthing": 0},
        {"id": 3, "name": "a", "isthing": 1},
    ]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path = folder / "annotations" / f"panoptic_{SPLIT}.json"
    path.write_text(json.dumps(content))
    return {"data_dir": str(folder), "maps": "annotations/panoptic"}


def _record_shards(folder):
    record_writing.write(
        mask_folder.MaskFolder(**_mask_folder(folder)),
        SPLIT,
        folder=folder / "shards",
        shards=3,
        limit=None,
        track=lambda items, what, total: items,
    )
    return {"data_dir": str(folder / "shards")}


def _voc(folder):
    names = []
    for index, image, _ in _pictures():
        _save(image, folder / "JPEGImages" / f"{index}.png")
        objects = "".join(
            f"<object><name>{name}</name><difficult>{int(name == 'b')}</difficult>"
            f"<bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin>"
            f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
            for name, (left, top, right, bottom) in _boxes(index)
        )
        path = folder / "Annotations" / f"{index}.xml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"<annotation>{objects}</annotation>")
        names.append(str(index))
    path = folder / "ImageSets" / "Main" / f"{SPLIT}.txt"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(names))
    return {"data_dir": str(folder)}


FIXTURES = {
    "BoxList": _box_list,
    "COCODetection": _coco_detection,
    "COCOPanoptic": _coco_panoptic,
    "Cityscapes": _cityscapes,
    "CityscapesPanoptic": _cityscapes_panoptic,
    "ImageFolder": _image_folder,
    "ImageList": _image_list,
    "ImageList: several labels": _image_list_of_several,
    "MaskFolder": _mask_folder,
    "PanopticFolder": _panoptic_folder,
    "Photos": _photos,
    "RecordShards": _record_shards,
    "SyntheticBoxes": lambda _: {"height": 48, "width": 64, "train_size": 4},
    "SyntheticCrops": lambda _: {"side": 32, "train_size": 4},
    "SyntheticStreets": lambda _: {"height": 32, "width": 48, "train_size": 4},
    "TFDS": _tfds,
    "TFDS: labels": _tfds_labels,
    "TFDSBoxes": _tfds_boxes,
    "TFDSPanoptic": _tfds_panoptic,
    "VOC": _voc,
    "WithUnlabeled": _with_unlabeled,
    "YOLO": _yolo,
}
"""For each data set, a function that writes a few examples of the split "train" into a
folder and returns the fields of a data set that reads them; what follows a colon tells
forms of one data set apart."""


def _datasets():
    found = {}
    for module in pkgutil.walk_packages(official.data.__path__, "official.data."):
        loaded = importlib.import_module(module.name)
        for name, value in inspect.getmembers(loaded, inspect.isclass):
            if issubclass(value, base.Dataset) and not inspect.isabstract(value):
                found[name] = value
    return sorted(found.items())


@pytest.fixture(params=sorted(FIXTURES))
def dataset(request, tmp_path):
    kind = dict(_datasets())[request.param.partition(":")[0]]
    return kind(**FIXTURES[request.param](tmp_path))


@pytest.mark.parametrize("name", [name for name, _ in _datasets()])
def test_every_dataset_has_a_fixture(name):
    assert name in FIXTURES, f"add a fixture to FIXTURES in {__file__}"


def _list(stream):
    return list(stream.as_numpy_iterator())


def _same(one, other):
    return all(np.array_equal(one[key], other[key]) for key in one | other)


def test_a_dataset_is_a_frozen_value_with_a_docstring(dataset):
    assert dataclasses.is_dataclass(dataset)
    assert dataset == dataclasses.replace(dataset)
    assert hash(dataset) == hash(dataclasses.replace(dataset))
    assert not type(dataset).__doc__.startswith(f"{type(dataset).__name__}(")


def test_classes_have_names_and_colors(dataset):
    assert dataset.num_classes == len(dataset.class_names) >= 1
    assert len(set(dataset.class_names)) == dataset.num_classes
    assert len(dataset.palette) == dataset.num_classes
    assert list(dataset.thing_ids) == sorted(set(dataset.thing_ids))
    assert set(dataset.thing_ids) <= set(range(dataset.num_classes))
    for color in dataset.palette:
        assert len(color) == 3
        assert all(0 <= value <= 255 for value in color)


def test_examples_have_canonical_keys_types_and_ranges(dataset):
    spec = dataset.load(SPLIT).element_spec
    assert set(spec) <= {*indexed.ELEMENTS, "position"}
    assert {"image", "image_id", "position"} <= set(spec)
    examples = _list(dataset.load(SPLIT))
    assert len(examples) == dataset.size(SPLIT)
    for position, example in enumerate(examples):
        assert example["position"] == position
        assert example["image"].dtype == np.uint8
        assert example["image"].shape[2:] == (3,)
        assert isinstance(example["image_id"], bytes)
        assert len({"semantic", "label", "labels", "boxes"} & set(example)) == 1
        assert ("boxes" in example) == bool(BOX_KEYS & set(example))
        if "boxes" in example:
            _assert_boxes(example, dataset.num_classes)
        if "label" in example:
            assert example["label"].dtype == np.int32
            assert -1 <= example["label"] < dataset.num_classes
        if "labels" in example:
            assert example["labels"].dtype == np.float32
            assert example["labels"].shape == (dataset.num_classes,)
            assert set(example["labels"].tolist()) <= {-1.0, 0.0, 1.0}
        if "semantic" in example:
            labels = example["semantic"]
            assert labels.dtype == np.int32
            assert labels.shape == example["image"].shape[:2]
            allowed = {*range(dataset.num_classes), base.IGNORE_LABEL}
            assert set(np.unique(labels).tolist()) <= allowed
            assert (labels != base.IGNORE_LABEL).any()
        assert ("instance" in example) == bool(dataset.thing_ids)
        if "instance" in example:
            _assert_instances(example, dataset.thing_ids)


def _assert_instances(example, thing_ids):
    semantic, instance = example["semantic"], example["instance"]
    assert instance.dtype == np.int32
    assert instance.shape == semantic.shape
    assert instance.min() >= 0
    numbers = np.unique(instance[instance > 0])
    classes = [np.unique(semantic[instance == number]) for number in numbers]
    assert all(len(ids) == 1 and ids[0] in thing_ids for ids in classes)


BOX_KEYS = {"box_classes", "box_kinds", "box_areas"}


def _assert_boxes(example, num_classes):
    boxes, (height, width, _) = example["boxes"], example["image"].shape
    assert boxes.shape[1:] == (4,)
    assert boxes.dtype == np.float32
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, :2] < boxes[:, 2:]).all()
    assert (boxes[:, 2:] <= [height, width]).all()
    for key in BOX_KEYS:
        assert example[key].shape == boxes.shape[:1]
        assert example[key].dtype == indexed.ELEMENTS[key][0]
    assert set(example["box_classes"].tolist()) <= set(range(num_classes))
    assert set(example["box_kinds"].tolist()) <= {0, 1, 2}
    assert (example["box_areas"] > 0).all()


def test_a_dataset_with_boxes_has_a_summary_of_them(dataset):
    examples = _list(dataset.load(SPLIT))
    found = dataset.summary(SPLIT)
    assert (found is not None) == ("boxes" in examples[0])
    if found is None:
        return
    kinds = np.concatenate([example["box_kinds"] for example in examples])
    assert found.images == found.total == len(examples)
    assert list(found.classes) == list(dataset.class_names)
    assert sum(found.classes.values()) == (kinds == box_kinds.OBJECT).sum()
    assert found.crowds == (kinds == box_kinds.CROWD).sum()
    assert found.difficult == (kinds == box_kinds.DIFFICULT).sum()
    assert found.most == max(len(example["boxes"]) for example in examples)


def test_a_dataset_with_instances_counts_its_segments(dataset):
    examples = _list(dataset.load(SPLIT))
    found = dataset.segment_counts(SPLIT)
    assert (found is not None) == ("instance" in examples[0])
    if found is None:
        return
    pairs = [
        np.unique(np.stack([e["semantic"], e["instance"]]).reshape(2, -1), axis=1)
        for e in examples
    ]
    classes, instances = np.concatenate(pairs, axis=1)
    thing = np.isin(classes, dataset.thing_ids)
    known = classes != base.IGNORE_LABEL
    assert found.images == found.total == len(examples)
    assert (found.things | found.stuff).keys() == set(dataset.class_names)
    assert sum(found.things.values()) == (thing & (instances > 0)).sum()
    assert sum(found.stuff.values()) == (known & ~thing).sum()
    assert found.crowds == (thing & (instances == 0)).sum()
    assert (
        found.counts.sum()
        == len(found.shares)
        == (known & ~thing).sum() + (thing & (instances > 0)).sum()
    )
    void = [(e["semantic"] == base.IGNORE_LABEL).ravel() for e in examples]
    assert found.void == pytest.approx(np.concatenate(void).mean())


def test_examples_have_names_of_their_own(dataset):
    names = [example["image_id"] for example in _list(dataset.load(SPLIT))]
    assert len(set(names)) == len(names)


def test_reading_twice_gives_the_same(dataset):
    pairs = zip(_list(dataset.load(SPLIT)), _list(dataset.load(SPLIT)), strict=True)
    assert all(_same(one, other) for one, other in pairs)


def test_examples_can_be_picked(dataset):
    stream = _list(dataset.load(SPLIT))
    picked = list(dataset.pick(SPLIT, [1, 3]))
    assert all(
        _same(one, other) and one.keys() == other.keys()
        for one, other in zip(picked, [stream[1], stream[3]], strict=True)
    )


def test_a_seeded_stream_is_endless_and_resumes_anywhere(dataset):
    size = dataset.size(SPLIT)
    whole = _list(dataset.load(SPLIT, seed=1).take(3 * size))
    for start in (1, size, 2 * size - 1):
        late = _list(dataset.load(SPLIT, seed=1, start=start).take(size))
        pairs = zip(late, whole[start : start + size], strict=True)
        assert all(_same(one, other) for one, other in pairs)
    names = [example["image_id"] for example in whole]
    assert sorted(names[:size]) == sorted(names[size : 2 * size])


def test_a_cache_and_a_limit_change_no_example(dataset):
    plain = _list(dataset.load(SPLIT))
    cached = _list(dataset.load(SPLIT, cache=True, limit=2))
    assert len(cached) == 2
    assert all(_same(one, other) for one, other in zip(plain, cached, strict=False))
