import dataclasses
import re

import h5py
import keras
import numpy as np
import pytest

from official import failures
from official.backbones import base, mobilenet_v1, mobilenet_v2, mobilenet_v3
from official.heads import classification
from official.weights import keras_applications, published

V1 = mobilenet_v1.MobileNetV1
V2 = mobilenet_v2.MobileNetV2
V3 = mobilenet_v3.MobileNetV3

# Every architecture that keras.applications has weights for.
PUBLISHED = list(
    dict.fromkeys(
        item.backbone
        for item in published._all()
        if item.name.startswith("keras-applications:")
    )
)


def _theirs(backbone, size: int = 64, classes: int = 10) -> keras.Model:
    settings = {
        "weights": None,
        "input_shape": (size, size, 3),
        "alpha": backbone.width_multiplier,
        "include_top": bool(classes),
    }
    if classes:
        settings |= {"classes": classes, "classifier_activation": None}
    if isinstance(backbone, V1):
        return keras.applications.MobileNet(**settings)
    if isinstance(backbone, V2):
        return keras.applications.MobileNetV2(**settings)
    return getattr(keras.applications, f"MobileNetV3{backbone.variant.capitalize()}")(
        **settings, minimalistic=backbone.minimalistic, include_preprocessing=False
    )


def _ours(backbone, size: int = 64, classes: int = 10) -> keras.Model:
    images = keras.Input((size, size, 3), name="images")
    features = backbone(images)
    if not classes:
        return keras.Model(images, features["C5"])
    head = classification.Classification(dropout=0.0)
    return keras.Model(images, head(features, classes)["logits"])


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
            scale = (2 / np.prod(layer.kernel.shape[:-1])) ** 0.5
            layer.set_weights(
                [generator.normal(0, scale, w.shape) for w in layer.weights]
            )


@pytest.mark.parametrize("backbone", PUBLISHED, ids=str)
def test_the_same_weights_give_the_same_logits(backbone):
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


def test_all_published_architectures_are_compared():
    assert len(PUBLISHED) == 4 + 6 + 6


@pytest.mark.parametrize("size", [63, 65])
def test_odd_image_sizes_are_padded_alike(size):
    backbone = V2(width_multiplier=0.35)
    theirs, ours = _theirs(backbone, size, 0), _ours(backbone, size, 0)
    _randomize(theirs)
    keras_applications.transplant(theirs, ours, backbone)
    images = np.random.default_rng(1).uniform(-1, 1, (1, size, size, 3))
    np.testing.assert_allclose(ours(images), theirs(images), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    "backbone",
    [V1(), V2(), V3(), V3(variant="small"), V3(minimalistic=True)],
    ids=str,
)
def test_the_names_are_those_of_all_layers_with_weights_in_their_order(backbone):
    names = keras_applications.layer_names(backbone)
    assert list(names) == [
        layer.name for layer in _ours(backbone).layers if layer.weights
    ]
    assert list(names.values()) == [
        layer.name for layer in _theirs(backbone).layers if layer.weights
    ]


def test_dilation_does_not_change_what_weights_mean():
    backbone = V2(width_multiplier=0.35, output_stride=8)
    moved = keras_applications.transplant(_theirs(backbone), _ours(backbone), backbone)
    assert not moved.skipped
    assert not moved.random


def test_a_reduced_tail_takes_the_other_levels():
    backbone = V3(variant="small", reduced_tail=True)
    moved = keras_applications.transplant(
        _theirs(backbone, classes=0), _ours(backbone, classes=0), backbone
    )
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


def _old_file(file, model, *, names=lambda name: name, whole=False, biased=False):
    """A file as Keras 1 and 2 wrote them; with biases in front of norms if asked for."""
    layers = [layer for layer in model.layers if layer.weights]
    with h5py.File(file, "w") as archive:
        root = archive.create_group("model_weights") if whole else archive
        root.attrs["layer_names"] = [
            names(layer.name).encode() for layer in model.layers
        ]
        for layer in model.layers:
            root.create_group(names(layer.name)).attrs["weight_names"] = []
        for layer in layers:
            group = root[names(layer.name)]
            arrays = {w.name: np.asarray(w) for w in layer.weights}
            if biased and len(arrays) == 1:
                arrays["bias"] = np.full(
                    arrays[layer.weights[0].name].shape[
                        -1 if "dw" not in layer.name else -2
                    ],
                    0.25,
                )
            if biased and len(arrays) == 4:
                arrays["moving_mean"] = arrays["moving_mean"] + 0.25
            keys = [f"{names(layer.name)}/{name}:0" for name in arrays]
            group.attrs["weight_names"] = [key.encode() for key in keys]
            for key, array in zip(keys, arrays.values(), strict=True):
                group[key] = array
    return file


@pytest.mark.parametrize(
    ("backbone", "form"),
    [
        (V2(width_multiplier=0.35), {}),
        (V1(width_multiplier=0.25), {"whole": True}),
        # As the published files of V3 have them.
        (
            V3(variant="small"),
            {
                "names": lambda n: re.sub("(?i)_bn$", "/BatchNorm", n).replace(
                    "conv_2", "Conv_2"
                )
            },
        ),
        # As TinyML's person detector.
        (
            V1(width_multiplier=0.25),
            {"names": lambda n: f"layer_{n}", "whole": True, "biased": True},
        ),
    ],
    ids=["weights", "whole", "former names", "biases"],
)
def test_files_of_old_kerases_are_read(tmp_path, backbone, form):
    theirs, ours = _theirs(backbone), _ours(backbone)
    _randomize(theirs)
    file = _old_file(tmp_path / "old.h5", theirs, **form)
    moved = keras_applications.load(file, ours, backbone)
    assert not moved.skipped
    assert not moved.random
    images = np.random.default_rng(1).uniform(-1, 1, (1, 64, 64, 3)).astype("float32")
    wanted = np.asarray(theirs(images))
    np.testing.assert_allclose(
        np.asarray(ours(images)), wanted, atol=1e-4 * np.abs(wanted).max()
    )


def test_layers_under_other_names_must_be_as_many(tmp_path):
    theirs = _theirs(V1(width_multiplier=0.25), classes=0)
    file = _old_file(tmp_path / "old.h5", theirs, names="a_{}".format)
    message = (
        "old.h5 is of another model than this MobileNetV2: it has 54 layers with "
        "weights, not 105, or 104 without the classifier; 'Conv1' is not among them"
    )
    with pytest.raises(failures.RequestError, match=re.escape(message)):
        keras_applications.load(file, _ours(V2()), V2())


def test_a_classifier_of_other_classes_starts_afresh():
    backbone = V3(variant="small")
    moved = keras_applications.transplant(
        _theirs(backbone, classes=7), _ours(backbone), backbone
    )
    assert [item.layer for item in moved.skipped] == ["classes"]
    assert moved.skipped[0].reason == "kernel is (1024, 7), wanted (1024, 10)"
    assert "embedding_conv" in moved.taken


def test_the_tinyml_person_detector_is_read(shared):
    file = shared / "peers" / "vww_96.h5"
    if not file.exists():
        pytest.skip(f"{file} is not there")
    backbone = dataclasses.replace(V1(width_multiplier=0.25), activation="relu")
    ours = _ours(backbone, 96, classes=2)
    moved = keras_applications.load(file, ours, backbone)
    assert len(moved.taken) == 55
    assert not moved.skipped
    assert not moved.random
