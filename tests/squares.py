"""A small detector of squares, for tests of what surrounds a network."""

import dataclasses

import keras
import numpy as np
import small

from official.data import indexed, pipeline
from official.experiment import Experiment
from official.export_spec import Export
from official.heads import anchors as anchors_lib
from official.heads import base as heads_base
from official.optim import optimizers, schedules
from official.tasks.detection import Detection
from official.training.trainer import Trainer

SIDE = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneLevel(heads_base.DetectionHead):
    """One square anchor of 10 pixels in each cell of stride 4."""

    anchors: anchors_lib.Anchors = anchors_lib.FittedAnchors(
        shapes=(((10 / SIDE, 10 / SIDE),),)
    )

    @property
    def strides(self):
        return (4,)

    def __call__(self, features, num_classes):
        x = features["C2"]
        outputs = {}
        for name, values in (("box_encodings", 4), ("logits", num_classes)):
            layer = keras.layers.Conv2D(values, 3, padding="same", name=f"{name}_conv")
            shape = (-1, values)
            outputs[name] = keras.layers.Reshape(shape, name=name)(layer(x))
        return outputs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Squares(indexed.IndexedDataset):
    """One to three squares of 10 pixels, red or green, on noise."""

    size_of_split: int = 12

    @property
    def class_names(self):
        return ("red", "green")

    @property
    def palette(self):
        return ((255, 0, 0), (0, 255, 0))

    def records(self, split):
        return range(self.size_of_split)

    def read(self, record):
        random = np.random.default_rng(record)
        image = random.uniform(90, 130, (SIDE, SIDE, 3))
        corners = random.permutation([(1, 1), (1, 19), (19, 1), (19, 19)])
        corners = corners[: random.integers(1, 4)] + random.integers(-1, 2)
        classes = random.integers(0, 2, len(corners))
        for (top, left), class_id in zip(corners, classes, strict=True):
            image[top : top + 10, left : left + 10] = self.palette[class_id]
        boxes = np.concatenate([corners, corners + 10], axis=1).astype(np.float32)
        return {
            "image": image.astype(np.uint8),
            "boxes": boxes,
            "box_classes": classes.astype(np.int32),
            "box_kinds": np.zeros(len(boxes), np.int32),
            "box_areas": np.full(len(boxes), 100.0, np.float32),
            "image_id": f"picture {record}",
        }


def task(**settings) -> Detection:
    return Detection(
        **(
            {
                "backbone": small.TwoConvolutions(filters=16, dropout=0.0),
                "head": OneLevel(),
                "image_size": (SIDE, SIDE),
                "max_boxes": 5,
                "judged_by": "ap50",
            }
            | settings
        )
    )


def experiment(**trainer) -> Experiment:
    """Finds the squares after some steps."""
    return Experiment(
        task=task(),
        dataset=Squares(),
        train=pipeline.Input(split="train", batch_size=4),
        eval=pipeline.Input(split="val", batch_size=5),
        optimizer=optimizers.AdamW(
            schedule=schedules.Cosine(learning_rate=0.02), ema_decay=0.5
        ),
        trainer=Trainer(**({"epochs": 20, "evaluate_every": 20} | trainer)),
        export=Export(
            output="detections", output_type="float32", min_agreement_int8=0.9
        ),
        seed=3,
    )
