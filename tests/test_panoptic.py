"""The panoptic task: from labels to targets, from outputs to segments."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from official import experiment, failures
from official.data import base as data_base
from official.heads import kmax
from official.ops import panoptic as panoptic_ids
from official.tasks import mask_slots, panoptic_merging

MERGING = panoptic_merging.MaskWise(
    thing_threshold=0.5, stuff_threshold=0.5, overlap_threshold=0.5
)
METHOD = mask_slots.MaskSlots(max_segments=4, merging=MERGING)
THINGS = (1,)
VOID = data_base.IGNORE_LABEL


def _task(**changes):
    task = experiment.load("mnv3small_panoptic_synthetic").task
    fields = {"image_size": (64, 64), "method": METHOD} | changes
    return dataclasses.replace(task, **fields)


def _example(semantic, instance):
    semantic = np.array(semantic, np.int32)
    return {
        "image": np.zeros((*semantic.shape, 3), np.uint8),
        "semantic": semantic,
        "instance": np.array(instance, np.int32),
        "image_id": "a",
        "thing_ids": np.array(THINGS, np.int32),
    }


def _targets(semantic, instance, *, stride=1, method=METHOD):
    found = method.targets(
        tf.constant(semantic), tf.constant(instance), tf.constant(THINGS), stride=stride
    )
    return {name: np.asarray(value) for name, value in found.items()}


def test_each_thing_and_each_class_of_stuff_is_a_segment_the_largest_first():
    # Stuff 0 on both sides, two things of class 1, one pixel of void, a crowd.
    semantic = [[0, 1, 1, 1, 0, 0], [0, 1, 1, 1, 0, 0], [VOID, 1, 1, 0, 0, 0]]
    instance = [[0, 7, 7, 9, 0, 0], [0, 7, 7, 9, 0, 0], [0, 0, 7, 0, 0, 0]]
    found = _targets(semantic, instance)
    assert found["segment_classes"].tolist() == [0, 1, 1, -1]
    expected = [[0, 1, 1, 2, 0, 0], [0, 1, 1, 2, 0, 0], [-1, -1, 1, 0, 0, 0]]
    assert found["segments"].tolist() == expected
    # A crowd keeps its class.
    assert found["semantic"].tolist() == semantic


def test_of_too_many_segments_the_largest_are_learned():
    semantic = np.ones((1, 10), np.int32)
    instance = np.array([[1, 1, 2, 2, 2, 3, 4, 4, 4, 4]], np.int32)
    method = dataclasses.replace(METHOD, max_segments=2)
    found = _targets(semantic, instance, method=method)
    assert found["segments"].tolist() == [[-1, -1, 1, 1, 1, -1, 0, 0, 0, 0]]
    assert found["segment_classes"].tolist() == [1, 1]


def test_numbers_of_instances_in_stuff_mean_nothing():
    found = _targets([[0, 0, 0, 0]], [[1, 2, 0, 3]])
    assert found["segments"].tolist() == [[0, 0, 0, 0]]


def test_an_image_of_void_has_no_segment():
    found = _targets(np.full((2, 2), VOID, np.int32), np.zeros((2, 2), np.int32))
    assert found["segments"].tolist() == [[-1, -1], [-1, -1]]
    assert found["segment_classes"].tolist() == [-1] * 4


def test_targets_are_the_middle_of_each_cell():
    semantic = np.arange(16, dtype=np.int32).reshape(4, 4) % 2
    semantic[1, 1], semantic[1, 3] = VOID, 5
    found = _targets(semantic, np.zeros((4, 4), np.int32), stride=2)
    assert found["semantic"].tolist() == [[VOID, 5], [1, 1]]


def test_targets_of_sides_one_more_than_a_multiple_lie_on_the_corners():
    semantic = np.arange(25, dtype=np.int32).reshape(5, 5)
    found = _targets(semantic, np.zeros((5, 5), np.int32), stride=4)
    assert found["semantic"].tolist() == [[0, 4], [20, 24]]


@pytest.mark.parametrize("side", [64, 65])
def test_targets_are_on_the_grid_of_the_masks(side):
    task = _task(image_size=(side, side))
    network = task.build(num_classes=2, training=True)
    ones = np.ones((side, side))
    _, targets = task.preprocess(
        _example(ones, ones), training=True, seed=tf.constant([1, 2])
    )
    masks = network.output["mask_logits"].shape[1:3]
    assert tuple(targets["segments"].shape) == masks


def test_what_no_loss_reads_is_not_in_the_network():
    plain = dataclasses.replace(METHOD, remax=None)
    names = [
        set(_task(method=m).build(num_classes=2, training=True).output)
        for m in (METHOD, plain)
    ]
    assert {f"aux{i}_semantic_logits" for i in (1, 2, 3)} == names[0] - names[1]


def test_things_that_decide_must_be_there():
    example = _example([[0]], [[0]])
    del example["thing_ids"]
    message = "no class of the data is a thing"
    with pytest.raises(failures.RequestError, match=message):
        _task(judged_by="pq_things").preprocess(example, training=False)


def _outputs(segments, classes, count):
    """As a network gives them that is sure of these segments."""
    masks = 20.0 * np.eye(len(classes))[np.maximum(segments, 0)]
    logits = np.full((len(classes), count + 1), -20.0)
    logits[np.arange(len(classes)), np.where(classes < 0, count, classes)] = 20.0
    return {
        "mask_logits": masks[None].astype(np.float32),
        "class_logits": logits[None].astype(np.float32),
    }


@pytest.mark.parametrize("form", ["masks", "slots"])
def test_what_is_learned_is_what_is_read(form):
    example = _example(
        [[0] * 8] * 4 + [[1] * 8] * 4, [[0] * 8] * 4 + [[3] * 4 + [4] * 4] * 4
    )
    task = _task()
    wanted = _targets(example["semantic"], example["instance"])
    outputs = _outputs(wanted["segments"], wanted["segment_classes"], count=2)
    if form == "slots":
        outputs["slots"] = outputs.pop("mask_logits").argmax(axis=-1).astype(np.int32)
    batch = {
        "size": np.array([[8, 8]]),
        "semantic": example["semantic"][None],
        "instance": example["instance"][None],
        "thing_ids": example["thing_ids"][None],
        "image_id": np.array([b"a"]),
    }
    found = task.postprocess(outputs, batch)
    assert len(found["segment_ids"][0]) == 3
    assert (found["segment_scores"] > 0.99).all()
    judge = task.metrics(("floor", "box"))["panoptic"]
    judge.update_state(batch, found)
    result = judge.result()
    assert (result["pq"], result["pq_things"], result["pq_stuff"]) == (1, 1, 1)
    # One image-wide segment of either class covers a half, which is not enough.
    assert task.constant_metric({"panoptic": judge}) == 0


def test_images_of_a_batch_may_differ_in_size():
    outputs = _outputs(np.zeros((4, 4), int), np.array([0, -1]), count=2)
    outputs = {name: np.repeat(value, 2, axis=0) for name, value in outputs.items()}
    targets = {
        "size": np.array([[8, 4], [6, 10]]),
        "thing_ids": np.array([THINGS, THINGS]),
    }
    found = _task().postprocess(outputs, targets)["panoptic"]
    assert found.shape == (2, 8, 10)
    assert (found[0, :, 4:] == panoptic_ids.VOID).all()
    assert (found[0, :8, :4] == 0).all()
    assert (found[1, 6:] == panoptic_ids.VOID).all()


def test_decisions_are_equal_where_segments_are_the_same_whatever_their_numbers():
    divisor = panoptic_ids.LABEL_DIVISOR
    ours = np.full((1, 2, 8), 0)
    ours[0, :, 4:] = divisor + 5
    theirs = ours.copy()
    theirs[theirs == divisor + 5] = divisor + 9
    targets = {"size": np.array([[2, 8]])}
    task = _task()
    both = {"panoptic": ours}, {"panoptic": theirs}
    assert task.agreement(*both, targets) == (16, 16)
    # Half of the thing is gone: it is not the same one any more, stuff still is.
    theirs[0, :, 6:] = panoptic_ids.VOID
    assert task.agreement(*both, targets) == (8, 16)


def test_training_images_have_targets_at_the_stride_of_the_masks():
    generator = np.random.default_rng(0)
    semantic = generator.integers(0, 2, (40, 56))
    example = _example(semantic, semantic * generator.integers(0, 3, (40, 56)))
    image, targets = _task(color_policy=None).preprocess(
        example, training=True, seed=tf.constant([1, 2])
    )
    assert image.shape == (64, 64, 3)
    assert targets["segments"].shape == (16, 16)
    assert targets["segment_classes"].shape == (4,)
    assert 0 <= float(targets["chance"]) < 1
    classes = np.asarray(targets["segment_classes"])
    inside = np.asarray(targets["segments"])
    assert set(inside[inside >= 0].tolist()) == set(np.flatnonzero(classes >= 0))


def test_data_without_instances_is_refused():
    example = _example([[0]], [[0]])
    del example["instance"]
    message = "no instances of things: choose a data set for panoptic segmentation"
    with pytest.raises(failures.RequestError, match=message):
        _task().preprocess(example, training=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"judged_by": "ap"}, "judged_by 'ap': want one of pq, pq_things"),
        ({"scale_range": (2, 1)}, "want 0 < low <= high"),
        (
            {"image_size": (250, 250)},
            "want sides that are multiples of 32, or one more",
        ),
    ],
)
def test_settings_without_sense_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        _task(**change)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (mask_slots.ReMaX, {"reclass": 2.0}, "ReMaX.reclass = 2.0: want from 0 to 1"),
        (mask_slots.ReMaX, {"gate": "tanh"}, "ReMaX.gate = 'tanh': want one of"),
        (mask_slots.MaskSlots, {"samples": 0}, "MaskSlots.samples = 0: want 1"),
    ],
)
def test_values_without_sense_are_refused(kind, change, message):
    with pytest.raises(ValueError, match=message):
        kind(**change)


def test_losses_are_those_that_are_asked_for():
    head = dataclasses.replace(kmax.EDGE, relaxed=2)
    names = set(METHOD.losses(head))
    assert names == {"classes", "dice", "ids", "discrimination", "semantic"}
    plain = dataclasses.replace(METHOD, remax=None, discrimination_weight=0.0)
    found = plain.losses(head)
    assert set(found) == names - {"discrimination"}
    assert not found["classes"].remask
    assert found["classes"].reclass_eta == 0
    # Branches that nothing reads are not taught.
    assert found["semantic"].prefixes == ("",)
    assert METHOD.losses(head)["semantic"].prefixes == ("", "aux1_", "aux2_")
    assert METHOD.losses(head)["dice"].prefixes == ("", "aux1_", "aux2_", "aux3_")
