"""The checkpoints of torchvision."""

from collections.abc import Iterator

from official.backbones import base as backbones_base
from official.backbones import mnasnet, mobilenet_v2, mobilenet_v3
from official.weights import download
from official.weights.publishers import base

# file in torchvision 0.28, whose name ends with the first digits of its sha256
_FILES = {
    "mobilenet_v2.imagenet1k_v2": "mobilenet_v2-7ebf99e0.pth",
    "mobilenet_v2.imagenet1k_v1": "mobilenet_v2-b0353104.pth",
    "mobilenet_v3_large.imagenet1k_v2": "mobilenet_v3_large-5c1a4163.pth",
    "mobilenet_v3_large.imagenet1k_v1": "mobilenet_v3_large-8738ca79.pth",
    "mobilenet_v3_small.imagenet1k_v1": "mobilenet_v3_small-047dcff4.pth",
    "mnasnet0_5.imagenet1k_v1": "mnasnet0.5_top1_67.823-3ffadce67e.pth",
    "mnasnet0_75.imagenet1k_v1": "mnasnet0_75-7090bc5f.pth",
    "mnasnet1_0.imagenet1k_v1": "mnasnet1.0_top1_73.512-f206786ef8.pth",
    "mnasnet1_3.imagenet1k_v1": "mnasnet1_3-a4c69d6f.pth",
}


def checkpoints() -> Iterator[base.Published]:
    for name, file in _FILES.items():
        sha256 = file.removesuffix(".pth").rpartition("-")[2]
        yield base.Published(
            name=f"{base.TORCHVISION}:{name}",
            file=download.File(
                url=f"https://download.pytorch.org/models/{file}",
                name=f"{base.TORCHVISION}/{file}",
                digest=download.Digest(kind="sha256", value=sha256),
            ),
            backbone=_backbone(name.partition(".")[0]),
            normalization="imagenet",
            licence="BSD-3-Clause",
        )


def _backbone(model: str) -> backbones_base.Backbone:
    if model.startswith("mobilenet_v3_"):
        variant = model.removeprefix("mobilenet_v3_")
        return base.as_pytorch(mobilenet_v3.MobileNetV3(variant=variant), epsilon=1e-3)
    if model == "mobilenet_v2":
        return base.as_pytorch(mobilenet_v2.MobileNetV2())
    width = float(model.removeprefix("mnasnet").replace("_", "."))
    return base.as_pytorch(mnasnet.MnasNet(variant="b1", width_multiplier=width))
