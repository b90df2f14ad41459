"""The segmentation task: what goes in, what comes out, and what is counted."""

import dataclasses

import keras
import numpy as np
import pytest
import small

from official.tasks import evaluation
from official.tasks.segmentation import Segmentation

TASK = small.experiment().task
BATCH = {"semantic": np.zeros((2, 6, 8), np.int32), "size": np.array([[6, 8], [4, 5]])}


def example(height: int = 20, width: int = 30) -> dict:
    labels = (np.arange(height * width).reshape(height, width) * 3) // (height * width)
    image = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)[labels]
    return {"image": image, "semantic": labels.astype(np.int32)}


def test_training_examples_have_the_crop_size_and_labels_at_the_loss_stride():
    task = dataclasses.replace(TASK, crop_size=(16, 24), loss_stride=4)
    image, targets = task.preprocess(example(), training=True, seed=np.array([1, 2]))
    assert image.shape == (16, 24, 3)
    assert targets["semantic"].shape == (4, 6)


def test_the_seed_decides_what_augmentation_does():
    first, again, other = (
        np.asarray(TASK.preprocess(example(), training=True, seed=np.array(seed))[0])
        for seed in ([1, 2], [1, 2], [1, 3])
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1


def test_labels_stay_on_their_pixels_through_augmentation():
    task = dataclasses.replace(TASK, brightness=0.0)
    for number in range(8):
        image, targets = task.preprocess(
            example(64, 64), training=True, seed=np.array([0, number])
        )
        labels = np.asarray(targets["semantic"])
        guess = np.asarray(image).argmax(axis=-1)
        valid = labels != 255
        assert valid.mean() > 0.5
        # Colors mix at the borders of classes, over two pixels.
        assert (guess == labels)[valid].mean() > 0.9


def test_evaluation_sees_the_whole_image_and_keeps_the_labels():
    image, targets = TASK.preprocess(example(), training=False)
    assert image.shape == (32, 32, 3)
    np.testing.assert_array_equal(targets["semantic"], example()["semantic"])
    assert tuple(np.asarray(targets["size"])) == (20, 30)


def test_the_resolution_multiplier_scales_every_size():
    task = dataclasses.replace(
        TASK, image_size=(256, 512), crop_size=(128, 256), resolution_multiplier=0.25
    )
    assert task.build(num_classes=3, training=False).input_shape == (None, 64, 128, 3)
    assert task.build(num_classes=3, training=True).input_shape == (None, 32, 64, 3)


def test_training_and_inference_forms_share_names_and_shapes():
    forms = [TASK.build(num_classes=3, training=t) for t in (True, False)]
    paths = [{w.path: tuple(w.shape) for w in form.weights} for form in forms]
    assert paths[0] == paths[1]


def test_the_normalization_is_that_of_the_task():
    task = dataclasses.replace(TASK, normalization="imagenet")
    names = [layer.name for layer in task.build(num_classes=3, training=True).layers]
    assert names[:3] == ["images", "normalize", "normalize_channels"]


def test_logits_are_judged_at_the_size_of_each_original():
    logits = np.zeros((2, 2, 2, 3), np.float32)
    logits[0, :, 0, 1] = logits[0, :, 1, 2] = logits[1, ..., 2] = 5
    ids = TASK.postprocess({"logits": logits}, BATCH)["class_ids"]
    assert ids.shape == (2, 6, 8)
    assert (ids[0, :, :4] == 1).all()
    assert (ids[0, :, 4:] == 2).all()
    assert (ids[1, :4, :5] == 2).all()
    assert not ids[1, 4:].any()


def test_class_ids_from_a_file_are_understood_like_its_logits():
    logits = np.random.default_rng(0).normal(size=(2, 6, 8, 3)).astype(np.float32)
    same = {"semantic": np.zeros((2, 6, 8)), "size": np.array([[6, 8], [6, 8]])}
    ours = TASK.postprocess({"logits": logits}, same)
    theirs = TASK.postprocess({"class_ids": logits.argmax(-1).astype(np.int32)}, same)
    np.testing.assert_array_equal(ours["class_ids"], theirs["class_ids"])


def test_agreement_counts_pixels_of_images_not_of_padding():
    ours = {"class_ids": np.zeros((2, 6, 8), np.int32)}
    theirs = {"class_ids": np.zeros((2, 6, 8), np.int32)}
    theirs["class_ids"][0, 0, :3] = 1
    theirs["class_ids"][1, 5, 7] = 1  # padding
    assert TASK.agreement(ours, theirs, BATCH) == (48 + 20 - 3, 48 + 20)


def test_class_weights_of_another_number_are_refused():
    task = dataclasses.replace(TASK, class_weights=(1.0, 2.0))
    with pytest.raises(ValueError, match=r"class_weights has 2 values, .* 3 classes"):
        task.build(num_classes=3, training=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [("scale_range", (2.0, 1.0)), ("hardest_fraction", 0.0), ("loss_stride", 0)],
)
def test_fields_out_of_range_are_refused(field, value):
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(TASK, **{field: value})


def test_several_predictors_are_compared_with_the_first():
    truth = np.tile(np.arange(4, dtype=np.int32) % 2, (1, 4, 1))
    batches = [(np.zeros((1, 4, 4, 3)), {"semantic": truth, "size": [[4, 4]]})]
    right = keras.ops.one_hot(truth, 3).numpy()
    predictors = {
        "right": lambda images: {"logits": right},
        "constant": lambda images: {"logits": np.eye(3)[np.zeros((1, 4, 4), int)]},
    }
    found = evaluation.evaluate(TASK, predictors, batches, class_names=("a", "b", "c"))
    assert found["right"].metrics["mean_iou"] == 1
    assert found["right"].agreement == 1
    assert found["constant"].agreement == 0.5
    assert found["constant"].metrics["mean_iou"] == pytest.approx(0.25)
    assert found["constant"].constant == pytest.approx(0.25)
    np.testing.assert_array_equal(
        found["constant"].judges["segmentation"].confusion,
        [[8, 0, 0], [8, 0, 0], [0, 0, 0]],
    )


def test_an_empty_evaluation_set_is_refused():
    with pytest.raises(ValueError, match="no example"):
        evaluation.evaluate(TASK, {}, [], class_names=("a",))


def test_it_is_a_task_of_plain_values():
    assert isinstance(hash(TASK), int)
    assert dataclasses.replace(TASK) == TASK
    assert isinstance(TASK, Segmentation)
