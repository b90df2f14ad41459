"""The isometric MobileNetV3."""

import keras
import numpy as np
import pytest

from official.backbones import mobilenet_v3_isometric
from official.heads import lraspp

Isometric = mobilenet_v3_isometric.IsometricMobileNetV3


@pytest.mark.parametrize(
    ("resolution", "internal", "level"), [(224, 14, 4), (224, 28, 3), (64, 16, 2)]
)
def test_every_feature_map_has_the_internal_resolution(resolution, internal, level):
    backbone = Isometric(
        variant="small",
        width_multiplier=0.25,
        input_resolution=resolution,
        internal_resolution=internal,
    )
    images = keras.Input((resolution, resolution, 3))
    features = backbone(images)
    assert features.keys() == {
        f"C{level}",
        f"C{level}_depthwise",
        f"C{level}_project",
        "embedding",
    }
    model = keras.Model(images, features)
    sides = {layer.output.shape[1] for layer in model.layers[1:]}
    assert sides == {internal, 1}


def test_widths_begin_at_those_of_mobilenet_v3_at_the_internal_stride():
    filters = [block.filters for block in Isometric().inverted_residuals()]
    assert filters == [80] * 10 + [112] * 2 + [160] * 3
    fine = Isometric(internal_resolution=112).inverted_residuals()
    assert [block.filters for block in fine] == [
        *(16, 24, 24, 40, 40, 40),
        *(80, 80, 80, 80, 112, 112, 160, 160, 160),
    ]


def test_the_stem_is_space_to_depth_and_a_1x1_convolution():
    images = keras.Input((32, 32, 3))
    backbone = Isometric(
        width_multiplier=0.25, input_resolution=32, internal_resolution=8
    )
    model = keras.Model(images, backbone(images))
    stem = keras.Model(images, model.get_layer("stem_conv").output)
    pixels = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("float32")
    squares = pixels.reshape(1, 8, 4, 8, 4, 3).transpose(0, 1, 3, 2, 4, 5)
    kernel = model.get_layer("stem_conv").kernel.numpy().reshape(48, -1)
    np.testing.assert_allclose(
        stem(pixels), squares.reshape(1, 8, 8, 48) @ kernel, atol=1e-5
    )


def test_lraspp_pools_the_window_of_its_stride_on_one_level_alone():
    backbone = Isometric(
        variant="small",
        width_multiplier=0.25,
        input_resolution=1024,
        internal_resolution=64,
    )
    images = keras.Input((1024, 1024, 3))
    head = lraspp.LRASPP(low_level="C4", high_level="C4")
    outputs = head(backbone(images), 3)
    assert outputs["logits"].shape == (None, 64, 64, 3)
    pool = keras.Model(images, outputs).get_layer("lraspp_pool")
    assert (pool.pool_size, pool.strides) == ((49, 49), (16, 20))  # at stride 16


def test_resolutions_that_do_not_go_together_are_refused():
    with pytest.raises(
        ValueError,
        match=r"internal_resolution = 15: must be one of 112, 56, 28, 14, 7",
    ):
        Isometric(internal_resolution=15)
    with pytest.raises(ValueError, match=r"images of 96 x 90 pixels: .* squares of 16"):
        Isometric()(keras.Input((96, 90, 3)))
