"""A small segmenter on small pictures, for tests of what surrounds a network."""

import dataclasses

import keras
import numpy as np

from official.backbones import base as backbones_base
from official.data import indexed, pipeline
from official.experiment import Experiment
from official.heads import base as heads_base
from official.optim import optimizers, schedules
from official.tasks.segmentation import Segmentation
from official.training.trainer import Trainer


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoConvolutions(backbones_base.Backbone):
    """Stride 4, with a norm and, so that there is random state, dropout."""

    filters: int = 8
    dropout: float = 0.1
    synchronized: bool = False

    def __call__(self, images):
        x = keras.layers.Conv2D(
            self.filters, 3, strides=4, padding="same", use_bias=False, name="conv"
        )(images)
        norm = keras.layers.BatchNormalization(
            momentum=0.8,
            # Keras on JAX knows no such argument, nor a batch in parts.
            synchronized=self.synchronized and keras.backend.backend() == "tensorflow",
            name="norm",
        )
        x = norm(x)
        x = keras.layers.ReLU(name="relu")(x)
        return {"C2": keras.layers.Dropout(self.dropout, name="dropout")(x)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneConvolution(heads_base.Head):
    def __call__(self, features, num_classes):
        layer = keras.layers.Conv2D(num_classes, 1, name="classes")
        return {"logits": layer(features["C2"])}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quarters(indexed.IndexedDataset):
    """Each quarter of a picture has the color of its class, and some noise."""

    size_of_split: int = 12
    side: int = 32

    @property
    def class_names(self):
        return ("red", "green", "blue")

    @property
    def palette(self):
        return ((255, 0, 0), (0, 255, 0), (0, 0, 255))

    def records(self, split):
        return range(self.size_of_split)

    def read(self, record):
        random = np.random.default_rng(record)
        classes = random.integers(0, 3, (2, 2))
        labels = np.kron(classes, np.ones((self.side // 2,) * 2, int))
        image = np.array(self.palette)[labels] * 0.6 + random.normal(
            40, 20, (*labels.shape, 3)
        )
        return {
            "image": image.clip(0, 255).astype(np.uint8),
            "semantic": labels.astype(np.int32),
            "image_id": f"picture {record}",
        }


def experiment(**trainer) -> Experiment:
    """Learns the colors in a few steps."""
    return Experiment(
        task=Segmentation(
            backbone=TwoConvolutions(),
            head=OneConvolution(),
            image_size=(32, 32),
            scale_range=(0.8, 1.25),
            brightness=0.05,
        ),
        dataset=Quarters(),
        train=pipeline.Input(split="train", batch_size=4),
        eval=pipeline.Input(split="val", batch_size=5),
        optimizer=optimizers.SGD(
            schedule=schedules.Cosine(learning_rate=0.5), ema_decay=0.5
        ),
        trainer=Trainer(**({"epochs": 4} | trainer)),
        seed=3,
    )


def tell_colors_apart(network: keras.Model) -> None:
    """The class is the channel that is brightest."""
    kernel = np.zeros(network.get_layer("conv").kernel.shape, np.float32)
    classes = np.zeros(network.get_layer("classes").kernel.shape, np.float32)
    for color in range(3):
        kernel[:, :, color, color] = 1 / 9
        classes[0, 0, color, color] = 4
    network.get_layer("conv").set_weights([kernel])
    network.get_layer("classes").set_weights([classes, np.zeros(3)])
    # Below zero all colors would be alike after the ReLU.
    norm = network.get_layer("norm")
    norm.beta.assign(np.ones(norm.beta.shape))
