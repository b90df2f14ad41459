import math
import re

import keras
import numpy as np
import pytest

from official.backbones import (
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    mobilenet_v3_isometric,
)
from official.heads import ssdlite
from official.layers import cost

V1 = mobilenet_v1.MobileNetV1
V2 = mobilenet_v2.MobileNetV2
V3 = mobilenet_v3.MobileNetV3


def _model(backbone, head, classes, size=(320, 320)):
    images = keras.Input((*size, 3))
    return keras.Model(images, head(backbone(images), classes))


def _small(**fields):
    return ssdlite.SSDLite(extra=(16, 8, 8, 8), **fields)


def _parameters(model, *, norms=True):
    return sum(
        math.prod(weight.shape)
        for weight in model.trainable_weights
        if norms or "_norm/" not in weight.path
    )


def test_torchvision_s_preset_has_its_parameters_and_multiply_adds():
    backbone = V3(reduced_tail="outputs", padding="symmetric")
    model = _model(backbone, ssdlite.TORCHVISION, 91)
    # num_params and _ops of SSDLite320_MobileNet_V3_Large_Weights.COCO_V1.
    assert _parameters(model) == 3_440_060
    assert round(cost.multiply_adds(model) / 1e9, 3) == 0.583
    assert model.output["logits"].shape == (None, 3234, 91)


@pytest.mark.parametrize(
    ("backbone", "parameters", "published", "multiply_adds"),
    [
        # Table 6 of https://arxiv.org/abs/1905.02244 counts no norms, and 91 classes.
        # Its multiply-adds of Large are 0.62: ours are 1% less.
        (V3(), 5_006_735, 4.97, 0.61),
        (V3(reduced_tail="outputs"), 3_248_255, 3.22, 0.51),
        (V3(variant="small"), 2_518_271, 2.49, 0.21),
        (V3(variant="small", reduced_tail="outputs"), 1_785_743, 1.77, 0.16),
    ],
    ids=["large", "large_reduced", "small", "small_reduced"],
)
def test_the_v3_paper_s_detectors(backbone, parameters, published, multiply_adds):
    model = _model(backbone, ssdlite.MOBILENET_V3, 91)
    assert _parameters(model) == parameters
    assert round(_parameters(model, norms=False) / 1e6, 2) == published
    assert round(cost.multiply_adds(model) / 1e9, 2) == multiply_adds


def test_the_v2_paper_s_detector():
    # Table 6 of https://arxiv.org/abs/1801.04381: 4.3 M and 0.8 B at 320 pixels; the
    # parameters are those of COCO's 80 classes, with 91 there are 4.5 M.
    model = _model(V2(), ssdlite.SSDLite(), 80)
    assert _parameters(model) == 4_320_660
    assert round(cost.multiply_adds(model) / 1e9, 1) == 0.8
    assert _parameters(_model(V2(), ssdlite.SSDLite(), 91)) == 4_500_543


@pytest.mark.parametrize("size", [(320, 320), (300, 300), (97, 161), (64, 64)])
@pytest.mark.parametrize("padding", ["same", "symmetric"])
def test_there_is_an_output_for_each_anchor(size, padding):
    head = _small(padding=padding)
    backbone = V2(width_multiplier=0.25, padding=padding)
    model = _model(backbone, head, 3, size)
    count = len(head.anchor_boxes(size))
    assert model.output["logits"].shape == (None, count, 3)
    assert model.output["box_encodings"].shape == (None, count, 4)


