import keras
import numpy as np
import pytest

from official import failures
from official.backbones import base, mobilenet_v2, mobilenet_v3
from official.weights import keras_applications

V2 = mobilenet_v2.MobileNetV2
V3 = mobilenet_v3.MobileNetV3


def _theirs(backbone, size: int = 64) -> keras.Model:
    settings = {
        "weights": None,
        "include_top": False,
        "input_shape": (size, size, 3),
        "alpha": backbone.width_multiplier,
    }
    if isinstance(backbone, V2):
        return keras.applications.MobileNetV2(**settings)
    return getattr(keras.applications, f"MobileNetV3{backbone.variant.capitalize()}")(
        **settings, minimalistic=backbone.minimalistic, include_preprocessing=False
    )


def _ours(backbone, size: int = 64) -> keras.Model:
    images = keras.Input((size, size, 3), name="images")
    return keras.Model(images, backbone(images)["C5"])


def _randomize(model: keras.Model) -> None:
    """Weights that keep activations lively, and norms that are no identities."""
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            size = layer.gamma.shape
            gamma, variance = generator.uniform(0.5, 1.5, (2, *size))
            beta, mean = generator.normal(0, 0.3, (2, *size))
            layer.set_weights([gamma, beta, mean, variance])
        elif isinstance(layer, keras.layers.DepthwiseConv2D):
            shape = layer.kernel.shape
            layer.set_weights([generator.normal(0, (2 / shape[0] ** 2) ** 0.5, shape)])
        elif layer.weights:
            shape = layer.kernel.shape
            scale = (2 / np.prod(shape[:3])) ** 0.5
            layer.set_weights(
                [generator.normal(0, scale, w.shape) for w in layer.weights]
            )


@pytest.mark.parametrize(
    "backbone",
    [
        V2(width_multiplier=0.35),
        V2(),
        V2(width_multiplier=1.4),
        V3(variant="small"),
        V3(variant="small", width_multiplier=0.75),
        V3(variant="small", minimalistic=True),
        V3(),
        V3(minimalistic=True),
    ],
    ids=str,
)
def test_the_same_weights_give_the_same_last_features(backbone):
    theirs, ours = _theirs(backbone), _ours(backbone)
    _randomize(theirs)
    moved = keras_applications.transplant(theirs, ours, backbone)
    assert not moved.skipped
    assert not moved.random
    assert len(moved.taken) == len(keras_applications.layer_names(backbone))
    images = np.random.default_rng(1).uniform(-1, 1, (2, 64, 64, 3)).astype("float32")
    wanted = np.asarray(theirs(images))
    assert wanted.std() > 0.1
    np.testing.assert_allclose(
        np.asarray(ours(images)), wanted, atol=1e-4 * np.abs(wanted).max()
    )


@pytest.mark.parametrize("size", [63, 65])
def test_odd_image_sizes_are_padded_alike(size):
    backbone = V2(width_multiplier=0.35)
    theirs, ours = _theirs(backbone, size), _ours(backbone, size)
    _randomize(theirs)
    keras_applications.transplant(theirs, ours, backbone)
    images = np.random.default_rng(1).uniform(-1, 1, (1, size, size, 3))
    np.testing.assert_allclose(ours(images), theirs(images), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    "backbone",
    [V2(), V3(), V3(variant="small"), V3(minimalistic=True)],
    ids=str,
)
def test_the_names_are_those_of_all_layers_with_weights(backbone):
    names = keras_applications.layer_names(backbone)
    assert set(names) == {
        layer.name for layer in _ours(backbone).layers if layer.weights
    }
    assert set(names.values()) == {
        layer.name for layer in _theirs(backbone).layers if layer.weights
    }


def test_dilation_does_not_change_what_weights_mean():
    backbone = V2(width_multiplier=0.35, output_stride=8)
    moved = keras_applications.transplant(_theirs(backbone), _ours(backbone), backbone)
    assert not moved.skipped
    assert not moved.random


def test_a_reduced_tail_takes_the_other_levels():
    backbone = V3(variant="small", reduced_tail=True)
    moved = keras_applications.transplant(_theirs(backbone), _ours(backbone), backbone)
    assert not moved.random
    assert {item.layer.split("_")[0] for item in moved.skipped} == {"C5", "last"}
    # 48 channels in, 6 * 48 and half of that
    assert moved.skipped[0].layer == "C5_block1_expand_conv"
    assert moved.skipped[0].reason == (
        "kernel is (1, 1, 48, 288), wanted (1, 1, 48, 144)"
    )


def test_a_backbone_that_keras_does_not_have_is_refused():
    class Other(base.Backbone):
        def __call__(self, images):
            return {"C5": images}

    with pytest.raises(failures.RequestError, match="MobileNetV3, not for Other"):
        keras_applications.layer_names(Other())
