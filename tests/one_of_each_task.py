"""A small experiment of each task, alike on one device and on several replicas."""

import dataclasses
import pathlib
from collections.abc import Sequence

import keras
import numpy as np
import small
import small_classifier
import squares

from official import experiment as experiment_lib
from official.backbones import base as backbones_base
from official.heads.classification import Classification
from official.training import checkpoints, preparation, session

TASKS = ("classification", "segmentation", "detection", "panoptic")
WITH_SLOTS = (*TASKS[:3], "mask slots")
"""With the other method of the last, which takes its time."""

ALL = (*TASKS, "mask slots")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FourLevels(backbones_base.Backbone):
    """A convolution a level, to stride 32."""

    def __call__(self, images):
        x, levels = images, {}
        for number in range(1, 6):
            layer = keras.layers.Conv2D(
                8, 3, strides=2, padding="same", activation="relu", name=f"conv{number}"
            )
            x = levels[f"C{number}"] = layer(x)
        return levels


def experiments(**trainer) -> dict[str, experiment_lib.Experiment]:
    """By name; one pass of three steps, without dropout, norms synchronized."""
    settings = {"epochs": 1, "evaluate_every": 1} | trainer
    backbone = small.TwoConvolutions(filters=8, dropout=0.0, synchronized=True)
    segmenter = small.experiment(**settings)
    detector = squares.experiment(**settings)
    classifier = small_classifier.experiment(task={"head": Classification(dropout=0.0)})
    panoptic = experiment_lib.load(
        "mnv3_pdl_cityscapes",
        settings=[
            "dataset = @SyntheticStreets(height=32, width=64, train_size=6)",
            "task.image_size = (32, 64)",
            "task.head.dropout = 0.0",
            # Adam would make much of rounding where a gradient is nearly zero.
            "optimizer = @SGD(schedule=@Constant(learning_rate=1e-5), clip_norm=10.0)",
            "train.batch_size = 2",
            "eval = @Input(split='val', batch_size=2, limit=2)",
        ],
    )
    slots = experiment_lib.load(
        "mnv3small_panoptic_synthetic",
        settings=[
            "dataset = @SyntheticStreets(height=32, width=64, train_size=6)",
            "task.image_size = (32, 64)",
            "task.head.slots = 12",
            "task.head.layers = (1,)",
            "task.head.relaxed = 1",
            "task.head.semantic_width = 8",
            "task.head.pixels = @ConvPixelDecoder("
            "taps=('C3', 'C4', 'C5'), widths=(8, 16, 16), blocks=(1, 1, 1))",
            "task.head.decoder.width = 16",
            "task.head.decoder.key_width = 8",
            "task.head.decoder.hidden = 16",
            "task.head.decoder.embedding = 8",
            # Of 32 pixels of the masks.
            "task.method.samples = 20",
            "optimizer = @SGD(schedule=@Constant(learning_rate=1e-4), clip_norm=10.0)",
            "train.batch_size = 2",
            "eval = @Input(split='val', batch_size=2, limit=2)",
        ],
    )
    return {
        "classification": dataclasses.replace(
            classifier, trainer=dataclasses.replace(classifier.trainer, **settings)
        ),
        "segmentation": dataclasses.replace(
            segmenter, task=dataclasses.replace(segmenter.task, backbone=backbone)
        ),
        "detection": dataclasses.replace(
            detector,
            task=squares.task(backbone=backbone),
            # As small as it is usually, Adam would make much of rounding where a
            # gradient is nearly zero.
            optimizer=dataclasses.replace(detector.optimizer, epsilon=1e-3),
        ),
        "panoptic": dataclasses.replace(
            panoptic,
            task=dataclasses.replace(panoptic.task, backbone=FourLevels()),
            trainer=dataclasses.replace(panoptic.trainer, **settings),
        ),
        "mask slots": dataclasses.replace(
            slots,
            task=dataclasses.replace(slots.task, backbone=FourLevels()),
            trainer=dataclasses.replace(slots.trainer, **settings),
        ),
    }


def start(experiment: experiment_lib.Experiment, folder: pathlib.Path) -> None:
    """Lets a run begin with the weights that it has here."""
    model = preparation.model(experiment, fresh=True)
    checkpoints.save(
        checkpoints.path(folder, "last"),
        network=model.network,
        optimizer=model.optimizer,
        state=checkpoints.State(class_names=experiment.dataset.class_names),
    )


def train(folder: pathlib.Path, names: Sequence[str] = TASKS, **trainer) -> None:
    """Trains some, each into a folder of its name."""
    chosen = experiments(**trainer)
    for name in names:
        experiment = chosen[name]
        model = preparation.model(experiment, fresh=True)
        session.train(experiment, folder / name, model)


def assert_as_on_one_device(
    found: pathlib.Path, alone: pathlib.Path, names: Sequence[str] = TASKS
) -> None:
    """Trains some on one device and compares the weights with those of `train`."""
    train(alone, names)
    for name in names:
        there, own = (
            checkpoints.inference_weights(checkpoints.path(folder / name, "last"))
            for folder in (found, alone)
        )
        assert own.keys() == there.keys()
        for path, value in own.items():
            np.testing.assert_allclose(
                there[path], value, rtol=2e-4, atol=2e-5, err_msg=f"{name}: {path}"
            )
        moved = 0.0
        model = preparation.model(experiments()[name], fresh=True)
        for variable in model.network.weights:
            before = keras.ops.convert_to_numpy(variable)
            moved = max(moved, np.abs(own[variable.path] - before).max())
        assert moved > 1e-3, name  # else nothing has been compared
