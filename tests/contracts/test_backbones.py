"""What holds for every backbone found in `official/backbones`."""

import dataclasses
import importlib
import inspect
import pkgutil
import re

import keras
import numpy as np
import pytest

from official import backbones
from official.backbones import base

KEY = re.compile(r"C[1-5](_expand|_depthwise|_project)?|embedding")
# What Keras calls a layer that was given no name: class name in snake case, number.
AUTOMATIC = re.compile(
    r"(add|multiply|conv2d|depthwise_conv2d|batch_normalization|re_lu|hard_swish"
    r"|hard_sigmoid|activation|global_average_pooling2d|dropout|dense|reshape)(_\d+)?"
)


def _found() -> list[type[base.Backbone]]:
    kinds = []
    for info in pkgutil.iter_modules(backbones.__path__):
        module = importlib.import_module(f"official.backbones.{info.name}")
        kinds += [
            kind
            for _, kind in inspect.getmembers(module, inspect.isclass)
            if issubclass(kind, base.Backbone)
            and not inspect.isabstract(kind)
            and kind.__module__ == module.__name__
        ]
    return kinds


BACKBONES = _found()
LEVELS = range(1, 6)


def _every(kinds):
    return pytest.mark.parametrize("kind", kinds, ids=lambda kind: kind.__name__)


every_backbone = _every(BACKBONES)
# An isometric network has one stride for all.
every_strided_backbone = _every(
    [kind for kind in BACKBONES if hasattr(kind, "output_stride")]
)


def _model(backbone: base.Backbone, size: int = 64) -> keras.Model:
    """All features of a backbone as outputs."""
    images = keras.Input((size, size, 3), name="images")
    return keras.Model(images, backbone(images), name="backbone")


def _narrow(kind: type[base.Backbone], **fields: object) -> base.Backbone:
    return kind(width_multiplier=0.25, **fields)


def allowed_values(error: ValueError) -> list[object]:
    """The values that a message names after "must be one of"."""
    named = str(error).partition("must be one of ")[2]
    return [
        word.strip("'") if word.startswith("'") else int(word)
        for word in re.findall(r"'\w+'|\d+", named)
    ]


def alternatives(spec: object, field: dataclasses.Field) -> list[object]:
    """Other values that a field of a component can hold."""
    value = getattr(spec, field.name)
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, tuple):
        return [value[:-1]]
    if dataclasses.is_dataclass(value):
        return [
            dataclasses.replace(value, **{inner.name: other})
            for inner in dataclasses.fields(value)
            for other in alternatives(value, inner)
        ]
    with pytest.raises(ValueError, match=field.name) as caught:
        dataclasses.replace(spec, **{field.name: "?" if value == str(value) else -1})
    allowed = allowed_values(caught.value)
    if allowed:
        return [other for other in allowed if other != value]
    return [(value or 0.5) / 2 if isinstance(value, float) else value * 2]


def test_there_are_backbones():
    wanted = {"MobileNetV1", "MobileNetV2", "MobileNetV3", "MnasNet", "MultiHardware"}
    assert wanted <= {kind.__name__ for kind in BACKBONES}


