"""Every shipped experiment, shrunk by bindings, takes a step; some are exported."""

import dataclasses
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from official import bindings, catalog, experiment, gin
from official.heads import kmax, panoptic_deeplab
from official.training import checkpoints, preparation, session
from tflite_export import export, flatbuffer

SHRINK = {
    "": (
        "task.image_size = (64, 64)",
        "task.backbone.width_multiplier = 0.35",
        "train.batch_size = 2",
        "trainer.epochs = 1",
        "trainer.steps_per_epoch = 1",
        "export.calibration_examples = 2",
        "export.precisions = ('int8',)",
        "export.input_type = 'uint8'",
        "export.output_type = 'uint8'",
    ),
    "segmentation": (
        "dataset = @SyntheticStreets(height=64, width=64, train_size=4, val_size=2)",
        "task.crop_size = (64, 64)",
        "task.class_weights = None",  # of as many values as the real data has classes
    ),
    "detection": (
        "dataset = @SyntheticBoxes(height=64, width=64, train_size=4, val_size=2)",
        "export.output_type = 'float32'",
        "task.max_detections = 5",
    ),
    "panoptic": (
        "dataset = @SyntheticStreets(height=64, width=64, train_size=4, val_size=2)",
        "task.crop_size = None",
    ),
    # Of a mask transformer each layer more is a second more.
    "mask_slots": (
        "task.head.slots = 8",
        "task.head.layers = (1,)",
        "task.head.relaxed = 1",
        "task.method.max_segments = 16",
    ),
    "classification": (
        "dataset = @SyntheticCrops(side=64, train_size=4, val_size=2)",
        "task.train_size = None",
        "task.class_weights = None",
    ),
}
"""Bindings for every experiment, and for those of a task or method, by its module."""

CPU = "configs/overlays/cpu.gin"
NAMES = sorted(catalog.names())


# One step finds the ranges, one trains with them.
AWARE = ("trainer.steps_per_epoch = 2", "quantization.observe_steps = 1")


def _shrunk(name: str) -> experiment.Experiment:
    whole = experiment.load(name)
    settings = SHRINK[""]
    for part in (whole.task, getattr(whole.task, "method", None)):
        settings += SHRINK.get(type(part).__module__.rpartition(".")[2], ())
    if whole.quantization is not None:
        settings += AWARE
    return experiment.load(name, settings=settings)


# Of the quantization-aware variants, which are made of their float parents by one
# function, one takes its steps; tests/test_quantization_training.py has the others'.
# Their parts are those of others here, or have tests of their own; what differs is
# numbers and data.
ALIKE = (
    "mnasnet_cls_imagenet",
    "mnv1_cls_imagenet",
    "mnv2_cls_imagenet",
    "mnv2_det_bccd",
    "mnv2_det_coco",
    "mnv2_det_raccoon",
    "mnv2_det_voc",
    "mnv3_det_coco",
    "mnv3_panoptic_ade20k",
    "mnv3_panoptic_cityscapes",
    "mnv3_panoptic_folder",
    "mnv3_seg_cityscapes",
    "mnv3_seg_folder",
    "mnv3small_cls_imagenet",
    "mnv3small_det_coco",
    "mnv3small_panoptic_coco",
    "mnv3small_panoptic_pennfudan",
    "mnv4hm_cls_imagenet",
    "mnv4m_cls_imagenet",
    "mnv4m_det_coco",
    "multiavg_cls_imagenet",
)
STEPPED = [
    name
    for name in NAMES
    if (not name.endswith("_qat") and name not in ALIKE)
    or name == "mnv2_det_folder_qat"
]


# What a backbone and a head become is tested by themselves; here, that the setting of an
# experiment of each task leads to a file.
EXPORTED = (
    "mnv2_cls_folder",
    "mnv3small_seg_camvid",
    "mnv2_det_folder",
    "mnv3small_panoptic_synthetic",
)


@pytest.fixture
def eager():
    """Tracing a network for one step takes ten times as long as the step."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("name", STEPPED)
def test_it_takes_a_step_and_becomes_an_integer_file(name, tmp_path, eager):
    shrunk = _shrunk(name)
    session.train(shrunk, tmp_path, preparation.model(shrunk, fresh=True))
    steps = checkpoints.state(checkpoints.path(tmp_path, "last")).step
    assert steps == shrunk.trainer.steps_per_epoch
    if name not in EXPORTED:
        return
    network = checkpoints.inference_network(shrunk, tmp_path, "last")
    (path,) = export.write(shrunk, network, folder=tmp_path / "export").values()
    # `write` has checked that nothing in it is float; here, that it is what is wanted.
    file = flatbuffer.read(path)
    assert [tensor.dtype for tensor in file.inputs.values()] == ["UINT8"]
    assert [tensor.shape for tensor in file.inputs.values()] == [(1, 64, 64, 3)]
    if shrunk.export.output == "detections":
        assert "TFLite_Detection_PostProcess" in file.histogram
        assert len(file.outputs) == 4
    else:
        assert {tensor.dtype for tensor in file.outputs.values()} == {"UINT8"}


@pytest.mark.parametrize("name", sorted(n for n in NAMES if n.endswith("_qat")))
def test_a_quantization_aware_variant_is_its_parent_under_a_scheme(name):
    parent, found = experiment.load(name.removesuffix("_qat")), experiment.load(name)
    task = parent.task
    head = getattr(task, "head", None)
    if head == kmax.EFFICIENT:
        task = dataclasses.replace(task, head=kmax.EDGE)
    if getattr(head, "pyramid", None) == "full":
        narrow = panoptic_deeplab.PanopticDeepLab(rates=head.rates)
        task = dataclasses.replace(task, head=narrow)
    assert (found.task, found.dataset) == (task, parent.dataset)
    assert found.quantization is not None
    assert found.export.precisions == ("int8",)


@pytest.mark.parametrize("name", NAMES)
def test_the_operative_config_rebuilds_the_equal_experiment(name, root, tmp_path):
    for overlays in ((), (root / CPU,)):
        original = experiment.load(name, overlays)
        file = tmp_path / "config.gin"
        file.write_text(experiment.dump(original, name))
        assert experiment.load_run(tmp_path) == (name, original)
        other = experiment.load(NAMES[0] if name != NAMES[0] else NAMES[-1])
        assert bindings.apply(other, gin.parse_file(file)) == original


@pytest.mark.parametrize("name", NAMES)
def test_its_file_is_one_screen_and_says_how_to_run_it(name, root: pathlib.Path):
    text = (root / "configs" / f"{name}.py").read_text()
    assert f"--experiment={name}" in text
    assert len(text.splitlines()) <= 70


def test_the_raspp_experiment_is_the_network_of_the_papers_table():
    """MobileNetV3 paper, Table 7, row 1: 2.11 M parameters."""
    task = experiment.load("mnv2_raspp_cityscapes").task
    network = dataclasses.replace(task, image_size=(64, 128)).build(
        num_classes=19, training=False
    )
    trainable = sum(int(np.prod(w.shape)) for w in network.trainable_weights)
    assert trainable == 2_113_043
