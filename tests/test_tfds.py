"""Data sets prepared by TensorFlow Datasets."""

import numpy as np
import pytest

from official import failures
from official.data import memory, tfds

builders = pytest.importorskip("tensorflow_datasets")
pytest.importorskip(
    "importlib_resources", reason="tensorflow_datasets needs it to write data"
)

CLASSES = ("pet", "background", "border")


def _examples(count):
    for index in range(count):
        mask = np.full((6, 8, 1), 1 + index % 3, np.uint8)
        image = np.full((6, 8, 3), index, np.uint8)
        yield f"{index:02}", {"image": image, "mask": mask, "file": f"{index}.jpg"}


@pytest.fixture(scope="module", params=["tfrecord", "array_record"])
def folder(request, tmp_path_factory):
    if request.param == "array_record":
        pytest.importorskip("array_record")
    folder = tmp_path_factory.mktemp(request.param)
    features = builders.features
    builders.dataset_builders.store_as_tfds_dataset(
        name="tiny_pets",
        version="1.0.0",
        features=features.FeaturesDict(
            {
                "image": features.Image(shape=(None, None, 3)),
                "mask": features.Image(shape=(None, None, 1)),
                "file": features.Text(),
            }
        ),
        split_datasets={"train": list(_examples(7)), "test": list(_examples(3))},
        data_dir=folder,
        file_format=request.param,
        disable_shuffling=True,
    )
    return folder


def _dataset(folder, **fields):
    given = {"mask_key": "mask", "classes": CLASSES, "label_ids": (1, 2, 3)} | fields
    return tfds.TFDS(name="tiny_pets", data_dir=str(folder), **given)


def test_examples_are_those_that_were_prepared(folder):
    dataset = _dataset(folder)
    assert dataset.class_names == CLASSES
    assert len(dataset.palette) == 3
    assert dataset.size("train") == 7
    examples = list(dataset.load("train").as_numpy_iterator())
    assert [int(e["image"][0, 0, 0]) for e in examples] == list(range(7))
    assert [int(e["semantic"][0, 0]) for e in examples] == [0, 1, 2, 0, 1, 2, 0]
    assert examples[2]["image_id"] == b"train/000002"


def test_the_stream_resumes(folder):
    def values(start):
        examples = _dataset(folder).load("train", seed=3, start=start).take(20 - start)
        return [int(e["image"][0, 0, 0]) for e in examples.as_numpy_iterator()]

    assert sorted(values(0)[:7]) == list(range(7))
    assert values(9) == values(0)[9:]


def test_val_is_test_where_there_is_no_validation(folder):
    assert _dataset(folder).size("val") == 3


def test_slices_are_splits(folder):
    assert _dataset(folder).size("train[:3]") == 3
    with pytest.raises(failures.DataError, match=r"'train\[x\]' cannot be read"):
        _dataset(folder).size("train[x]")


def test_an_unknown_split_names_those_that_exist(folder):
    with pytest.raises(failures.DataError, match="no split 'dev'; it has train, test"):
        _dataset(folder).size("dev")


def test_numbers_not_among_label_ids_are_unlabelled(folder):
    dataset = _dataset(folder, classes=("pet",), label_ids=(1,))
    examples = dataset.load("test").as_numpy_iterator()
    values = [int(example["semantic"].max()) for example in examples]
    assert values == [0, 255, 255]


def test_without_label_ids_a_number_out_of_range_is_refused(folder):
    dataset = _dataset(folder, label_ids=None)
    with pytest.raises(failures.DataError) as caught:
        dataset.read(dataset.records("train")[2])
    message = "tiny_pets train/000002: label 3 at row 0, column 0; want 0..2, 255 "
    assert str(caught.value).startswith(message)


def test_as_many_label_ids_as_classes_are_wanted(folder):
    with pytest.raises(failures.DataError, match="has 2 numbers, there are 3 classes"):
        _dataset(folder, label_ids=(1, 2)).load("train")


def test_a_missing_feature_names_those_that_exist(folder):
    with pytest.raises(
        failures.DataError, match="no image 'segmentation_mask'; it has image, mask"
    ):
        _dataset(folder, mask_key="segmentation_mask").size("train")


def test_missing_names_say_how_to_give_them(folder):
    with pytest.raises(failures.DataError, match=r"set dataset\.classes"):
        _ = _dataset(folder, classes=None).class_names


def test_data_that_is_not_there_says_how_to_prepare_it(tmp_path):
    dataset = tfds.TFDS(name="oxford_iiit_pet", data_dir=str(tmp_path))
    with pytest.raises(failures.DataError) as caught:
        dataset.size("train")
    command = f"tfds build oxford_iiit_pet --data_dir={tmp_path}"
    assert command in str(caught.value)


def test_records_beyond_the_memory_name_the_other_format(folder, monkeypatch):
    if folder.name.startswith("array_record"):
        pytest.skip("array records stay on the disk")
    monkeypatch.setattr(memory, "free_bytes", lambda: 100)
    with pytest.raises(failures.DataError, match="--file_format=array_record"):
        _dataset(folder).records("train")