@every_strided_backbone
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_level_k_has_stride_two_to_the_k_up_to_the_output_stride(kind, output_stride):
    images = keras.Input((64, 96, 3))
    features = _narrow(kind, output_stride=output_stride)(images)
    for level in LEVELS:
        stride = min(2**level, output_stride)
        assert features[f"C{level}"].shape[1:3] == (64 // stride, 96 // stride)


@every_backbone
def test_features_have_names_and_sizes_that_all_know(kind):
    features = _narrow(kind)(keras.Input((64, 96, 3)))
    assert all(KEY.fullmatch(key) for key in features)
    levels = [level for level in LEVELS if f"C{level}" in features]
    assert levels
    for level in levels:
        stride = 2**level
        assert features[f"C{level}"].shape[1:3] == (64 // stride, 96 // stride)
    last = f"C{max(levels)}"
    assert features["embedding"].shape[1:3] == (1, 1)
    project = features.get(f"{last}_project", features[last])
    assert project.shape[1:3] == features[last].shape[1:3]


@every_backbone
def test_a_tap_is_there_where_its_layers_are(kind):
    images = keras.Input((64, 64, 3))
    features = _narrow(kind)(images)
    names = " ".join(layer.name for layer in keras.Model(images, features).layers)
    for level in LEVELS:
        # An expansion before a depthwise convolution; a fused block has the first alone.
        expand = rf"C{level}_block1_expand_conv.* C{level}_block1_\w*depthwise_conv"
        depthwise = rf"\bC{level}_block\d+_depthwise_conv"
        assert (f"C{level}_expand" in features) == bool(re.search(expand, names))
        assert (f"C{level}_depthwise" in features) == bool(re.search(depthwise, names))


@every_strided_backbone
@pytest.mark.parametrize("output_stride", [8, 32])
def test_taps_have_the_strides_around_their_block(kind, output_stride):
    images = keras.Input((64, 64, 3))
    features = _narrow(kind, output_stride=output_stride)(images)
    for level in LEVELS:
        before = 64 // min(2 ** (level - 1), output_stride)
        after = 64 // min(2**level, output_stride)
        sides = {"expand": before, "depthwise": after, "project": after}
        for tap, side in sides.items():
            if f"C{level}_{tap}" in features:
                assert features[f"C{level}_{tap}"].shape[1] == side


@every_strided_backbone
def test_weights_do_not_depend_on_the_output_stride(kind):
    shapes = [
        [(w.path, w.shape) for w in _model(_narrow(kind, output_stride=stride)).weights]
        for stride in (32, 8)
    ]
    assert shapes[0] == shapes[1]


@every_backbone
def test_every_field_changes_the_model(kind):
    spec = _narrow(kind)
    config = _model(spec).get_config()
    for field in dataclasses.fields(kind):
        others = alternatives(spec, field)
        assert others, field.name
        for value in others:
            changed = dataclasses.replace(spec, **{field.name: value})
            differs = _model(changed).get_config() != config
            # One of the values may be what None stands for.
            assert differs or getattr(spec, field.name) is None, (field.name, value)


@every_backbone
def test_every_layer_has_a_name_of_ours_that_stays_the_same(kind):
    names = [layer.name for layer in _model(_narrow(kind)).layers]
    assert names == [layer.name for layer in _model(_narrow(kind)).layers]
    assert not [name for name in names if AUTOMATIC.fullmatch(name)]
    pattern = re.compile(r"images|(stem|last|embedding|C[1-5]_block\d+)_[a-z_]+")
    assert not [name for name in names if not pattern.fullmatch(name)]


@every_backbone
def test_a_saved_model_gives_the_same_features(kind, tmp_path):
    model = _model(_narrow(kind), 32)
    images = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    wanted, got = model(images), loaded(images)
    assert wanted.keys() == got.keys()
    for key, features in wanted.items():
        np.testing.assert_allclose(got[key], features, atol=1e-6)


@every_backbone
def test_specs_are_values(kind):
    assert kind() == kind()
    assert hash(kind()) == hash(kind())
    assert eval(repr(kind()), _names(kind)) == kind()


def _names(kind) -> dict[str, object]:
    from official.backbones import convolutions

    return {kind.__name__: kind, "Norm": convolutions.Norm}


@every_backbone
def test_a_width_of_zero_is_refused(kind):
    message = rf"{kind.__name__}\.width_multiplier = 0.0: must be above 0"
    with pytest.raises(ValueError, match=message):
        kind(width_multiplier=0.0)


@every_strided_backbone
def test_an_unknown_output_stride_is_refused_with_what_is_allowed(kind):
    message = rf"{kind.__name__}\.output_stride = 4: must be one of 8, 16, 32"
    with pytest.raises(ValueError, match=message):
        kind(output_stride=4)
