"""Parameters and multiply-adds of every network, beside the published figures.

    python scripts/model_table.py
    python scripts/model_table.py --csv > models.csv

Each network is built at its usual image size with a classifier for 1000 classes and
counted from its layers. Numbers are millions. Parameters are those that training
changes; "total" has the moving statistics of norms too. A figure in brackets is from
memory of the paper, without its text at hand. Differences are those of our figure from
the published one, which is often rounded to two digits.
"""

import argparse
import csv
import os
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from official.backbones import base

CLASSES = 1000
WIDTH = 100


class Published(NamedTuple):
    """What others say of a network, in millions; None where they say nothing.

    Attributes:
        parameters: That training changes, unless the source says otherwise.
        multiply_adds: Of one image.
        source: Key of `SOURCES`.
        size: Side of the image, in pixels, if it is not 224.
        verified: The figure was read where it stands, not remembered.
    """

    parameters: float | None
    multiply_adds: float | None
    source: str
    size: int = 224
    verified: bool = True


class Entry(NamedTuple):
    """A network of the table.

    Attributes:
        module: Of `official.backbones`.
        kind: Class in it.
        fields: That are not the default.
    """

    module: str
    kind: str
    fields: dict[str, Any]
    published: Published


class Counted(NamedTuple):
    """A row of the table, in its columns; numbers in millions."""

    model: str
    size: int
    parameters: float
    total: float
    multiply_adds: float
    conv: float
    depthwise: float
    dense: float
    attention: float
    published_parameters: float | None
    parameters_percent: float | None
    published_multiply_adds: float | None
    multiply_adds_percent: float | None
    source: str
    verified: bool


SOURCES = {
    "garden": "TensorFlow Model Garden 2.20.0, built and counted",
    "keras": "table of keras.applications",
    "timm": "timm 1.0.31, built and counted",
    "paper": "the paper of the network (see the docstring of its class)",
}

V1 = ("mobilenet_v1", "MobileNetV1")
V2 = ("mobilenet_v2", "MobileNetV2")
V3 = ("mobilenet_v3", "MobileNetV3")
V4 = ("mobilenet_v4", "MobileNetV4")
EDGETPU = ("mobilenet_edgetpu", "MobileNetEdgeTPU")
MNASNET = ("mnasnet", "MnasNet")
MULTI = ("multi_hardware", "MultiHardware")
ISOMETRIC = ("mobilenet_v3_isometric", "IsometricMobileNetV3")


def _unverified(parameters: float | None, multiply_adds: float | None) -> Published:
    return Published(parameters, multiply_adds, "paper", verified=False)


ENTRIES = (
    Entry(*V1, {}, Published(4.232, 568.7, "garden")),
    Entry(*V1, {"width_multiplier": 0.75}, _unverified(2.6, 325)),
    Entry(*V1, {"width_multiplier": 0.5}, _unverified(1.3, 149)),
    Entry(*V1, {"width_multiplier": 0.25}, _unverified(0.5, 41)),
    Entry(*V2, {}, Published(3.505, 300.8, "garden")),
    Entry(*V2, {"width_multiplier": 1.4}, Published(6.06, 582, "keras")),
    Entry(*V2, {"width_multiplier": 0.35}, Published(1.66, 59, "keras")),
    Entry(*V3, {}, Published(5.483, 216.6, "garden")),
    Entry(*V3, {"minimalistic": True}, Published(3.9, 209, "keras")),
    Entry(*V3, {"width_multiplier": 0.75}, Published(4.0, 155, "keras")),
    Entry(*V3, {"variant": "small"}, Published(2.543, 56.5, "garden")),
    Entry(*V3, {"variant": "small", "minimalistic": True}, Published(2.0, 65, "keras")),
    Entry(
        *V3, {"variant": "small", "width_multiplier": 0.75}, Published(2.4, 44, "keras")
    ),
    Entry(
        *V3,
        {"variant": "small", "reduced_tail": True},
        Published(1.712, 42.5, "garden"),
    ),
    Entry(*EDGETPU, {}, Published(4.091, 990.7, "garden")),
    Entry(*V4, {"variant": "conv_small"}, Published(3.774, 186.0, "garden")),
    Entry(*V4, {"variant": "conv_medium"}, Published(9.716, 1080.2, "garden", 256)),
    Entry(*V4, {"variant": "conv_large"}, Published(32.591, 6376.2, "garden", 384)),
    Entry(*V4, {"variant": "hybrid_medium"}, Published(11.075, 1271.2, "garden", 256)),
    Entry(*V4, {"variant": "hybrid_large"}, Published(37.765, 7711.9, "garden", 384)),
    Entry(*V4, {"variant": "conv_medium_seg"}, Published(5.022, 802.9, "garden", 256)),
    Entry(*MNASNET, {"variant": "a1"}, Published(3.887038, None, "timm")),
    Entry(*MNASNET, {"variant": "b1"}, Published(4.383312, None, "timm")),
    Entry(*MNASNET, {"variant": "small"}, Published(2.030264, None, "timm")),
    Entry(*MNASNET, {"variant": "a1"}, _unverified(3.9, 312)),
    Entry(*MNASNET, {"variant": "small"}, _unverified(1.9, 65.1)),
    Entry(*MULTI, {"variant": "avg"}, Published(4.949, 432.5, "garden")),
    Entry(*MULTI, {"variant": "max"}, Published(4.423, 349.2, "garden")),
    Entry(*MULTI, {"variant": "avg_seg"}, Published(3.491, 392.8, "garden")),
    Entry(*MULTI, {"variant": "max_seg"}, Published(3.183, 320.2, "garden")),
    Entry(*ISOMETRIC, {"variant": "large"}, _unverified(None, None)),
    Entry(*ISOMETRIC, {"variant": "small"}, _unverified(None, None)),
)


def rows(entries: Sequence[Entry] = ENTRIES) -> Iterator[Counted]:
    """Builds and counts one network after the other."""
    import importlib

    for entry in entries:
        module = importlib.import_module(f"official.backbones.{entry.module}")
        backbone = getattr(module, entry.kind)(**entry.fields)
        yield _counted(entry, backbone)


def _counted(entry: Entry, backbone: "base.Backbone") -> Counted:
    import keras

    from official.heads import classification
    from official.layers import cost

    published = entry.published
    images = keras.Input((published.size, published.size, 3))
    outputs = classification.Classification()(backbone(images), CLASSES)
    model = keras.Model(images, outputs)
    parameters = sum(weight.size for weight in model.trainable_weights) / 1e6
    kinds = {k: v / 1e6 for k, v in cost.multiply_adds_by_kind(model).items()}
    multiply_adds = sum(kinds.values())
    return Counted(
        model=" ".join([entry.kind, *map(_spelled, entry.fields.items())]),
        size=published.size,
        parameters=parameters,
        total=model.count_params() / 1e6,
        multiply_adds=multiply_adds,
        **kinds,
        published_parameters=published.parameters,
        parameters_percent=_percent(parameters, published.parameters),
        published_multiply_adds=published.multiply_adds,
        multiply_adds_percent=_percent(multiply_adds, published.multiply_adds),
        source=published.source,
        verified=published.verified,
    )
