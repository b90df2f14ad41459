"""What holds for every head found in `official/heads`."""

import dataclasses
import importlib
import inspect
import pkgutil
import re

import keras
import numpy as np
import pytest
from test_backbones import AUTOMATIC, BACKBONES, alternatives

from official import heads
from official.backbones import mobilenet_v3
from official.heads import base, classification, lraspp, maps, raspp


def _found() -> list[type[base.Head]]:
    kinds = []
    for info in pkgutil.iter_modules(heads.__path__):
        module = importlib.import_module(f"official.heads.{info.name}")
        kinds += [
            kind
            for _, kind in inspect.getmembers(module, inspect.isclass)
            if issubclass(kind, base.Head)
            and not inspect.isabstract(kind)
            and kind.__module__ == module.__name__
        ]
    return kinds


HEADS = _found()
every_head = pytest.mark.parametrize("kind", HEADS, ids=lambda kind: kind.__name__)

# These answer for every place of the image, all others for the image.
DENSE = [lraspp.LRASPP, raspp.RASPP]
DETECTORS = [kind for kind in HEADS if issubclass(kind, base.DetectionHead)]
PANOPTIC = [kind for kind in HEADS if issubclass(kind, base.PanopticHead)]
every_panoptic_head = pytest.mark.parametrize(
    "kind", PANOPTIC, ids=lambda kind: kind.__name__
)
# Their outputs are "logits".
every_head_of_logits = pytest.mark.parametrize(
    "kind",
    [kind for kind in HEADS if kind not in PANOPTIC],
    ids=lambda kind: kind.__name__,
)
every_detection_head = pytest.mark.parametrize(
    "kind", DETECTORS, ids=lambda kind: kind.__name__
)
every_dense_head = pytest.mark.parametrize(
    "kind", DENSE, ids=lambda kind: kind.__name__
)


def _model(head: base.Head, size=(64, 96), *, classes: int = 5, **backbone):
    images = keras.Input((*size, 3), name="images")
    features = mobilenet_v3.MobileNetV3(
        variant="small", width_multiplier=0.25, **backbone
    )(images)
    return keras.Model(images, head(features, classes))


def _on_inputs(head: base.Head, size) -> keras.Model:
    """The head by itself, on maps such as a backbone gives."""
    features = {}
    for level in range(1, 6):
        for name, stride in ((f"C{level}", level), (f"C{level}_expand", level - 1)):
            height, width = (side // 2**stride for side in size)
            features[name] = keras.Input((height, width, 8 * level), name=name)
    features["embedding"] = keras.Input((1, 1, 16), name="embedding")
    return keras.Model(list(features.values()), head(features, 5))


def _small(kind: type[base.Head]) -> base.Head:
    small = {"filters": 8, "extra": (16, 8, 8, 8), "depth": 1}
    fields = {f.name for f in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in small.items() if name in fields})


def _answer_alike(a: base.Head, b: base.Head, size) -> bool:
    if isinstance(a, base.DetectionHead) and isinstance(b, base.DetectionHead):
        boxes = [head.anchor_boxes(size).tolist() for head in (a, b)]
        if boxes[0] != boxes[1]:
            return False
    return _on_inputs(a, size).get_config() == _on_inputs(b, size).get_config()


def _levels(head: base.Head) -> list[str]:
    return [f.name for f in dataclasses.fields(head) if f.name.endswith("level")]


def test_there_are_heads():
    names = {kind.__name__ for kind in HEADS}
    assert {"LRASPP", "RASPP", "Classification", "SSDLite", "FPNLite"} <= names


@every_head_of_logits
def test_every_field_changes_the_model(kind):
    # Large enough for several windows of the pooling.
    spec, size = kind(), (1024, 2048)
    if kind in DETECTORS:
        spec, size = _small(kind), (64, 96)
    for field in dataclasses.fields(kind):
        is_level = field.name in _levels(spec)
        others = ["C4"] if is_level else alternatives(spec, field)
        assert others, field.name
        for value in others:
            changed = dataclasses.replace(spec, **{field.name: value})
            assert not _answer_alike(spec, changed, size), (field.name, value)


@every_head_of_logits
def test_the_number_of_classes_is_that_of_the_logits(kind):
    assert _model(kind(), classes=7).output["logits"].shape[-1] == 7


@every_head
@pytest.mark.parametrize("size", [(64, 96), (1024, 2048)])
def test_every_layer_is_named(kind, size):
    names = [layer.name for layer in _model(kind(), size).layers]
    assert names == [layer.name for layer in _model(kind(), size).layers]
    automatic = re.compile(AUTOMATIC.pattern + r"|(resizing|concatenate|.*pooling2d).*")
    assert not [name for name in names if automatic.fullmatch(name)]


