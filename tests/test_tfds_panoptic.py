"""Panoptic data sets prepared by TensorFlow Datasets."""

import json

import numpy as np
import pytest
from PIL import Image

from official import failures
from official.data import base, coco_categories
from official.data.tfds_panoptic import TFDSPanoptic

builders = pytest.importorskip("tensorflow_datasets")
pytest.importorskip(
    "importlib_resources", reason="tensorflow_datasets needs it to write data"
)

VOID = base.IGNORE_LABEL
# Two dogs and a crowd of them; sky and nothing.
MAP = np.array([[500, 500, 70_000, 70_000], [9, 9, 3, 3], [0, 0, 3, 0]])
SEGMENTS = ((3, "sky", False), (9, "dog", True), (70_000, "dog", False))


@pytest.fixture(scope="module", params=["tfrecord", "array_record"])
def folder(request, tmp_path_factory):
    if request.param == "array_record":
        pytest.importorskip("array_record")
    folder = tmp_path_factory.mktemp(request.param)
    features = builders.features
    image = features.Image(shape=(None, None, 3), encoding_format="png")
    one = {
        "id": np.int64,
        "area": np.int64,
        "bbox": features.BBoxFeature(),
        "label": features.ClassLabel(names=["cat", "dog", "sky"]),
        "is_crowd": np.bool_,
    }
    colors = np.stack([MAP % 256, MAP // 256 % 256, MAP // 65536], -1)
    example = {
        "image": np.zeros((3, 4, 3), np.uint8),
        "panoptic_image": colors.astype(np.uint8),
        "image/id": 42,
    }

    def listed(found):
        box = features.BBox(0.0, 0.0, 1.0, 1.0)
        return [
            {"id": number, "area": 1, "bbox": box, "label": label, "is_crowd": crowd}
            for number, label, crowd in found
        ]

    whole = {"panoptic_objects": listed([*SEGMENTS, (500, "dog", False)])}
    lacking = {"panoptic_objects": listed(SEGMENTS)}
    builders.dataset_builders.store_as_tfds_dataset(
        name="tiny",
        version="1.0.0",
        features=features.FeaturesDict(
            {
                "image": image,
                "panoptic_image": image,
                "panoptic_objects": features.Sequence(one),
                "image/id": np.int64,
            }
        ),
        split_datasets={
            "train": [("0", example | whole)],
            "validation": [("0", example | lacking)],
        },
        data_dir=folder,
        file_format=request.param,
    )
    return str(folder)


def test_segments_become_classes_and_instances(folder):
    dataset = TFDSPanoptic(name="tiny", data_dir=folder, thing_count=2)
    assert dataset.class_names == ("cat", "dog", "sky")
    assert dataset.thing_ids == (0, 1)
    (example,) = dataset.load("train").as_numpy_iterator()
    assert example["semantic"].tolist() == [
        [1, 1, 1, 1],
        [1, 1, 2, 2],
        [VOID, VOID, 2, VOID],
    ]
    assert example["instance"].tolist() == [[2, 2, 1, 1], [0] * 4, [0] * 4]
    assert example["image_id"] == b"train/000000"
    # Without COCO's ids of categories its ids of images would only mislead.
    assert dataset.image_numbers("train") == {}
    assert dataset.category_ids("train") == ()


def test_a_segment_that_is_not_listed_is_an_error(folder):
    dataset = TFDSPanoptic(name="tiny", data_dir=folder, thing_count=2)
    message = (
        r"tiny validation/000000: panoptic_image: segment 500 at row 0, column 0 is not "
        "among the 3 that panoptic_objects has"
    )
    with pytest.raises(failures.DataError, match=message):
        dataset.load("val")


def test_what_is_missing_is_named(folder):
    dataset = TFDSPanoptic(name="tiny", data_dir=folder)
    with pytest.raises(
        failures.DataError, match=r"thing_count is 80, and tiny has 3 cl"
    ):
        dataset.size("train")
    dataset = TFDSPanoptic(name="tiny", data_dir=folder, objects_key="panoptic_object")
    with pytest.raises(failures.DataError, match=r"did you mean panoptic_objects"):
        dataset.size("train")
    dataset = TFDSPanoptic(name="tiny", data_dir=folder, map_key="panoptic")
    with pytest.raises(
        failures.DataError, match=r"no image 'panoptic'; it has image, "
    ):
        dataset.size("train")


def _coco(folder, monkeypatch):
    """COCO's own builder, on two small images in the place of its archives."""
    from tensorflow_datasets.object_detection import coco

    ids = coco_categories.PANOPTIC_IDS
    categories = [
        {"id": number, "name": name, "isthing": int(number < 91)}
        for name, number in ids.items()
    ]
    images, annotations = [], []
    for number, first in ((139, "dog"), (285, "rug-merged")):
        names = {3: "sky-other-merged", 9: first, 500: "person", 70_000: "person"}
        found = [
            {
                "id": segment,
                "category_id": ids[name],
                "iscrowd": int(segment == 500),
                "area": int((segment == MAP).sum()),
                "bbox": [0, 0, 4, 3],
            }
            for segment, name in names.items()
        ]
        file_name = f"{number:012d}"
        images.append(
            {"id": number, "file_name": f"{file_name}.jpg", "height": 3, "width": 4}
        )
        annotations.append(
            {
                "image_id": number,
                "file_name": f"{file_name}.png",
                "segments_info": found,
            }
        )
        colors = np.stack([MAP % 256, MAP // 256 % 256, MAP // 65536], -1)
        for name, pixels in (
            (f"images/val2017/{file_name}.jpg", np.full((3, 4, 3), number % 256)),
            (f"maps/{file_name}.png", colors),
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name)
    (folder / "annotations").mkdir()
    (folder / "annotations/panoptic_val2017.json").write_text(
        json.dumps(
            {"images": images, "annotations": annotations, "categories": categories}
        )
    )

    def generators(builder, manager):
        arguments = {
            "image_dir": str(folder / "images"),
            "annotation_dir": str(folder),
            "split_name": "val2017",
            "annotation_type": coco.AnnotationType.PANOPTIC,
            "panoptic_dir": str(folder / "maps"),
        }
        return [builders.core.SplitGenerator("validation", gen_kwargs=arguments)]

    monkeypatch.setattr(coco.Coco, "_split_generators", generators)
    prepared = folder / "prepared"
    coco.Coco(config="2017_panoptic", data_dir=prepared).download_and_prepare()
    return TFDSPanoptic(name="coco/2017_panoptic", data_dir=str(prepared))


def test_what_the_catalogs_own_builder_writes_is_read_with_cocos_numbers(
    tmp_path, monkeypatch
):
    dataset = _coco(tmp_path, monkeypatch)
    assert dataset.num_classes == 133
    assert dataset.class_names[79:81] == ("toothbrush", "banner")
    assert dataset.thing_ids == tuple(range(80))
    assert dataset.category_ids("val") == tuple(coco_categories.PANOPTIC_IDS.values())
    numbers = dataset.image_numbers("val")
    assert sorted(numbers.values()) == [139, 285]
    seen = set()
    for example in dataset.load("val").as_numpy_iterator():
        number = numbers[example["image_id"].decode()]
        # The id is that of this very image; JPEG may round its gray.
        assert abs(int(example["image"][0, 0, 0]) - number % 256) <= 2
        first = dataset.class_names[example["semantic"][1, 0]]
        assert first == {139: "dog", 285: "rug-merged"}[number]
        # Persons 500 are a crowd.
        assert example["instance"][0].tolist() == [0, 0, *example["instance"][0, 2:]]
        assert (example["semantic"][0] == 0).all()
        assert example["semantic"][2].tolist() == [VOID, VOID, 119, VOID]
        seen.add(number)
    assert seen == {139, 285}
    assert dataset.segment_counts("val").crowds == 2


def test_the_numbers_of_categories_are_those_of_cocos_file(shared):
    path = shared / "data/coco128/annotations/panoptic_train.json"
    categories = json.loads(path.read_text())["categories"]
    known = coco_categories.PANOPTIC_IDS
    assert {row["name"]: row["id"] for row in categories} == known
    assert [row["isthing"] for row in categories] == [1] * 80 + [0] * 53
    assert list(known.values()) == sorted(known.values())
