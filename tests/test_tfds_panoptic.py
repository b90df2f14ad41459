"""Panoptic data sets prepared by TensorFlow Datasets."""

import numpy as np
import pytest

from official import failures
from official.data import base
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
