"""What dense heads do with feature maps of static size."""

import math
import re

import keras

from official.backbones import base as backbones_base

_LEVEL = re.compile("C[1-9]")


def feature(
    features: backbones_base.Features, name: str, *, owner: str
) -> keras.KerasTensor:
    """One of the features.

    Args:
        owner: The head's field that names it, for the message.

    Raises:
        ValueError: If there is no such feature; names those that there are.
    """
    if name not in features:
        raise ValueError(
            f"{owner} = {name!r}: the backbone has "
            + ", ".join(repr(known) for known in sorted(features))
        )
    return features[name]


def tap(
    features: backbones_base.Features, name: str, *, owner: str
) -> keras.KerasTensor:
    """As `feature`; where there is no "C{k}_depthwise", "C{k}" stands for it."""
    if name not in features:
        name = name.removesuffix("_depthwise")
    return feature(features, name, owner=owner)


def size(features: keras.KerasTensor) -> tuple[int, int]:
    """Height and width.

    Raises:
        ValueError: If they are not static.
    """
    height, width = features.shape[1:3]
    if height is None or width is None:
        raise ValueError(
            f"a feature has shape {features.shape}: heads want images of a static size"
        )
    return height, width


def stride(features: backbones_base.Features, of: keras.KerasTensor) -> int:
    """The stride of a feature in pixels of the image, told from the finest level.

    That is C1, of stride 2, or what an isometric network has: no output stride is so
    small that it would keep Ck from the stride 2 ** k. Rounded to a power of two: sizes
    are rounded up where strides do not divide them.
    """
    finest = min(name for name in features if _LEVEL.fullmatch(name))
    ratio = size(features[finest])[0] / size(of)[0]
    return 2 ** round(int(finest[1:]) + math.log2(ratio))


def resize(
    features: keras.KerasTensor,
    target: tuple[int, int],
    *,
    name: str,
    interpolation: str = "bilinear",
) -> keras.KerasTensor:
    """With half-pixel centres; the features themselves if they fit.

    Args:
        interpolation: "bilinear" or "nearest".
    """
    if size(features) == target:
        return features
    layer = keras.layers.Resizing(*target, interpolation=interpolation, name=name)
    # By default Keras's layer believes to be in training, and a model that is called
    # without `training` passes that on to all layers after it: norms would normalize by
    # the batch.
    return layer(features, training=False)


def classify(
    features: keras.KerasTensor, num_classes: int, *, name: str
) -> keras.KerasTensor:
    """A 1x1 convolution to logits.

    Small initial weights: the first loss is that of equal scores.
    """
    return keras.layers.Conv2D(
        num_classes,
        1,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        name=name,
    )(features)
