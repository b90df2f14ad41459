"""Panoptic-DeepLab: head, targets by hand, the way back from them, integer files."""

import dataclasses
import math
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from official import export_spec
from official.backbones import convolutions, mobilenet_v3
from official.heads import panoptic_deeplab
from official.ops import panoptic
from official.quantization import rewrite, scheme
from official.tasks import center_grouping, center_offsets
from tflite_export import conversion, flatbuffer, inference, op_parity

VOID = panoptic.VOID
NARROW = panoptic_deeplab.PanopticDeepLab(
    semantic=panoptic_deeplab.Decoder(pyramid=8, low_levels=(8, 4), fused=8),
    instance=panoptic_deeplab.Decoder(pyramid=8, low_levels=(4, 4), fused=8),
    semantic_width=8,
    instance_width=8,
    norm=convolutions.Norm(momentum=0.0, epsilon=0.1),
)


def _network(head, *, size=(64, 96), classes=5, **backbone):
    images = keras.Input((*size, 3), name="images")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    spec = mobilenet_v3.MobileNetV3(
        **({"variant": "small", "width_multiplier": 0.25} | backbone)
    )
    return keras.Model(images, head(spec(scaled), classes))


@pytest.mark.parametrize("output_stride", [16, 32])
def test_all_outputs_are_at_the_stride_of_the_last_low_level(output_stride):
    outputs = _network(NARROW, output_stride=output_stride).output
    shapes = {name: tuple(value.shape[1:]) for name, value in outputs.items()}
    assert shapes == {
        "logits": (16, 24, 5),
        "center_heatmap": (16, 24, 1),
        "offsets": (16, 24, 2),
    }
    assert (NARROW.stride, NARROW.needed) == (4, tuple(shapes))


def test_the_published_widths_are_those_of_deeplab2():
    """Worked out from its layers; 960, 120 and 72 are the features' channels."""

    def conv(inputs, outputs, kernel=1):
        return inputs * outputs * kernel**2 + 2 * outputs

    def separable(inputs, outputs):
        return 25 * inputs + 2 * inputs + conv(inputs, outputs)

    def decoder(lows, fused):
        pyramid = 2 * conv(960, 256) + 3 * conv(960, 256, 3) + conv(5 * 256, 256)
        first = conv(120, lows[0]) + separable(256 + lows[0], fused)
        return pyramid + first + conv(72, lows[1]) + separable(fused + lows[1], fused)

    expected = decoder((64, 32), 256) + separable(256, 256) + 256 * 19 + 19
    expected += decoder((32, 16), 128) + 2 * separable(128, 32)
    expected += 32 * 1 + 1 + 32 * 2 + 2 + 2  # the last are the offsets' factors
    network = _network(
        panoptic_deeplab.PUBLISHED,
        classes=19,
        variant="large",
        width_multiplier=1.0,
        output_stride=16,
    )
    parts = ("semantic", "instance", "center", "offset", "logits")
    found = sum(
        math.prod(weight.shape)
        for layer in network.layers
        if layer.name.startswith(parts)
        for weight in layer.trainable_weights
    )
    assert found == expected


