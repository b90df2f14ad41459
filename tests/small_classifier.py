"""A small classifier of the brightest channel, for tests of what surrounds it."""

import dataclasses

import keras
import numpy as np

from official import export_spec
from official.backbones import base as backbones_base
from official.data import indexed, pipeline
from official.experiment import Experiment
from official.heads.classification import Classification as Head
from official.optim import optimizers, schedules
from official.tasks.classification import Classification
from official.training.trainer import Trainer

NAMES = ("red", "green", "blue")
SIZE = (32, 32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pooled(backbones_base.Backbone):
    """A convolution, the mean over the image, and a 1x1 convolution."""

    def __call__(self, images):
        x = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="conv")(images)
        x = keras.layers.ReLU(name="relu")(x)
        x = keras.layers.GlobalAveragePooling2D(keepdims=True, name="embedding_pool")(x)
        x = keras.layers.Conv2D(8, 1, name="embedding_conv")(x)
        return {"embedding": keras.layers.ReLU(name="embedding_activation")(x)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Colors(indexed.IndexedDataset):
    """Pictures of one color and some noise."""

    multi_label: bool = False

    @property
    def class_names(self):
        return NAMES

    @property
    def palette(self):
        return ((255, 0, 0), (0, 255, 0), (0, 0, 255))

    def records(self, split):
        return range(12)

    def read(self, record):
        random = np.random.default_rng(record)
        class_id = record % 3
        image = random.normal(60, 20, (40, 56, 3))
        image[..., class_id] += 100
        label = {"label": np.int32(class_id)}
        if self.multi_label:
            label = {"labels": np.eye(3, dtype=np.float32)[class_id]}
        return {
            "image": image.clip(0, 255).astype(np.uint8),
            "image_id": f"{record}",
            **label,
        }


def experiment(*, task=None, **spec) -> Experiment:
    task = {"backbone": Pooled(), "head": Head(), "image_size": SIZE} | (task or {})
    chosen = Classification(**task)
    return Experiment(
        task=chosen,
        dataset=Colors(multi_label=chosen.multi_label),
        train=pipeline.Input(split="train", batch_size=4),
        eval=pipeline.Input(split="val", batch_size=5),
        optimizer=optimizers.SGD(schedule=schedules.Cosine(learning_rate=0.1)),
        trainer=Trainer(epochs=1),
        export=export_spec.Export(**spec),
    )


def network_of(chosen: Experiment) -> keras.Model:
    """The class is the channel that is brightest."""
    network = chosen.task.build(num_classes=3, training=False)
    random = np.random.default_rng(0)
    eye = np.eye(3, dtype=np.float32)
    for name, shape in (("conv", (3, 3, 3, 8)), ("embedding_conv", (1, 1, 8, 8))):
        kernel = random.normal(0, 0.02, shape).astype(np.float32)
        kernel[:, :, :3, :3] += eye / (shape[0] * shape[1])
        network.get_layer(name).set_weights([kernel, np.full(8, 1, np.float32)])
    kernel = np.zeros((8, 3), np.float32)
    kernel[:3] = 4 * eye - 1.2
    network.get_layer("classes").set_weights([kernel, np.zeros(3, np.float32)])
    return network
