"""Which argument of an image operation stands for which magnitude.

Magnitudes are those of AutoAugment, 0 to 10; larger ones go on in a straight line. The
ranges are AutoAugment's, https://arxiv.org/abs/1805.09501, table 6, and those of its
code where the paper has none.
"""

import functools
from collections.abc import Callable
from typing import Literal

import tensorflow as tf

from official.data.augmentation import operations

Scale = Literal["increasing", "model_garden"]
"""How magnitudes become arguments.

"increasing": 0 changes nothing and more is stronger. Color, contrast, brightness and
sharpness go either way.

"model_garden": that of TensorFlow Model Garden and of the published AutoAugment
policies. Posterize and solarize get weaker with the magnitude; those four run from 0.1
to 1.9, and change nothing at 5.
"""

NAMES = (
    "autocontrast",
    "equalize",
    "invert",
    "posterize",
    "solarize",
    "solarize_add",
    "color",
    "contrast",
    "brightness",
    "sharpness",
    "rotate",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "cutout",
)


def perform(
    name: tf.Tensor,
    image: tf.Tensor,
    *,
    names: tuple[str, ...],
    magnitude: tf.Tensor,
    scale: Scale,
    cutout: float,
    translate: float,
    seed: tf.Tensor,
) -> tf.Tensor:
    """One operation on an image; only that one is computed.

    Args:
        name: int32 `[]`, index into `names`; their number leaves the image as it is.
        names: Of `NAMES`.
        magnitude: float32 `[]`.
        cutout: Half of the side of the square at magnitude 10, as a share of the
            image's shorter side.
        translate: Way at magnitude 10, as a share of the image's side.
        seed: Decides directions, and where the square is.
    """
    way = tf.where(tf.random.stateless_uniform([], seed) < 0.5, 1.0, -1.0)
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    reach = 0.1 * cutout * magnitude * tf.reduce_min(size)
    signed = way * magnitude
    bits, threshold, factor = _SCALES[scale](magnitude, way)
    bind = functools.partial
    branches = {
        "autocontrast": bind(operations.autocontrast, image),
        "equalize": bind(operations.equalize, image),
        "invert": bind(operations.invert, image),
        "posterize": bind(operations.posterize, image, bits),
        "solarize": bind(operations.solarize, image, threshold),
        "solarize_add": bind(operations.solarize_add, image, 11.0 * magnitude),
        "color": bind(operations.color, image, factor),
        "contrast": bind(operations.contrast, image, factor),
        "brightness": bind(operations.brightness, image, factor),
        "sharpness": bind(operations.sharpness, image, factor),
        "rotate": bind(operations.rotate, image, 3.0 * signed),
        "shear_x": bind(operations.shear_x, image, 0.03 * signed),
        "shear_y": bind(operations.shear_y, image, 0.03 * signed),
        "translate_x": bind(
            operations.translate_x, image, 0.1 * translate * signed * size[1]
        ),
        "translate_y": bind(
            operations.translate_y, image, 0.1 * translate * signed * size[0]
        ),
        "cutout": bind(operations.cutout, image, reach, seed=seed),
    }
    chosen = [branches[one] for one in names]
    changed = tf.switch_case(name, [*chosen, lambda: tf.identity(image)])
    return tf.ensure_shape(changed, image.shape)


Arguments = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
"""Bits of posterize, threshold of solarize, factor of color and its like."""


def _increasing(magnitude: tf.Tensor, way: tf.Tensor) -> Arguments:
    bits = tf.clip_by_value(8.0 - tf.round(0.4 * magnitude), 1.0, 8.0)
    threshold = tf.maximum(256.0 - 25.6 * magnitude, 0.0)
    # At factor 0 an image would be black or of one gray: nothing to learn from.
    return bits, threshold, tf.maximum(1.0 + 0.09 * way * magnitude, 0.1)


def _model_garden(magnitude: tf.Tensor, way: tf.Tensor) -> Arguments:
    del way
    # There, 0 bits leave one: TensorFlow shifts by 7 at most.
    bits = tf.clip_by_value(tf.floor(0.4 * magnitude), 1.0, 8.0)
    return bits, tf.floor(25.6 * magnitude), 0.18 * magnitude + 0.1


_SCALES: dict[str, Callable[[tf.Tensor, tf.Tensor], Arguments]] = {
    "increasing": _increasing,
    "model_garden": _model_garden,
}
