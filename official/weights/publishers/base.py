"""What a published checkpoint is."""

import dataclasses
from typing import Any

from official.backbones import base, convolutions
from official.heads import base as heads_base
from official.heads import classification
from official.weights import download

IMAGENET_1K = "ImageNet-1k (ILSVRC 2012)"
COCO = "COCO (2017, train)"
KERAS, TIMM, TORCHVISION = SOURCES = ("keras-applications", "timm", "torchvision")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """A checkpoint of an image classifier or a detector.

    Attributes:
        name: As `init_from` takes it, "timm:mnasnet_100.rmsp_in1k".
        file: Where it is.
        backbone: With the fields that reproduce the published outputs.
        head: What was trained on it.
        image_size: Side in pixels of the images it was trained on.
        normalization: What it was fed, one of `normalization.KINDS`.
        classes: Number of them, with the background where the scores have one.
        licence: Of the weights.
        training_data: What they have seen.
    """

    name: str
    file: download.File
    backbone: base.Backbone
    head: heads_base.Head = classification.Classification(dropout=0.0)
    image_size: int = 224
    normalization: str = "symmetric"
    classes: int = 1000
    licence: str = "Apache-2.0"
    training_data: str = IMAGENET_1K

    @property
    def model(self) -> str:
        """The name without how it was trained, where that is part of the name."""
        if self.name.startswith(KERAS):
            return self.name
        return self.name.partition(".")[0]

    def provenance(self) -> dict[str, str]:
        """What a run folder keeps of it, besides the file itself."""
        return {
            "source": self.name,
            "url": self.file.url,
            "licence": self.licence,
            "training_data": self.training_data,
        }


def as_pytorch(backbone: base.Backbone, epsilon: float = 1e-5) -> base.Backbone:
    """The backbone with PyTorch's padding and, unless told another, its epsilon."""
    fields: dict[str, Any] = {
        "padding": "symmetric",
        "norm": convolutions.Norm(epsilon=epsilon),
    }
    return dataclasses.replace(backbone, **fields)
