"""Parameters and multiply-adds of MobileNetV4, pinned to other implementations."""

import functools
import math

import keras
import pytest

from official.backbones import mobilenet_v4
from official.heads import classification
from official.layers import cost

V4 = mobilenet_v4.MobileNetV4


@functools.cache
def _classifier(backbone: V4, size: int) -> keras.Model:
    images = keras.Input((size, size, 3))
    outputs = classification.Classification()(backbone(images), 1000)
    return keras.Model(images, outputs)


def _trainable(model: keras.Model) -> int:
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


@pytest.mark.parametrize(
    ("variant", "trainable", "statistics"),
    [
        # Trainable: timm 1.0.31, exactly. With the statistics of the norms: TF Model
        # Garden's 3.799, 9.783, 32.740, 11.150, 37.929 and 5.068 million.
        ("conv_small", 3_774_024, 25_088),
        ("conv_medium", 9_715_512, 67_904),
        ("conv_large", 32_590_864, 149_552),
        ("hybrid_medium", 11_074_648, 75_840),
        ("hybrid_large", 37_764_624, 164_400),
        ("conv_medium_seg", 5_021_816, 46_208),
    ],
)
def test_classifiers_have_the_parameters_of_timm_and_model_garden(
    variant, trainable, statistics
):
    model = _classifier(V4(variant=variant), 224)
    assert _trainable(model) == trainable
    assert model.count_params() == trainable + statistics


@pytest.mark.parametrize(
    ("variant", "width", "trainable"),
    # timm 1.0.31: mobilenetv4_conv_small_050 and mobilenetv4_hybrid_medium_075
    [("conv_small", 0.5, 2_238_952), ("hybrid_medium", 0.75, 7_313_528)],
)
def test_narrow_classifiers_have_the_parameters_of_timm(variant, width, trainable):
    model = _classifier(V4(variant=variant, width_multiplier=width), 64)
    assert _trainable(model) == trainable


@pytest.mark.parametrize(
    ("variant", "size", "products", "millions"),
    [
        # In all, in millions: TF Model Garden. It counts four of the attention layers'
        # projections as products; these are N * M * heads * channels * 2, by hand:
        # 14x14 to 7x7 and 7x7 places at 224, 4 heads of 64 channels, 4 layers each.
        ("conv_small", 224, 0, 186.0),
        ("conv_medium", 224, 0, 827.6),
        ("conv_large", 224, 0, 2171.3),
        ("hybrid_medium", 224, 4 * (196 + 49) * 49 * 256 * 2, 966.3),
        ("hybrid_large", 224, 4 * (196 * 384 + 49 * 512) * 49 * 2, 2549.6),
        ("conv_medium_seg", 224, 0, 615.1),
        ("conv_medium", 256, 0, 1080.2),
        ("hybrid_medium", 256, 4 * (256 + 64) * 64 * 256 * 2, 1271.2),
        ("conv_large", 384, 0, 6376.2),
        ("hybrid_large", 384, 4 * (576 * 384 + 144 * 512) * 144 * 2, 7711.9),
    ],
)
def test_classifiers_cost_what_model_garden_says(variant, size, products, millions):
    model = _classifier(V4(variant=variant), size)
    kinds = cost.multiply_adds_by_kind(model)
    assert kinds["attention"] == products
    assert round(sum(kinds.values()) / 1e6, 1) == millions
