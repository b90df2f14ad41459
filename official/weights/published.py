"""Finds published checkpoints, and builds the networks around them."""

import functools
import pathlib
from typing import Any

import keras

from official import failures, spelling
from official.backbones import base
from official.layers import normalization
from official.weights import download, files
from official.weights.publishers import base as publishers_base
from official.weights.publishers import keras_applications, timm, torchvision

_OF_THE_BACKBONE = f"{publishers_base.KERAS}:imagenet"


def is_named(text: str) -> bool:
    """Whether a text names published weights: "timm:..."."""
    return text.partition(":")[0] in publishers_base.SOURCES


def find(
    text: str, backbone: base.Backbone | None = None, *, image_size: int | None = None
) -> publishers_base.Published:
    """The checkpoint of a name.

    Args:
        text: "timm:mnasnet_100"; where there are several of a model, with the tag
            of one behind a point, else it is the first. "keras-applications:imagenet"
            means the one of the backbone.
        backbone: For that.
        image_size: For that; Keras has some for other sizes than 224.

    Raises:
        RequestError: If there is none.
    """
    if backbone is not None and text == _OF_THE_BACKBONE:
        return _of_backbone(backbone, image_size)
    for item in _all():
        if text in (item.name, item.model):
            return item
    raise failures.RequestError(f"no published weights {text!r}{_others(text)}")


def _others(text: str) -> str:
    """The end of an error: what there is."""
    source = text.partition(":")[0]
    alike = [item for item in _all() if item.name.startswith(f"{source}:")]
    if text.partition(".")[0] in {item.model for item in alike}:
        alike = [item for item in alike if item.model == text.partition(".")[0]]
        return "; there are " + ", ".join(item.name for item in alike)
    models = list(dict.fromkeys(item.model for item in alike or _all()))
    near = spelling.hint(text.partition(":")[2], [m.partition(":")[2] for m in models])
    return near or "; there are " + ", ".join(models)


def of_file(file: pathlib.Path) -> publishers_base.Published | None:
    """The checkpoint whose file has this name; None if it is none."""
    return next((i for i in _all() if i.file.path.name == file.name), None)


def network(text: str) -> keras.Model:
    """The whole network: "images" `[B, H, W, 3]`, pixels 0..255, to its outputs.

    Raises:
        RequestError: If there are no such weights, they cannot be had, or do not fit.
    """
    if not is_named(text):
        raise failures.RequestError(
            f"{text}: neither a folder that exists nor published weights, whose names "
            "begin with "
            + ", ".join(f"{source}:" for source in publishers_base.SOURCES)
        )
    item = find(text)
    model = build(item)
    moved = files.load(download.fetch(item.file), model, item.backbone)
    if moved.skipped or moved.random:
        raise failures.RequestError(f"{text}: {moved.summary()}")
    return model


def build(
    item: publishers_base.Published, *, image_size: int | None = None
) -> keras.Model:
    """The network of a checkpoint, its weights not set."""
    side = image_size or item.image_size
    images = keras.Input((side, side, 3), name="images")
    features = item.backbone(normalization.add(images, item.normalization))
    return keras.Model(images, item.head(features, item.classes))


def _of_backbone(
    backbone: base.Backbone, image_size: int | None
) -> publishers_base.Published:
    alike = [
        i
        for i in keras_applications.checkpoints()
        if type(i.backbone) is type(backbone)
    ]
    if not alike:
        raise failures.RequestError(
            f"{_OF_THE_BACKBONE}: keras.applications has no {type(backbone).__name__}"
        )
    same = [i for i in alike if _variant(i.backbone) == _variant(backbone)]
    if not same:
        raise failures.RequestError(
            f"{_OF_THE_BACKBONE}: no weights of this {type(backbone).__name__} are "
            "published; there are " + ", ".join(item.name for item in alike)
        )
    return next((i for i in same if i.image_size == image_size), same[0])


def _variant(backbone: base.Backbone) -> list[Any]:
    fields = ("variant", "minimalistic", "width_multiplier")
    return [getattr(backbone, field, None) for field in fields]


@functools.cache
def _all() -> tuple[publishers_base.Published, ...]:
    return (
        *keras_applications.checkpoints(),
        *timm.checkpoints(),
        *torchvision.checkpoints(),
    )