def test_outputs_run_over_rows_columns_and_shapes_as_anchors_do():
    """Each bias and kernel set by hand: what comes out tells where it is from."""
    head = ssdlite.SSDLite(extra=())
    c1, c4 = keras.Input((24, 40, 1)), keras.Input((3, 5, 1))
    c5 = keras.Input((2, 3, 1))
    features = {"C1": c1, "C5_expand": c4, "C5": c5}
    model = keras.Model([c1, c4, c5], head(features, 2))
    for layer in model.layers:
        if layer.name.endswith("_depthwise_conv"):
            kernel = np.zeros((3, 3, 1, 1))
            kernel[1, 1] = 1
            layer.set_weights([kernel])
    # 3 shapes with 2 values each: a channel is 100 times its number plus the feature.
    model.get_layer("ssdlite_level1_logits_conv").set_weights(
        [np.ones((1, 1, 1, 6)), 100 * np.arange(6)]
    )
    values = np.arange(15.0).reshape((1, 3, 5, 1)) / 5  # Below 6, where ReLU6 ends.
    fed = [np.zeros((1, 24, 40, 1)), values, np.zeros((1, 2, 3, 1))]
    logits = np.asarray(model(fed)["logits"])[0]
    assert logits.shape == (3 * 5 * 3 + 2 * 3 * 6, 2)
    wanted = values.reshape(15, 1, 1) / np.sqrt(1.001) + 100 * np.arange(6).reshape(
        1, 3, 2
    )
    np.testing.assert_allclose(logits[:45], wanted.reshape(45, 2), rtol=1e-5)
    boxes = head.anchor_boxes((48, 80))
    assert len(boxes) == len(logits)
    # Anchor 3 * 7 + 1 is the second shape of row 1, column 2.
    centre = (boxes[22, :2] + boxes[22, 2:]) / 2
    np.testing.assert_allclose(centre, [1.5 / 3, 2.5 / 5], atol=1e-6)


def test_the_bias_of_the_classes_is_where_the_focal_loss_wants_it():
    model = _model(
        V2(width_multiplier=0.25), _small(class_prior=0.01), 3, size=(64, 64)
    )
    for number in range(1, 7):
        bias = model.get_layer(f"ssdlite_level{number}_logits_conv").bias
        np.testing.assert_allclose(bias, -np.log(99), rtol=1e-6)
        bias = model.get_layer(f"ssdlite_level{number}_boxes_conv").bias
        np.testing.assert_allclose(bias, 0)
    scores = keras.ops.sigmoid(model(np.zeros((1, 64, 64, 3)))["logits"])
    assert float(keras.ops.mean(scores)) == pytest.approx(0.01, rel=0.2)


def test_a_backbone_without_expansions_is_tapped_at_the_level_before():
    model = _model(V1(width_multiplier=0.25), _small(), 3)
    tapped = model.get_layer("ssdlite_level1_logits_depthwise_conv").input
    assert tapped.shape == (None, 20, 20, 128)


def test_a_network_of_one_resolution_is_tapped_once():
    isometric = mobilenet_v3_isometric.IsometricMobileNetV3(width_multiplier=0.25)
    head = ssdlite.SSDLite(taps=("C4",), extra=(16, 16, 8, 8, 8))
    model = _model(isometric, head, 3, size=(96, 64))
    assert model.output["logits"].shape[1] == len(head.anchor_boxes((96, 64)))
    message = "SSDLite.taps = 'C5': the backbone has 'C4'"
    with pytest.raises(ValueError, match=message):
        _model(isometric, _small(), 3, size=(96, 64))


def test_another_output_stride_is_refused_with_what_to_set():
    message = re.escape(
        "SSDLite.taps: 'C5' is 20 x 20, but a stride of 32 makes it 10 x 10: set the "
        "backbone's output_stride to 32"
    )
    with pytest.raises(ValueError, match=message):
        _model(V2(width_multiplier=0.25, output_stride=16), _small(), 3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"taps": ("C5", "C4")}, "each of twice the stride of the one before; their"),
        ({"taps": ()}, "SSDLite.taps = ()"),
        ({"taps": ("embedding",)}, "SSDLite.taps = 'embedding': must be a feature"),
        ({"extra": (512, 1)}, "SSDLite.extra = (512, 1): must be above 1 each"),
        ({"activation": "tanh"}, "SSDLite.activation = 'tanh': must be one of"),
        ({"class_prior": 1.0}, "SSDLite.class_prior = 1.0: must be in (0, 1)"),
        ({"padding": "valid"}, "SSDLite.padding = 'valid': must be one of"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(fields, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        ssdlite.SSDLite(**fields)


def test_a_tail_reduced_in_its_outputs_keeps_the_first_expansion():
    blocks = V3(reduced_tail="outputs").inverted_residuals()[-3:]
    assert [(b.expanded, b.filters) for b in blocks] == [
        (672, 80),
        (480, 80),
        (480, 80),
    ]
    blocks = V3(reduced_tail=True).inverted_residuals()[-3:]
    assert [(b.expanded, b.filters) for b in blocks] == [
        (336, 80),
        (480, 80),
        (480, 80),
    ]
    with pytest.raises(
        ValueError, match=r"MobileNetV3\.reduced_tail = 'half': must be"
    ):
        V3(reduced_tail="half")
