"""The checkpoints of torchvision."""

import dataclasses
from collections.abc import Iterator

from official.backbones import base as backbones_base
from official.backbones import mnasnet, mobilenet_v2, mobilenet_v3
from official.heads import ssdlite
from official.weights import download
from official.weights.publishers import base

# file in torchvision 0.28, whose name ends with the first digits of its sha256
_FILES = {
    "mobilenet_v2.imagenet1k_v2": "mobilenet_v2-7ebf99e0.pth",
    "mobilenet_v2.imagenet1k_v1": "mobilenet_v2-b0353104.pth",
    "mobilenet_v3_large.imagenet1k_v2": "mobilenet_v3_large-5c1a4163.pth",
    "mobilenet_v3_large.imagenet1k_v1": "mobilenet_v3_large-8738ca79.pth",
    "mobilenet_v3_small.imagenet1k_v1": "mobilenet_v3_small-047dcff4.pth",
    "ssdlite320_mobilenet_v3_large.coco_v1": (
        "ssdlite320_mobilenet_v3_large_coco-a79551df.pth"
    ),
    "mnasnet0_5.imagenet1k_v1": "mnasnet0.5_top1_67.823-3ffadce67e.pth",
    "mnasnet0_75.imagenet1k_v1": "mnasnet0_75-7090bc5f.pth",
    "mnasnet1_0.imagenet1k_v1": "mnasnet1.0_top1_73.512-f206786ef8.pth",
    "mnasnet1_3.imagenet1k_v1": "mnasnet1_3-a4c69d6f.pth",
}
_SSDLITE = "ssdlite320_"


def checkpoints() -> Iterator[base.Published]:
    for name, file in _FILES.items():
        model = name.partition(".")[0]
        sha256 = file.removesuffix(".pth").rpartition("-")[2]
        item = base.Published(
            name=f"{base.TORCHVISION}:{name}",
            file=download.File(
                url=f"https://download.pytorch.org/models/{file}",
                name=f"{base.TORCHVISION}/{file}",
                digest=download.Digest(kind="sha256", value=sha256),
            ),
            backbone=_backbone(model),
            normalization="imagenet",
            licence="BSD-3-Clause",
        )
        yield _detector(item) if model.startswith(_SSDLITE) else item


def _detector(item: base.Published) -> base.Published:
    """91 classes: the background, then COCO's categories by id, with their gaps."""
    return dataclasses.replace(
        item,
        head=ssdlite.TORCHVISION,
        image_size=320,
        normalization="symmetric",
        classes=91,
        training_data=base.COCO,
    )


def _backbone(model: str) -> backbones_base.Backbone:
    if model.startswith(_SSDLITE):
        reduced = mobilenet_v3.MobileNetV3(reduced_tail="outputs")
        return base.as_pytorch(reduced, epsilon=1e-3)
    if model.startswith("mobilenet_v3_"):
        variant = model.removeprefix("mobilenet_v3_")
        return base.as_pytorch(mobilenet_v3.MobileNetV3(variant=variant), epsilon=1e-3)
    if model == "mobilenet_v2":
        return base.as_pytorch(mobilenet_v2.MobileNetV2())
    width = float(model.removeprefix("mnasnet").replace("_", "."))
    return base.as_pytorch(mnasnet.MnasNet(variant="b1", width_multiplier=width))
