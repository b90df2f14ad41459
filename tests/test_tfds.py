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
    with pytest.raises(failures.DataError) as caught:
        _dataset(folder, mask_key="masks", label_key="labels").size("train")
    message = "neither a label map 'masks' nor a class 'labels'"
    assert message in str(caught.value)
    assert "it has file, image, mask (set dataset.mask_key or" in str(caught.value)
    with pytest.raises(failures.DataError, match="no image 'picture'; it has image"):
        _dataset(folder, image_key="picture").size("train")
    with pytest.raises(failures.DataError, match="no image 'file'; it has image, mask"):
        _dataset(folder, mask_key="file").size("train")


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


@pytest.fixture(scope="module", params=["tfrecord", "array_record"])
def zoo(request, tmp_path_factory):
    """Images with a class, several classes, a bare number and a text."""
    if request.param == "array_record":
        pytest.importorskip("array_record")
    folder = tmp_path_factory.mktemp(f"zoo_{request.param}")
    features = builders.features
    examples = [
        (
            f"{index:02}",
            {
                "image": np.full((4, 4, 3), index, np.uint8),
                "label": ("cat", "dog", -1)[index % 3],
                "tags": ["wet", "old"][: index % 3],
                "weight": index,
                "text": "miau",
            },
        )
        for index in range(10)
    ]
    builders.dataset_builders.store_as_tfds_dataset(
        name="zoo",
        version="1.0.0",
        features=features.FeaturesDict(
            {
                "image": features.Image(shape=(None, None, 3)),
                "label": features.ClassLabel(names=["cat", "dog"]),
                "tags": features.Sequence(features.ClassLabel(names=["wet", "old"])),
                "weight": features.Scalar(np.int64),
                "text": features.Text(),
            }
        ),
        split_datasets={"train": examples},
        data_dir=folder,
        file_format=request.param,
        disable_shuffling=True,
    )
    return folder


def _zoo(folder, **fields):
    return tfds.TFDS(name="zoo", data_dir=str(folder), **fields)


def _examples_of(dataset, split="train"):
    return list(dataset.load(split).as_numpy_iterator())


def test_without_a_label_map_the_class_of_the_image_is_learned(zoo):
    dataset = _zoo(zoo)
    assert dataset.class_names == ("cat", "dog")
    examples = _examples_of(dataset)
    assert set(examples[0]) == {"image", "label", "image_id", "position"}
    assert [int(e["label"]) for e in examples] == [0, 1, -1, 0, 1, -1, 0, 1, -1, 0]
    assert [int(e["image"][0, 0, 0]) for e in examples] == list(range(10))
    assert examples[0]["label"].dtype == np.int32


def test_shares_of_a_split_are_splits(zoo):
    assert _zoo(zoo).size("train[:90%]") == 9
    (last,) = _examples_of(_zoo(zoo), "train[90%:]")
    assert int(last["image"][0, 0, 0]) == 9


def test_a_sequence_of_classes_gives_all_of_them(zoo):
    dataset = _zoo(zoo, label_key="tags")
    assert dataset.class_names == ("wet", "old")
    stream = dataset.load("train")
    assert stream.element_spec["labels"].shape == (2,)
    labels = [example["labels"].tolist() for example in stream.as_numpy_iterator()]
    assert labels[:3] == [[0, 0], [1, 0], [1, 1]]


def test_label_ids_pick_and_order_the_classes(zoo):
    dataset = _zoo(zoo, classes=("b", "a"), label_ids=(1, 0))
    assert [int(e["label"]) for e in _examples_of(dataset)][:3] == [1, 0, -1]
    dataset = _zoo(zoo, label_key="weight", classes=("four",), label_ids=(4,))
    assert [int(e["label"]) for e in _examples_of(dataset)][3:6] == [-1, 0, -1]


def test_a_number_that_is_no_class_is_refused(zoo):
    dataset = _zoo(zoo, label_key="weight", classes=("zero", "one"))
    with pytest.raises(failures.DataError, match=r"zoo train/000002: weight 2; want 0"):
        dataset.read(dataset.records("train")[2])
    with pytest.raises(failures.DataError, match="has 1 numbers, there are 2 classes"):
        _zoo(zoo, label_ids=(1,)).load("train")


def test_a_text_is_no_class(zoo):
    with pytest.raises(failures.DataError, match="'text' is no class, nor a sequence"):
        _zoo(zoo, label_key="text", classes=("a",)).size("train")


def test_a_misspelled_label_key_names_the_nearest(zoo):
    with pytest.raises(failures.DataError, match="did you mean label"):
        _zoo(zoo, label_key="labell").size("train")


def test_imagenet_says_which_files_are_downloaded_by_hand(tmp_path):
    dataset = tfds.TFDS(name="imagenet2012:5.*.*", data_dir=str(tmp_path))
    with pytest.raises(failures.DataError) as caught:
        dataset.size("train")
    for part in ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "--manual_dir"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
