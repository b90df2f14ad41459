"""Parameters and multiply-adds, pinned to papers and to other implementations."""

import math

import keras
import pytest

from official.backbones import blocks, mobilenet_v2, mobilenet_v3
from official.heads import lraspp, raspp
from official.layers import cost

V2 = mobilenet_v2.MobileNetV2
V3 = mobilenet_v3.MobileNetV3
GLOBAL_SIGMOID = lraspp.LRASPP(pooling="global", gate="sigmoid")


def _trainable(model: keras.Model) -> int:
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def _trunk(backbone, size: int = 224) -> keras.Model:
    images = keras.Input((size, size, 3))
    return keras.Model(images, backbone(images)["C5"])


def _segmenter(backbone, head, classes: int, size=(1024, 2048)) -> keras.Model:
    images = keras.Input((*size, 3))
    return keras.Model(images, head(backbone(images), classes))


@pytest.mark.parametrize(
    ("value", "expected"),
    # 8 * 0.35 * 2 = 5.6 -> 8; 32 * 1.4 = 44.8 -> 48; 16.6 -> 16 is 0.96 of it;
    # 18 -> 16 would be 0.89 of it
    [(3, 8), (5.6, 8), (44.8, 48), (16.6, 16), (18, 24), (1792, 1792)],
)
def test_widths_are_rounded_to_multiples_of_eight(value, expected):
    assert blocks.make_divisible(value) == expected


@pytest.mark.parametrize("width", [0.35, 0.75, 1.3])
def test_mobilenet_v2_has_the_parameters_of_keras_applications(width):
    theirs = keras.applications.MobileNetV2(
        weights=None, alpha=width, include_top=False, input_shape=(224, 224, 3)
    )
    ours = _trunk(V2(width_multiplier=width))
    assert _trainable(ours) == _trainable(theirs)
    assert cost.multiply_adds(ours) == cost.multiply_adds(theirs)


@pytest.mark.parametrize("variant", ["large", "small"])
@pytest.mark.parametrize(
    ("minimalistic", "width"), [(False, 0.75), (False, 1.25), (True, 1.0)]
)
def test_mobilenet_v3_has_the_parameters_of_keras_applications(
    variant, minimalistic, width
):
    build = getattr(keras.applications, f"MobileNetV3{variant.capitalize()}")
    theirs = build(
        weights=None,
        alpha=width,
        minimalistic=minimalistic,
        include_top=False,
        input_shape=(224, 224, 3),
    )
    ours = _trunk(
        V3(variant=variant, minimalistic=minimalistic, width_multiplier=width)
    )
    assert _trainable(ours) == _trainable(theirs)
    assert cost.multiply_adds(ours) == cost.multiply_adds(theirs)


@pytest.mark.parametrize(
    ("backbone", "parameters", "multiply_adds", "classifier", "total"),
    [
        # total with 1000 classes, in millions: TF Model Garden; 300, 219, 56 in the
        # papers. V3 has a 1x1 convolution after pooling.
        (V2(), 2_223_872, 299_494_272, 1280 * 1000, 300.8),
        (V3(), 2_971_952, 214_080_960, 960 * 1280 + 1280 * 1000, 216.6),
        (V3(variant="small"), 927_008, 54_896_576, 576 * 1024 + 1024 * 1000, 56.5),
    ],
    ids=["v2", "v3 large", "v3 small"],
)
def test_the_cost_at_224_is_that_of_the_papers(
    backbone, parameters, multiply_adds, classifier, total
):
    trunk = _trunk(backbone)
    assert _trainable(trunk) == parameters
    assert cost.multiply_adds(trunk) == multiply_adds
    assert round((multiply_adds + classifier) / 1e6, 1) == total


def test_the_reduced_small_tail_has_the_parameters_of_model_garden():
    # MobileNetV3SmallReducedFilters: 0.687 M before the classifier, of which
    # 288 * 1024 + 1024 are the 1x1 convolution after pooling.
    trunk = _trunk(V3(variant="small", reduced_tail=True))
    assert round((_trainable(trunk) + 288 * 1024 + 1024) / 1e6, 3) == 0.687


def test_lraspp_has_the_parameters_of_torchvision():
    # torchvision.models.segmentation.lraspp_mobilenet_v3_large, 21 classes
    model = _segmenter(V3(output_stride=16), GLOBAL_SIGMOID, 21, (64, 64))
    assert _trainable(model) == 3_221_538


@pytest.mark.parametrize(
    ("backbone", "head", "parameters", "billions", "margin"),
    [
        # MobileNetV3 paper, Table 7 and MobileNetV2 paper: Cityscapes, 19 classes,
        # 1024x2048. Ours count convolutions alone, so a few hundredths fewer.
        (V2(output_stride=16), raspp.RASPP(level="C5_project"), 2.11, 21.29, 0.03),
        (V3(output_stride=16), raspp.RASPP(), 3.60, 18.43, 0.04),
        (V3(output_stride=16, reduced_tail=True), lraspp.LRASPP(), 1.51, 9.74, 0.05),
        (V3(reduced_tail=True), lraspp.LRASPP(), 1.51, 7.74, 0.05),
        (
            V3(variant="small", output_stride=16, reduced_tail=True),
            lraspp.LRASPP(),
            0.47,
            2.90,
            0.08,
        ),
    ],
    ids=["v2 r-aspp", "v3 r-aspp", "large", "large stride 32", "small"],
)
def test_segmenters_cost_what_the_papers_say(
    backbone, head, parameters, billions, margin
):
    model = _segmenter(backbone, head, 19)
    assert round(_trainable(model) / 1e6, 2) == parameters
    counted = cost.multiply_adds(model) / 1e9
    assert (1 - margin) * billions < counted <= billions


def test_the_cost_of_a_layer_is_kernel_times_positions():
    images = keras.Input((8, 6, 4))
    layers = [
        (keras.layers.Conv2D(10, 3, strides=2, padding="same"), 4 * 3 * 9 * 4 * 10),
        (keras.layers.Conv2D(8, 1, groups=2), 8 * 6 * 2 * 8),
        (keras.layers.DepthwiseConv2D(5, padding="same"), 8 * 6 * 25 * 4),
        (keras.layers.Dense(7), 8 * 6 * 4 * 7),
        (keras.layers.ReLU(), 0),
    ]
    for layer, expected in layers:
        layer(images)
        assert cost.layer_multiply_adds(layer) == expected


def test_a_cost_that_is_not_known_is_an_error():
    layer = keras.layers.Conv2DTranspose(4, 3, name="up")
    layer(keras.Input((8, 8, 4)))
    with pytest.raises(ValueError, match="'up': the multiply-adds of Conv2DTranspose"):
        cost.layer_multiply_adds(layer)
    layer = keras.layers.Conv2D(4, 3, name="conv")
    layer(keras.Input((None, None, 4)))
    with pytest.raises(
        ValueError, match=r"'conv' has output size .* static input size"
    ):
        cost.layer_multiply_adds(layer)
