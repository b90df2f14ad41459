"""The checkpoints of timm 1.0, https://github.com/huggingface/pytorch-image-models."""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

from official.backbones import base as backbones_base
from official.backbones import (
    mnasnet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    mobilenet_v4,
)
from official.weights import download
from official.weights.publishers import base

# Parts of the whole of ImageNet: what a tag of timm calls them, their names, classes.
_LARGER = {
    "in12k": ("ImageNet-12k", 11_821),
    "in21k": ("ImageNet-21k-P", 11_221),
}
_V4_TAGS = (
    # variant, tag, image size
    ("conv_small", "e2400_r224_in1k", 224),
    ("conv_small", "e1200_r224_in1k", 224),
    ("conv_small", "e3600_r256_in1k", 256),
    ("conv_medium", "e500_r256_in1k", 256),
    ("conv_medium", "e500_r224_in1k", 224),
    ("conv_medium", "e250_r384_in12k_ft_in1k", 384),
    ("conv_medium", "e250_r384_in12k", 384),
    ("conv_medium", "e180_r384_in12k", 384),
    ("conv_medium", "e180_ad_r384_in12k", 384),
    ("conv_large", "e600_r384_in1k", 384),
    ("conv_large", "e500_r256_in1k", 256),
    ("hybrid_medium", "e200_r256_in12k_ft_in1k", 256),
    ("hybrid_medium", "ix_e550_r384_in1k", 384),
    ("hybrid_medium", "ix_e550_r256_in1k", 256),
    ("hybrid_medium", "e500_r224_in1k", 224),
    ("hybrid_medium", "e200_r256_in12k", 256),
    ("hybrid_large", "ix_e600_r384_in1k", 384),
    ("hybrid_large", "e600_r384_in1k", 384),
)


class Row(NamedTuple):
    """A checkpoint.

    Attributes:
        model: Its name.
        tag: How it was trained.
        backbone: Without what all of timm's have in common.
        image_size: Side in pixels in training.
        normalization: What it was fed.
    """

    model: str
    tag: str
    backbone: backbones_base.Backbone
    image_size: int = 224
    normalization: str = "imagenet"


def checkpoints() -> Iterator[base.Published]:
    """With classifiers; of those of one model, timm's own default first."""
    for row in (*_by_families(), *_v4()):
        name = f"{row.model}.{row.tag}"
        url = f"https://huggingface.co/timm/{name}/resolve/main/model.safetensors"
        # Google's own weights, brought to PyTorch by timm, keep TensorFlow's ways.
        from_tensorflow = row.model.startswith("tf_")
        data, classes = _seen(row.tag)
        yield base.Published(
            name=f"{base.TIMM}:{name}",
            file=download.File(url=url, name=f"{base.TIMM}/{name}.safetensors"),
            backbone=row.backbone if from_tensorflow else base.as_pytorch(row.backbone),
            image_size=row.image_size,
            normalization=row.normalization,
            classes=classes,
            training_data=data,
        )


def _seen(tag: str) -> tuple[str, int]:
    """Training data and number of classes."""
    larger = next((value for key, value in _LARGER.items() if key in tag), None)
    if larger is None:
        return base.IMAGENET_1K, 1000
    if tag.endswith("ft_in1k"):
        return f"{larger[0]}, then {base.IMAGENET_1K}", 1000
    return larger


def _by_families() -> Iterator[Row]:
    v1 = mobilenet_v1.MobileNetV1
    v2 = mobilenet_v2.MobileNetV2
    v3 = mobilenet_v3.MobileNetV3
    mnas = mnasnet.MnasNet
    small = v3(variant="small")
    sym = "symmetric"
    yield from (
        Row("mobilenetv1_100", "ra4_e3600_r224_in1k", v1(), 224, sym),
        Row(
            "mobilenetv1_125",
            "ra4_e3600_r224_in1k",
            v1(width_multiplier=1.25),
            224,
            sym,
        ),
        Row("mobilenetv2_100", "ra_in1k", v2()),
        Row("mobilenetv2_050", "lamb_in1k", v2(width_multiplier=0.5)),
        Row("mobilenetv2_140", "ra_in1k", v2(width_multiplier=1.4)),
        Row("mobilenetv3_large_100", "ra_in1k", v3()),
        Row("mobilenetv3_large_100", "ra4_e3600_r224_in1k", v3(), 224, sym),
        Row("mobilenetv3_large_100", "miil_in21k_ft_in1k", v3(), 224, "unit"),
        Row("mobilenetv3_large_100", "miil_in21k", v3(), 224, "unit"),
        Row("mobilenetv3_small_100", "lamb_in1k", small),
        Row(
            "mobilenetv3_small_075",
            "lamb_in1k",
            dataclasses.replace(small, width_multiplier=0.75),
        ),
        Row(
            "mobilenetv3_small_050",
            "lamb_in1k",
            dataclasses.replace(small, width_multiplier=0.5),
        ),
        Row("mnasnet_100", "rmsp_in1k", mnas(variant="b1")),
        Row("mnasnet_small", "lamb_in1k", mnas(variant="small")),
        Row("semnasnet_100", "rmsp_in1k", mnas(variant="a1")),
        Row(
            "semnasnet_075",
            "rmsp_in1k",
            mnas(variant="a1", width_multiplier=0.75),
        ),
    )
    for variant in ("large", "small"):
        for width in (1.0, 0.75):
            yield Row(
                f"tf_mobilenetv3_{variant}_{round(100 * width):03}",
                "in1k",
                v3(variant=variant, width_multiplier=width),
                224,
                sym,
            )
        yield Row(
            f"tf_mobilenetv3_{variant}_minimal_100",
            "in1k",
            v3(variant=variant, minimalistic=True),
            224,
            sym,
        )


def _v4() -> Iterator[Row]:
    v4 = mobilenet_v4.MobileNetV4
    for variant, tag, size in _V4_TAGS:
        fed = "symmetric" if tag.startswith("e3600") else "imagenet"
        yield Row(f"mobilenetv4_{variant}", tag, v4(variant=variant), size, fed)
    yield Row(
        "mobilenetv4_conv_small_050",
        "e3000_r224_in1k",
        v4(variant="conv_small", width_multiplier=0.5),
        224,
        "symmetric",
    )
