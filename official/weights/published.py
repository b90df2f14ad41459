"""Which checkpoints are published, where, and what they need around them."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras

from official import failures, spelling
from official.backbones import (
    base,
    blocks,
    mnasnet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    mobilenet_v4,
)
from official.heads import classification
from official.layers import normalization
from official.weights import download, files

IMAGENET_1K = "ImageNet-1k (ILSVRC 2012)"
# Parts of the whole of ImageNet: what a tag of timm calls them, their names, classes.
_LARGER = {
    "in12k": ("ImageNet-12k", 11_821),
    "in21k": ("ImageNet-21k-P", 11_221),
}
KERAS, TIMM, TORCHVISION = SOURCES = ("keras-applications", "timm", "torchvision")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """A checkpoint of an image classifier.

    Attributes:
        name: As `init_from` takes it, "timm:mnasnet_100.rmsp_in1k".
        file: Where it is.
        backbone: With the fields that reproduce the published outputs.
        image_size: Side in pixels of the images it was trained on.
        normalization: What it was fed, one of `normalization.KINDS`.
        classes: Number of them.
        licence: Of the weights.
        training_data: What they have seen.
    """

    name: str
    file: download.File
    backbone: base.Backbone
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


def is_named(text: str) -> bool:
    """Whether a text names published weights: "timm:..."."""
    return text.partition(":")[0] in SOURCES


def find(
    text: str, backbone: base.Backbone | None = None, *, image_size: int | None = None
) -> Published:
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
    if backbone is not None and text == f"{KERAS}:imagenet":
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


def of_file(file: pathlib.Path) -> Published | None:
    """The checkpoint whose file has this name; None if it is none."""
    return next((i for i in _all() if i.file.path.name == file.name), None)


def network(text: str) -> keras.Model:
    """The whole classifier: "images" `[B, H, W, 3]`, pixels 0..255, to "logits".

    Raises:
        RequestError: If there are no such weights, they cannot be had, or do not fit.
    """
    if not is_named(text):
        raise failures.RequestError(
            f"{text}: neither a folder that exists nor published weights, whose names "
            "begin with " + ", ".join(f"{source}:" for source in SOURCES)
        )
    item = find(text)
    model = classifier(item)
    moved = files.load(download.fetch(item.file), model, item.backbone)
    if moved.skipped or moved.random:
        raise failures.RequestError(f"{text}: {moved.summary()}")
    return model


def classifier(item: Published, *, image_size: int | None = None) -> keras.Model:
    """The network of a checkpoint, its weights not set."""
    side = image_size or item.image_size
    images = keras.Input((side, side, 3), name="images")
    features = item.backbone(normalization.add(images, item.normalization))
    head = classification.Classification(dropout=0.0)
    return keras.Model(images, head(features, item.classes))


def _of_backbone(backbone: base.Backbone, image_size: int | None) -> Published:
    alike = [i for i in _keras() if type(i.backbone) is type(backbone)]
    if not alike:
        raise failures.RequestError(
            f"{KERAS}:imagenet: keras.applications has no {type(backbone).__name__}"
        )
    same = [i for i in alike if _variant(i.backbone) == _variant(backbone)]
    if not same:
        raise failures.RequestError(
            f"{KERAS}:imagenet: no weights of this {type(backbone).__name__} are "
            "published; there are " + ", ".join(item.name for item in alike)
        )
    return next((i for i in same if i.image_size == image_size), same[0])


def _variant(backbone: base.Backbone) -> list[Any]:
    fields = ("variant", "minimalistic", "width_multiplier")
    return [getattr(backbone, field, None) for field in fields]


@functools.cache
def _all() -> tuple[Published, ...]:
    return (*_keras(), *_timm(), *_torchvision())


def _keras() -> Iterator[Published]:
    """What `keras.applications` of Keras 3 loads; the files with classifiers."""
    for width, text in ((1.0, "1_0"), (0.75, "7_5"), (0.5, "5_0"), (0.25, "2_5")):
        for size in (224, 192, 160, 128):
            yield _of_keras(
                f"mobilenet_{width}_{size}",
                f"mobilenet/mobilenet_{text}_{size}_tf.h5",
                mobilenet_v1.MobileNetV1(width_multiplier=width),
                image_size=size,
            )
    for width in (1.0, 1.4, 1.3, 0.75, 0.5, 0.35):
        for size in (224, 192, 160, 128, 96) if width <= 1 else (224,):
            yield _of_keras(
                f"mobilenet_v2_{width}_{size}",
                "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_"
                f"{width}_{size}.h5",
                mobilenet_v2.MobileNetV2(width_multiplier=width),
                image_size=size,
            )
    for name, md5 in _KERAS_V3.items():
        variant, *minimalistic, _, width_text = name.split("_")
        yield _of_keras(
            f"mobilenet_v3_{name}",
            f"mobilenet_v3/weights_mobilenet_v3_{name}_float.h5",
            mobilenet_v3.MobileNetV3(
                variant=variant,
                minimalistic=bool(minimalistic),
                width_multiplier=float(width_text),
            ),
            digest=download.Digest(kind="md5", value=md5),
        )


_KERAS_V3 = {
    "large_224_1.0": "59e551e166be033d707958cf9e29a6a7",
    "large_224_0.75": "765b44a33ad4005b3ac83185abf1d0eb",
    "large_minimalistic_224_1.0": "675e7b876c45c57e9e63e6d90a36599c",
    "small_224_1.0": "8768d4c2e7dee89b9d02b2d03d65d862",
    "small_224_0.75": "cb65d4e5be93758266aa0a7f2c6708b7",
    "small_minimalistic_224_1.0": "99cd97fb2fcdad2bf028eb838de69e37",
}


def _of_keras(
    name: str,
    path: str,
    backbone: base.Backbone,
    *,
    image_size: int = 224,
    digest: download.Digest | None = None,
) -> Published:
    url = f"https://storage.googleapis.com/tensorflow/keras-applications/{path}"
    return Published(
        name=f"{KERAS}:{name}",
        file=download.File(url=url, name=f"{KERAS}/{path}", digest=digest),
        backbone=backbone,
        image_size=image_size,
    )


class Timm(NamedTuple):
    """A checkpoint of timm 1.0, https://github.com/huggingface/pytorch-image-models.

    Attributes:
        model: Its name.
        tag: How it was trained.
        backbone: Without what all of timm's have in common.
        image_size: Side in pixels in training.
        normalization: What it was fed.
    """

    model: str
    tag: str
    backbone: base.Backbone
    image_size: int = 224
    normalization: str = "imagenet"


def _timm() -> Iterator[Published]:
    for row in (*_timm_by_families(), *_timm_v4()):
        name = f"{row.model}.{row.tag}"
        url = f"https://huggingface.co/timm/{name}/resolve/main/model.safetensors"
        # Google's own weights, brought to PyTorch by timm, keep TensorFlow's ways.
        from_tensorflow = row.model.startswith("tf_")
        data, classes = _seen(row.tag)
        yield Published(
            name=f"{TIMM}:{name}",
            file=download.File(url=url, name=f"{TIMM}/{name}.safetensors"),
            backbone=row.backbone if from_tensorflow else _of_pytorch(row.backbone),
            image_size=row.image_size,
            normalization=row.normalization,
            classes=classes,
            training_data=data,
        )


def _seen(tag: str) -> tuple[str, int]:
    """Training data and number of classes."""
    larger = next((value for key, value in _LARGER.items() if key in tag), None)
    if larger is None:
        return IMAGENET_1K, 1000
    if tag.endswith("ft_in1k"):
        return f"{larger[0]}, then {IMAGENET_1K}", 1000
    return larger


def _of_pytorch(backbone: base.Backbone, epsilon: float = 1e-5) -> base.Backbone:
    fields: dict[str, Any] = {
        "padding": "symmetric",
        "norm": blocks.Norm(epsilon=epsilon),
    }
    return dataclasses.replace(backbone, **fields)


def _timm_by_families() -> Iterator[Timm]:
    v1 = mobilenet_v1.MobileNetV1
    v2 = mobilenet_v2.MobileNetV2
    v3 = mobilenet_v3.MobileNetV3
    mnas = mnasnet.MnasNet
    small = v3(variant="small")
    sym = "symmetric"
    yield from (
        Timm("mobilenetv1_100", "ra4_e3600_r224_in1k", v1(), 224, sym),
        Timm(
            "mobilenetv1_125",
            "ra4_e3600_r224_in1k",
            v1(width_multiplier=1.25),
            224,
            sym,
        ),
        Timm("mobilenetv2_100", "ra_in1k", v2()),
        Timm("mobilenetv2_050", "lamb_in1k", v2(width_multiplier=0.5)),
        Timm("mobilenetv2_140", "ra_in1k", v2(width_multiplier=1.4)),
        Timm("mobilenetv3_large_100", "ra_in1k", v3()),
        Timm("mobilenetv3_large_100", "ra4_e3600_r224_in1k", v3(), 224, sym),
        Timm("mobilenetv3_large_100", "miil_in21k_ft_in1k", v3(), 224, "unit"),
        Timm("mobilenetv3_large_100", "miil_in21k", v3(), 224, "unit"),
        Timm("mobilenetv3_small_100", "lamb_in1k", small),
        Timm(
            "mobilenetv3_small_075",
            "lamb_in1k",
            dataclasses.replace(small, width_multiplier=0.75),
        ),
        Timm(
            "mobilenetv3_small_050",
            "lamb_in1k",
            dataclasses.replace(small, width_multiplier=0.5),
        ),
        Timm("mnasnet_100", "rmsp_in1k", mnas(variant="b1")),
        Timm("mnasnet_small", "lamb_in1k", mnas(variant="small")),
        Timm("semnasnet_100", "rmsp_in1k", mnas(variant="a1")),
        Timm(
            "semnasnet_075",
            "rmsp_in1k",
            mnas(variant="a1", width_multiplier=0.75),
        ),
    )
    for variant in ("large", "small"):
        for width in (1.0, 0.75):
            yield Timm(
                f"tf_mobilenetv3_{variant}_{round(100 * width):03}",
                "in1k",
                v3(variant=variant, width_multiplier=width),
                224,
                sym,
            )
        yield Timm(
            f"tf_mobilenetv3_{variant}_minimal_100",
            "in1k",
            v3(variant=variant, minimalistic=True),
            224,
            sym,
        )


_TIMM_V4 = (
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


def _timm_v4() -> Iterator[Timm]:
    v4 = mobilenet_v4.MobileNetV4
    for variant, tag, size in _TIMM_V4:
        fed = "symmetric" if tag.startswith("e3600") else "imagenet"
        yield Timm(f"mobilenetv4_{variant}", tag, v4(variant=variant), size, fed)
    yield Timm(
        "mobilenetv4_conv_small_050",
        "e3000_r224_in1k",
        v4(variant="conv_small", width_multiplier=0.5),
        224,
        "symmetric",
    )


# file in torchvision 0.28, whose name ends with the first digits of its sha256
_TORCHVISION = {
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


def _torchvision() -> Iterator[Published]:
    for name, file in _TORCHVISION.items():
        sha256 = file.removesuffix(".pth").rpartition("-")[2]
        yield Published(
            name=f"{TORCHVISION}:{name}",
            file=download.File(
                url=f"https://download.pytorch.org/models/{file}",
                name=f"{TORCHVISION}/{file}",
                digest=download.Digest(kind="sha256", value=sha256),
            ),
            backbone=_torchvision_backbone(name.partition(".")[0]),
            normalization="imagenet",
            licence="BSD-3-Clause",
        )


def _torchvision_backbone(model: str) -> base.Backbone:
    if model.startswith("mobilenet_v3_"):
        variant = model.removeprefix("mobilenet_v3_")
        return _of_pytorch(mobilenet_v3.MobileNetV3(variant=variant), epsilon=1e-3)
    if model == "mobilenet_v2":
        return _of_pytorch(mobilenet_v2.MobileNetV2())
    width = float(model.removeprefix("mnasnet").replace("_", "."))
    return _of_pytorch(mnasnet.MnasNet(variant="b1", width_multiplier=width))