@every_head
def test_an_unknown_level_is_refused_with_those_there_are(kind):
    for level in _levels(kind()):
        head = dataclasses.replace(kind(), **{level: "C9"})
        message = rf"{kind.__name__}.{level} = 'C9': the backbone has 'C1', .*'C5'"
        with pytest.raises(ValueError, match=message):
            _model(head)


@every_dense_head
def test_an_unknown_image_size_is_refused(kind):
    with pytest.raises(ValueError, match="static size"):
        _model(kind(), (None, None))


@every_head
def test_a_saved_model_gives_the_same_outputs(kind, tmp_path):
    model = _model(_small(kind))
    images = np.random.default_rng(0).uniform(-1, 1, (1, 64, 96, 3))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    expected = model(images)
    for name, values in loaded(images).items():
        np.testing.assert_allclose(values, expected[name], atol=1e-6)


@every_head
def test_a_call_that_says_nothing_of_training_is_inference(kind):
    model = _model(_small(kind))
    images = np.random.default_rng(0).uniform(-1, 1, (2, 64, 96, 3))
    plain, told = model(images), model(images, training=False)
    for name, values in told.items():
        np.testing.assert_allclose(plain[name], values, atol=1e-6)


@every_head
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_mixed_precision_runs_forward_and_backward(kind, dtype):
    import tensorflow as tf

    head, size = _small(kind), (64, 96)
    if hasattr(head, "extra"):
        # Of maps of one or two places some gradients of depthwise kernels are not
        # finite now and then in bfloat16, on CPUs: 16 of 100 times.
        head, size = dataclasses.replace(head, extra=(16,)), (128, 192)
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(f"mixed_{dtype}")
    try:
        model = _model(head, size)
    finally:
        keras.config.set_dtype_policy("float32")
    images = np.random.default_rng(0).uniform(-1, 1, (2, *size, 3))
    with tf.GradientTape() as tape:
        outputs = model(images, training=True)
        loss = sum(tf.reduce_sum(tf.cast(x, tf.float32) ** 2) for x in outputs.values())
    assert all(values.dtype == dtype for values in outputs.values())
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


@every_panoptic_head
def test_what_a_panoptic_file_needs_is_among_the_outputs_at_the_heads_stride(kind):
    head = kind()
    outputs = _model(head, (64, 96)).output
    assert set(head.needed) <= set(outputs)
    for name in head.needed:
        if len(outputs[name].shape) == 4:
            size = 64 // head.stride, 96 // head.stride
            assert outputs[name].shape[1:3] == size
    for prefix in head.semantic_prefixes:
        assert f"{prefix}semantic_logits" in outputs or "logits" in outputs


@every_panoptic_head
@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda backbone: backbone.__name__)
def test_a_panoptic_head_fits_every_backbone(kind, backbone):
    spec = backbone(width_multiplier=0.25)
    if not hasattr(spec, "output_stride"):
        pytest.skip("a network of one resolution has no levels")
    images = keras.Input((64, 96, 3), name="images")
    head = kind()
    outputs = head(spec(images), 3)
    assert set(head.needed) <= set(outputs)


@every_detection_head
@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda backbone: backbone.__name__)
def test_a_detector_answers_for_each_anchor_on_every_backbone(kind, backbone):
    head, size = _small(kind), (64, 160)
    spec = backbone(width_multiplier=0.25)
    if not hasattr(spec, "output_stride"):
        pytest.skip("a network of one resolution is tapped otherwise")
    images = keras.Input((*size, 3), name="images")
    outputs = head(spec(images), 3)
    count = len(head.anchor_boxes(size))
    assert outputs["logits"].shape == (None, count, 3)
    assert outputs["box_encodings"].shape == (None, count, 4)


@every_detection_head
@pytest.mark.parametrize("size", [(64, 96), (97, 161), (75, 32)])
def test_a_detector_answers_for_each_anchor_at_every_size(kind, size):
    head = _small(kind)
    outputs = _model(head, size).output
    assert outputs["logits"].shape[1] == len(head.anchor_boxes(size))


@every_detection_head
def test_specs_of_detectors_are_values(kind):
    assert hash(kind()) == hash(kind())


@every_head_of_logits
def test_logits_are_of_places_or_of_the_image(kind):
    rank = 4 if kind in DENSE else 3 if kind in DETECTORS else 2
    assert len(_model(kind()).output["logits"].shape) == rank


def test_the_classifier_is_one_dense_layer_on_the_embedding():
    embedding = keras.Input((1, 1, 3))
    model = keras.Model(
        embedding, classification.Classification()({"embedding": embedding}, 2)
    )
    generator = np.random.default_rng(0)
    kernel, bias = generator.normal(size=(3, 2)), generator.normal(size=2)
    model.get_layer("classes").set_weights([kernel, bias])
    vectors = generator.normal(size=(4, 3)).astype("float32")
    found = model(vectors[:, None, None])["logits"]
    np.testing.assert_allclose(found, vectors @ kernel + bias, rtol=1e-5, atol=1e-5)