def test_fields_change_the_network():
    changes = {
        "rates": (1,),
        "pyramid": "full",
        "pooling": False,
        "dropout": 0.0,
        "kernel": 3,
        "offset_scale": 1.0,
        "activation": "relu6",
        "high_level": "C4",
        "semantic": dataclasses.replace(NARROW.semantic, pyramid=4),
        "instance": dataclasses.replace(NARROW.instance, fused=4),
        "semantic_width": 4,
        "instance_width": 4,
    }
    features = {
        f"C{level}": keras.Input((64 // 2**level, 64 // 2**level, 4), name=f"C{level}")
        for level in range(1, 6)
    }

    def configuration(head):
        return keras.Model(features, head(features, 5)).get_config()

    plain = configuration(NARROW)
    for name, value in changes.items():
        changed = dataclasses.replace(NARROW, **{name: value})
        assert configuration(changed) != plain, name


def test_offsets_begin_in_units_of_many_pixels():
    network = _network(NARROW)
    images = np.random.default_rng(0).uniform(0, 255, (1, 64, 96, 3))
    convolution = network.get_layer("offset_conv").output
    plain, outputs = keras.Model(network.input, [convolution, network.output])(images)
    np.testing.assert_allclose(outputs["offsets"], 32 * plain, rtol=1e-6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pyramid": "x"}, "pyramid = 'x': must be one of 'separable', 'full'"),
        ({"rates": (0,)}, r"rates = \(0,\): must be dilations from 1"),
        ({"activation": "gelu"}, "activation = 'gelu': must be one of 'relu', 'relu6'"),
        ({"low_levels": ("C2",)}, "semantic.low_levels = .* each of the 1 low levels"),
        ({"offset_scale": 0}, "offset_scale = 0: must be above 0"),
    ],
)
def test_settings_that_make_no_head_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(NARROW, **fields)


METHOD = center_offsets.CenterOffsets(
    merging=center_grouping.CenterGrouping(nms_kernel=3, min_stuff_area=0, stride=2)
)


def _targets(semantic, instance, *, things=(1, 2), stride=2, method=METHOD):
    """In a graph, as in an input pipeline."""

    @tf.function
    def made(semantic, instance):
        return method.targets(
            semantic, instance, tf.constant(things, tf.int32), stride=stride
        )

    found = made(np.array(semantic, np.int32), np.array(instance, np.int32))
    return {name: value.numpy() for name, value in found.items()}


# Stuff is 0, things are 1; 255 is void.
SEMANTIC = [
    [0, 0, 1, 1, 1, 1, 255, 255],
    [0, 0, 1, 1, 1, 1, 255, 255],
    [0, 0, 1, 1, 1, 1, 1, 1],
    [0, 0, 1, 1, 1, 1, 1, 1],
]
# 5 and 3 are things; the rest of the class is a crowd; stuff may not have a number.
INSTANCE = [
    [7, 7, 5, 5, 5, 5, 0, 0],
    [7, 7, 5, 5, 5, 5, 0, 0],
    [0, 0, 3, 3, 0, 0, 3, 3],
    [0, 0, 3, 3, 0, 0, 3, 3],
]


def test_targets_by_hand():
    found = _targets(SEMANTIC, INSTANCE)
    assert found["semantic"].tolist() == [[0, 1, 1, 255], [0, 1, 1, 1]]
    assert found["offset_weights"].tolist() == [[0, 1, 1, 0], [0, 1, 0, 1]]
    assert found["center_weights"].tolist() == [[1, 1, 1, 0], [1, 1, 0, 1]]
    # 5 has its center at (1, 4), 3 at (3, 5); places at 1, 3 and 1, 3, 5, 7.
    expected = np.zeros((2, 4, 2))
    expected[0, 1], expected[0, 2] = [0, 1], [0, -1]
    expected[1, 1], expected[1, 3] = [0, 2], [0, -2]
    np.testing.assert_allclose(found["offsets"], expected)
    # The larger of two Gaussians, at squared distances.
    squared = [
        [min(9, 4 + 16), min(1, 4 + 4), min(1, 4), min(9, 4 + 4)],
        [min(4 + 9, 16), min(4 + 1, 4), min(4 + 1, 0), min(4 + 9, 4)],
    ]
    heights = np.exp(-np.array(squared) / (2 * 8**2))
    np.testing.assert_allclose(found["center_heatmap"][..., 0], heights, rtol=1e-6)
    assert found["offsets"].dtype == found["center_heatmap"].dtype == np.float32


def test_gaussians_end_after_three_deviations():
    semantic, instance = np.zeros((2, 2, 64), np.int32)
    semantic[:, 60:62] = instance[:, 60:62] = 1
    narrow = dataclasses.replace(METHOD, sigma=2.0)
    heatmap = _targets(semantic, instance, method=narrow)["center_heatmap"][0, :, 0]
    # From the center 61 at places 1, 3, ...: 3 places, which are 6 pixels, each way.
    places = 2 * np.arange(32) + 1
    near = np.abs(places - 61) <= 6
    expected = np.where(near, np.exp(-((places - 61) ** 2) / 8), 0)
    np.testing.assert_allclose(heatmap, expected, rtol=1e-6)


def test_an_image_without_things_has_no_center_and_no_weight_of_offsets():
    for things in ((1, 2), ()):
        found = _targets(np.zeros((4, 8)), np.zeros((4, 8)), things=things)
        assert not found["center_heatmap"].any()
        assert not found["offset_weights"].any()
        assert found["center_weights"].all()


def test_centers_of_large_things_are_exact():
    shape = (256, 1024)
    found = _targets(np.ones(shape), np.full(shape, 9), stride=4)
    assert found["offsets"][0, 0].tolist() == [126, 510]


def _scene():
    """Stuff 0 and 3, things of the classes 1 and 2, some touching; `[64, 96]`."""
    semantic = np.zeros((64, 96), np.int32)
    semantic[40:] = 3
    instance = np.zeros_like(semantic)
    boxes = [(4, 4, 28, 24), (4, 24, 28, 40), (20, 48, 60, 68), (36, 72, 56, 92)]
    for number, (top, left, bottom, right) in enumerate(boxes, 1):
        semantic[top:bottom, left:right] = 1 + number % 2
        instance[top:bottom, left:right] = number
    return semantic, instance


def test_targets_read_as_outputs_are_the_segments_again():
    semantic, instance = _scene()
    targets = _targets(semantic, instance, things=(1, 2), stride=2)
    outputs = {
        "logits": 20.0 * np.eye(4, dtype=np.float32)[targets["semantic"]],
        "center_heatmap": targets["center_heatmap"],
        "offsets": targets["offsets"],
    }
    found = METHOD.reader((1, 2))(outputs, semantic.shape)
    truth = panoptic.encode(semantic, instance, ignore_label=255)
    ours, theirs, areas = panoptic.shared_areas(truth, found.panoptic)
    assert len(ours) == len(theirs) == len(found.ids) == 6
    union = areas.sum(axis=1)[:, None] + areas.sum(axis=0) - areas
    overlaps = areas / union
    assert overlaps.max(axis=1).min() > 0.95
    matched = theirs[overlaps.argmax(axis=1)]
    assert (ours // panoptic.LABEL_DIVISOR).tolist() == (
        matched // panoptic.LABEL_DIVISOR
    ).tolist()
    assert found.scores.min() > 0.9


def test_a_head_that_the_method_cannot_read_is_refused():
    METHOD.require(dataclasses.replace(NARROW, low_levels=("C3", "C1")))
    with pytest.raises(ValueError, match=r"head is 4.*grouping 2: set .*stride = 4"):
        METHOD.require(NARROW)
    with pytest.raises(ValueError, match=r"hardest_fraction = 0: want \(0, 1\]"):
        center_offsets.CenterOffsets(hardest_fraction=0)
    with pytest.raises(ValueError, match="sigma = 0: want more than 0"):
        center_offsets.CenterOffsets(sigma=0)


SIZE = (96, 128)


def test_an_integer_file_of_it_is_within_one_step_in_every_op(tmp_path):
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 255, (2, *SIZE, 3)).astype("float32")
    network = _network(NARROW, size=SIZE, minimalistic=True, output_stride=16)
    for layer in network.layers:
        for weight in layer.weights:
            if weight.name in ("gamma", "beta") and weight.shape != (2,):
                noise = generator.normal(size=weight.shape) * 0.2
                weight.assign(weight + noise)
    network(images, training=True)  # norms see something
    network = scheme.QuantScheme().apply(network)
    rewrite.observe(network, [images])
    spec = export_spec.Export(output="masks", output_type="float32")
    built = inference.build(network, spec=spec, precision="int8")
    path = tmp_path / "pdl.tflite"
    path.write_bytes(conversion.convert(built, "int8", spec=spec))
    file = flatbuffer.read(path)
    inside = [op for op in file.ops if op.name != "DEQUANTIZE"]
    assert not [t for op in inside for t in op.outputs if t.dtype == "FLOAT32"]
    assert set(file.histogram) <= {
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "ADD",
        "MEAN",
        "RESIZE_BILINEAR",
        "CONCATENATION",
        "QUANTIZE",
        "DEQUANTIZE",
    }
    report = op_parity.compare(path, built, list(images[:2]))
    assert report.worst <= 1
    # Parts of a concatenation are compared with it.
    part = r".* of \w+_(point|pool|rate\d_project|fuse\d_\w+_depthwise)_conv"
    assert not [op for op in report.unmatched if not re.fullmatch(part, op)]
