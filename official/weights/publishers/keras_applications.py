"""The checkpoints of `keras.applications`."""

from collections.abc import Iterator

from official.backbones import base as backbones_base
from official.backbones import mobilenet_v1, mobilenet_v2, mobilenet_v3
from official.weights import download
from official.weights.publishers import base

_V3_DIGESTS = {
    "large_224_1.0": "59e551e166be033d707958cf9e29a6a7",
    "large_224_0.75": "765b44a33ad4005b3ac83185abf1d0eb",
    "large_minimalistic_224_1.0": "675e7b876c45c57e9e63e6d90a36599c",
    "small_224_1.0": "8768d4c2e7dee89b9d02b2d03d65d862",
    "small_224_0.75": "cb65d4e5be93758266aa0a7f2c6708b7",
    "small_minimalistic_224_1.0": "99cd97fb2fcdad2bf028eb838de69e37",
}


def checkpoints() -> Iterator[base.Published]:
    """What `keras.applications` of Keras 3 loads; the files with classifiers."""
    for width, text in ((1.0, "1_0"), (0.75, "7_5"), (0.5, "5_0"), (0.25, "2_5")):
        for size in (224, 192, 160, 128):
            yield _checkpoint(
                f"mobilenet_{width}_{size}",
                f"mobilenet/mobilenet_{text}_{size}_tf.h5",
                mobilenet_v1.MobileNetV1(width_multiplier=width),
                image_size=size,
            )
    for width in (1.0, 1.4, 1.3, 0.75, 0.5, 0.35):
        for size in (224, 192, 160, 128, 96) if width <= 1 else (224,):
            yield _checkpoint(
                f"mobilenet_v2_{width}_{size}",
                "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_"
                f"{width}_{size}.h5",
                mobilenet_v2.MobileNetV2(width_multiplier=width),
                image_size=size,
            )
    for name, md5 in _V3_DIGESTS.items():
        variant, *minimalistic, _, width_text = name.split("_")
        yield _checkpoint(
            f"mobilenet_v3_{name}",
            f"mobilenet_v3/weights_mobilenet_v3_{name}_float.h5",
            mobilenet_v3.MobileNetV3(
                variant=variant,
                minimalistic=bool(minimalistic),
                width_multiplier=float(width_text),
            ),
            digest=download.Digest(kind="md5", value=md5),
        )


def _checkpoint(
    name: str,
    path: str,
    backbone: backbones_base.Backbone,
    *,
    image_size: int = 224,
    digest: download.Digest | None = None,
) -> base.Published:
    url = f"https://storage.googleapis.com/tensorflow/keras-applications/{path}"
    return base.Published(
        name=f"{base.KERAS}:{name}",
        file=download.File(url=url, name=f"{base.KERAS}/{path}", digest=digest),
        backbone=backbone,
        image_size=image_size,
    )