def test_the_classifier_drops_parts_of_the_embedding_in_training_alone():
    embedding = keras.Input((1, 1, 400))
    head = classification.Classification(dropout=0.25)
    model = keras.Model(embedding, head({"embedding": embedding}, 1))
    model.get_layer("classes").set_weights([np.ones((400, 1)), np.zeros(1)])
    ones = np.ones((1, 1, 1, 400), np.float32)
    assert float(model(ones)["logits"][0, 0]) == 400
    # Those that are kept are scaled by 4 / 3.
    kept = float(model(ones, training=True)["logits"][0, 0]) * 3 / 4
    assert 250 < kept < 350


def test_a_backbone_without_an_embedding_is_refused_with_what_it_has():
    features = {"C5": keras.Input((4, 4, 3)), "C4": keras.Input((8, 8, 3))}
    message = "reads 'embedding', which the backbone does not give; it has 'C4', 'C5'"
    with pytest.raises(ValueError, match=message):
        classification.Classification()(features, 2)


@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_lraspp_answers_at_its_low_level(output_stride):
    model = _model(lraspp.LRASPP(), output_stride=output_stride)
    assert model.output["logits"].shape == (None, 8, 12, 5)


def test_raspp_answers_at_its_level():
    assert _model(raspp.RASPP(), output_stride=16).output["logits"].shape[1:3] == (4, 6)


@pytest.mark.parametrize(
    ("output_stride", "window", "strides", "pooled"),
    [
        # The paper's numbers. 64x128: (64 - 49) // 16 + 1 = 1, (128 - 49) // 20 + 1 = 4.
        (16, (49, 49), (16, 20), (1, 4)),
        (32, (25, 25), (8, 10), (1, 4)),
    ],
)
def test_the_pooling_of_the_paper_keeps_its_size_in_pixels(
    output_stride, window, strides, pooled
):
    model = _model(lraspp.LRASPP(), (1024, 2048), output_stride=output_stride)
    layer = model.get_layer("lraspp_pool")
    assert (layer.pool_size, layer.strides) == (window, strides)
    assert layer.output.shape[1:3] == pooled


def test_the_pooling_is_cut_to_the_features():
    tall = _model(lraspp.LRASPP(), (1024, 256), output_stride=16)
    assert tall.get_layer("lraspp_pool").pool_size == (49, 16)
    small = _model(lraspp.LRASPP(), (512, 512), output_stride=16)
    assert isinstance(
        small.get_layer("lraspp_pool"), keras.layers.GlobalAveragePooling2D
    )
    assert "lraspp_gate_resize" not in [layer.name for layer in small.layers]


def test_lraspp_is_the_sum_of_its_two_classifiers():
    """Against the head written out in numpy, with a global pool."""
    generator = np.random.default_rng(0)
    low, high = keras.Input((4, 4, 3)), keras.Input((2, 2, 6))
    features = {"C1": keras.Input((16, 16, 2)), "C3": low, "C5": high}
    model = keras.Model([low, high], lraspp.LRASPP(filters=4)(features, 2))
    model.set_weights([generator.normal(size=w.shape) ** 2 for w in model.weights])
    low_map, high_map = (
        generator.normal(size=(4, 4, 3)),
        generator.normal(size=(2, 2, 6)),
    )

    def weights(name):
        return [np.squeeze(w) for w in model.get_layer(name).get_weights()]

    (kernel,) = weights("lraspp_branch_conv")
    gamma, beta, mean, variance = weights("lraspp_branch_norm")
    branch = gamma * (high_map @ kernel - mean) / np.sqrt(variance + 1e-3) + beta
    (kernel,) = weights("lraspp_gate_conv")
    gate = np.clip(high_map.mean(axis=(0, 1)) @ kernel + 3, 0, 6) / 6
    branch = np.maximum(branch, 0) * gate
    # Bilinear from 2 to 4 with half-pixel centres: sources -0.25, 0.25, 0.75, 1.25.
    enlarge = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    branch = np.einsum("ip,jq,pqc->ijc", enlarge, enlarge, branch)
    expected = 0
    for name, values in [("low", low_map), ("high", branch)]:
        kernel, bias = weights(f"lraspp_{name}_logits_conv")
        expected = expected + values @ kernel + bias
    got = model([low_map[None], high_map[None]])["logits"][0]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "gate",
            "relu",
            "LRASPP.gate = 'relu': must be one of 'hard_sigmoid', 'sigmoid'",
        ),
        ("pooling", "max", "LRASPP.pooling = 'max': must be one of 'paper', 'global'"),
        ("filters", 0, "LRASPP.filters = 0: must be above 0"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(field, value, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        lraspp.LRASPP(**{field: value})


def test_a_map_that_fits_is_not_resized():
    features = keras.Input((4, 4, 2))
    assert maps.resize(features, (4, 4), name="resize") is features
