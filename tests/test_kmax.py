"""The k-means mask transformer: its parts by hand, its size, what files hold of it."""

import collections
import dataclasses
import math

import keras
import numpy as np
import pytest

from official import graph
from official.backbones import mobilenet_v3
from official.heads import kmax, pixel_decoder, query_decoder
from official.layers import (
    axial_attention,
    l2_normalize,
    masks,
    queries,
    query_attention,
)

SMALL = dataclasses.replace(
    kmax.EDGE,
    slots=6,
    decoder=query_decoder.QueryDecoder(
        width=16,
        key_width=8,
        heads=2,
        attention="multi_query",
        hidden=16,
        embedding=8,
        mask_norm=False,
        activation="relu",
    ),
    pixels=pixel_decoder.ConvPixelDecoder(widths=(8, 8, 16, 16)),
    semantic_width=8,
)
AXIAL = dataclasses.replace(
    SMALL,
    pixels=pixel_decoder.AxialPixelDecoder(widths=(4, 4, 8, 8), heads=2),
    decoder=query_decoder.QueryDecoder(
        width=16, key_width=8, heads=2, hidden=16, embedding=8
    ),
)
both_forms = pytest.mark.parametrize("head", [SMALL, AXIAL], ids=["edge", "axial"])


def _network(head, *, size=(64, 96), classes=5, needed=False, **backbone):
    images = keras.Input((*size, 3), name="images")
    spec = mobilenet_v3.MobileNetV3(**({"width_multiplier": 0.25} | backbone))
    outputs = head(spec(images), classes)
    if needed:
        outputs = {name: outputs[name] for name in head.needed}
    return keras.Model(images, outputs)


def _parameters(network, *, leave_out: str = "!") -> collections.Counter:
    """By the first part of the layers' names, what trains."""
    counts: collections.Counter = collections.Counter()
    for layer in network.layers:
        if leave_out not in layer.name:
            part = layer.name.split("_")[0].rstrip("0123456789")
            counts[part] += sum(math.prod(w.shape) for w in layer.trainable_weights)
    return counts


@pytest.mark.parametrize(
    ("variant", "millions", "backbone"),
    # The paper's, recalled; the layout is what they have been matched with.
    [("small", 18.6, 0.93), ("large", 22.0, 2.97)],
)
def test_the_published_models_have_their_parameters(variant, millions, backbone):
    network = _network(
        kmax.EFFICIENT,
        size=(640, 640),
        classes=133,
        variant=variant,
        width_multiplier=1.0,
    )
    counts = _parameters(network, leave_out="semantic")
    assert round(sum(counts.values()) / 1e6, 1) == millions
    of_head = {k: counts.pop(k) for k in ("pixel", "decoder", "queries", "masks")}
    assert sum(counts.values()) / 1e6 == pytest.approx(backbone, abs=0.01)
    # Transformer layers read 2048, 1024 and 512 channels and are alike beyond that.
    assert of_head["queries"] == 128 * 256
    layers = of_head["decoder"] - 256 * (2048 + 1024 + 512)
    # Mostly the two convolutions of 256 x 2048.
    assert 3 * 2 * 256 * 2048 < layers < 3 * 1.7e6


def test_the_edge_form_is_a_tenth_of_it():
    counts = _parameters(_network(kmax.EDGE, classes=133, needed=True))
    head = sum(counts[k] for k in ("pixel", "decoder", "queries", "masks"))
    assert head < 1.2e6


@both_forms
def test_outputs_are_as_the_losses_want_them(head):
    outputs = _network(head).output
    shapes = {name: tuple(value.shape[1:]) for name, value in outputs.items()}
    assert shapes["mask_logits"] == (16, 24, 6)
    assert shapes["class_logits"] == (6, 6)
    assert shapes["pixel_features"] == (16, 24, 8)
    assert shapes["semantic_logits"] == (16, 24, 5)
    # From the coarsest level to the finer ones.
    for layer, size in ((1, (2, 3)), (2, (4, 6)), (3, (8, 12))):
        assert shapes[f"aux{layer}_mask_logits"] == (*size, 6)
        assert shapes[f"aux{layer}_class_logits"] == (6, 6)
        assert shapes[f"aux{layer}_semantic_logits"] == (*size, 5)
    assert len(shapes) == 4 + 3 * 4
    assert head.prefixes == ("", "aux1_", "aux2_", "aux3_")


def test_relaxed_layers_are_the_first():
    head = dataclasses.replace(SMALL, relaxed=1)
    outputs = _network(head).output
    assert "aux1_semantic_logits" in outputs
    assert "aux2_semantic_logits" not in outputs
    assert head.semantic_prefixes == ("", "aux1_")


@both_forms
def test_inference_has_the_same_graph_with_remax_and_without(head):
    found = []
    for relaxed in (0, 3):
        network = _network(dataclasses.replace(head, relaxed=relaxed), needed=True)
        makers = {
            id(tensor): node.name
            for node in graph.nodes(network)
            for tensor in node.outputs
        }
        found.append(
            [
                (
                    node.name,
                    type(node.operation).__name__,
                    [makers.get(id(tensor), "images") for tensor in node.inputs],
                    [tensor.shape for tensor in node.outputs],
                )
                for node in graph.nodes(network)
            ]
        )
    assert found[0] == found[1]
    assert len(found[0]) > 100
    assert not [name for name, *_ in found[0] if "semantic" in name]


def test_permuting_the_queries_permutes_the_answers():
    network = _network(SMALL)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 64, 96, 3))
    plain = network(images)
    order = np.array([3, 1, 5, 0, 4, 2])
    layer = network.get_layer("queries")
    layer.set_weights([layer.get_weights()[0][:, order]])
    permuted = network(images)
    for name, axis in (
        ("mask_logits", 3),
        ("class_logits", 1),
        ("aux3_mask_logits", 3),
    ):
        expected = np.take(plain[name], order, axis=axis)
        np.testing.assert_allclose(permuted[name], expected, atol=1e-4)


def test_void_starts_with_nine_of_ten():
    network = _network(SMALL)
    logits = network(np.zeros((1, 64, 96, 3)))["class_logits"]
    scores = keras.ops.softmax(logits, axis=-1)
    np.testing.assert_allclose(scores[..., -1], 0.9, atol=0.02)


def test_each_slot_gathers_the_pixels_that_it_wins():
    logits = np.array([[[[0, 2, 1], [3, 3, 0]], [[0, 0, 5], [1, 9, 1]]]], "float32")
    values = np.array([[[[1, 10], [2, 20]], [[4, 40], [8, 80]]]], "float32")
    # Pixels 1 and 4 go to slot 1, pixel 2 to slot 0, the first of equals, 3 to slot 2.
    expected = [[[2, 20]], [[9, 90]], [[4, 40]]]
    for batch in (1, 2):
        found = masks.KMeansUpdate()(
            np.repeat(logits, batch, 0), np.repeat(values, batch, 0)
        )
        assert found.shape == (batch, 3, 1, 2)
        np.testing.assert_array_equal(found[-1], expected)


def test_sums_over_many_pixels_do_not_overflow_in_half_precision():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        queries_ = keras.Input((6, 1, 16), dtype="float16")
        pixels = keras.Input((128, 256, 4), dtype="float16")
        x, _ = SMALL.decoder.layer(queries_, pixels, 5, norm=SMALL.norm, name="one")
        network = keras.Model([queries_, pixels], x)
    finally:
        keras.config.set_dtype_policy(policy)
    network.get_layer("one_kmeans_value_norm").beta.assign(np.full(16, 20.0))
    for name in ("one_kmeans_project_norm", "one_ffn_project_norm"):
        gamma = network.get_layer(name).gamma  # starts at 0, and would hide the sums
        gamma.assign(np.ones(gamma.shape))
    sums = network.get_layer("one_kmeans").output
    probe = keras.Model(network.input, [sums, network.output])
    generator = np.random.default_rng(0)
    given = [
        generator.normal(size=(2, *shape)).astype(np.float16)
        for shape in ((6, 1, 16), (128, 256, 4))
    ]
    sums, found = (np.asarray(each) for each in probe(given, training=True))
    assert sums.dtype == np.float32
    assert sums.max() > np.finfo(np.float16).max
    # Each of the pixels counts about 20 once.
    np.testing.assert_allclose(sums.sum(axis=(1, 2)), 20 * 128 * 256, rtol=0.02)
    assert found.dtype == np.float16
    assert np.isfinite(found).all()
    assert found.std() > 0.1


def test_no_gradient_passes_through_the_choice_of_a_slot():
    import tensorflow as tf

    generator = np.random.default_rng(0)
    logits = tf.Variable(generator.normal(size=(2, 3, 4, 5)), dtype=tf.float32)
    values = tf.Variable(generator.normal(size=(2, 3, 4, 6)), dtype=tf.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(masks.KMeansUpdate()(logits, values) ** 2)
    of_logits, of_values = tape.gradient(loss, (logits, values))
    assert of_logits is None
    assert np.abs(of_values).min() > 0


def test_a_mask_logit_is_the_product_of_pixel_and_kernel():
    generator = np.random.default_rng(0)
    pixels = generator.normal(size=(2, 3, 4, 5)).astype("float32")
    kernels = generator.normal(size=(2, 6, 1, 5)).astype("float32")
    expected = np.einsum("bhwd,bnd->bhwn", pixels, kernels[:, :, 0])
    layer = masks.MaskProduct()
    np.testing.assert_allclose(layer(pixels, kernels), expected, rtol=1e-4, atol=1e-5)
    single = layer(pixels[:1], kernels[:1])
    np.testing.assert_allclose(single, expected[:1], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="the same number of channels"):
        layer(keras.Input((3, 4, 5)), keras.Input((6, 1, 4)))


def test_both_ways_to_length_one_agree():
    values = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    values[0, 0] = 0
    plain = l2_normalize.with_any_backend(keras.ops.convert_to_tensor(values))
    np.testing.assert_allclose(
        l2_normalize.with_tensorflow(keras.ops.convert_to_tensor(values)),
        plain,
        atol=1e-6,
    )
    lengths = np.linalg.norm(plain, axis=-1)
    assert lengths[0, 0] == 0
    np.testing.assert_allclose(lengths.ravel()[1:], 1, rtol=1e-5)


def test_queries_are_the_same_for_every_image():
    layer = queries.LearnedQueries(count=3, width=2)
    found = np.asarray(layer(np.zeros((4, 2, 2, 7))))
    assert found.shape == (4, 3, 1, 2)
    assert (found == found[:1]).all()
    assert found.std() > 0


def _axial_by_loops(layer, joined):
    """Of one column, without norms: `[L, 2 * K + V]` to `[L, V]`."""
    heads, length = layer.heads, len(joined)
    queries_, keys, values = np.split(
        joined, (layer.key_width, 2 * layer.key_width), axis=-1
    )
    tables = [
        np.asarray(t)
        for t in (layer.query_positions, layer.key_positions, layer.value_positions)
    ]
    outputs = np.zeros_like(values)
    for head in range(heads):
        q, k, v = (np.split(x, heads, axis=-1)[head] for x in (queries_, keys, values))
        for i in range(length):
            place = [j - i + layer.span - 1 for j in range(length)]
            logits = np.array(
                [
                    q[i] @ k[j]
                    + q[i] @ tables[0][place[j]]
                    + k[j] @ tables[1][place[j]]
                    for j in range(length)
                ]
            )
            shares = np.exp(logits - logits.max())
            shares /= shares.sum()
            width = v.shape[1]
            outputs[i, head * width : (head + 1) * width] = sum(
                shares[j] * (v[j] + tables[2][place[j]]) for j in range(length)
            )
    return outputs


@pytest.mark.parametrize("axis", axial_attention.AXES)
def test_axial_attention_is_what_loops_compute(axis):
    layer = axial_attention.AxialAttention(
        axis=axis, heads=2, key_width=4, value_width=6, span=7, epsilon=1e-12
    )
    joined = np.random.default_rng(0).normal(size=(2, 3, 5, 14)).astype("float32") * 0.5
    found = np.asarray(layer(joined))  # norms that have seen nothing change nothing
    assert found.shape == (2, 3, 5, 6)
    if axis == "height":
        expected = _axial_by_loops(layer, joined[1, :, 2])
        np.testing.assert_allclose(found[1, :, 2], expected, rtol=1e-3, atol=1e-4)
    else:
        expected = _axial_by_loops(layer, joined[1, 2])
        np.testing.assert_allclose(found[1, 2], expected, rtol=1e-3, atol=1e-4)


def test_axial_attention_says_how_far_it_knows_positions():
    layer = axial_attention.AxialAttention(
        axis="width", heads=1, key_width=2, value_width=2, span=3
    )
    with pytest.raises(ValueError, match=r"4 places along its width.*larger span"):
        layer(np.zeros((1, 2, 4, 6)))


def test_queries_attend_to_each_other_by_head():
    layer = query_attention.QueryAttention(heads=2, key_width=4, epsilon=1e-12)
    joined = np.random.default_rng(0).normal(size=(2, 5, 1, 14)).astype("float32")
    found = np.asarray(layer(joined))
    q, k, v = np.split(joined[1, :, 0], (4, 8), axis=-1)
    for head in range(2):
        logits = q[:, 2 * head : 2 * head + 2] @ k[:, 2 * head : 2 * head + 2].T
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        expected = shares @ v[:, 3 * head : 3 * head + 3]
        got = found[1, :, 0, 3 * head : 3 * head + 3]
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"relaxed": 4}, r"KMaX.relaxed = 4: must be from 0 to 3"),
        ({"layers": (0, 0)}, r"KMaX.layers = \(0, 0\)"),
        ({"slots": 0}, r"slots = 0"),
        ({"semantic_form": "x"}, r"semantic_form"),
    ],
)
def test_settings_that_make_no_network_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(kmax.EDGE, **fields)


def test_widths_are_wanted_for_each_tap():
    with pytest.raises(ValueError, match="a value for each of the 4 taps"):
        pixel_decoder.ConvPixelDecoder(widths=(8, 8))


def _fields(spec):
    """Pairs of a field, nested ones by path, and the component with another value."""
    others = {
        "taps": ("C2", "C3", "C4", "C5_project"),
        "layers": (2, 1),
        "relaxed": 1,
        "attention": "multi_head",
        "activation": "relu6",
        "semantic_form": "aspp",
        "drop_path": 0.5,
    }
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if dataclasses.is_dataclass(value):
            for path, changed in _fields(value):
                whole = dataclasses.replace(spec, **{field.name: changed})
                yield f"{field.name}.{path}", whole
            continue
        other = others.get(field.name)
        if other is None and isinstance(value, bool):
            other = not value
        elif other is None and isinstance(value, tuple):
            other = tuple(not v if isinstance(v, bool) else v + 1 for v in value)
        elif other is None:
            other = value / 2 if isinstance(value, float) else 2 * value
        yield field.name, dataclasses.replace(spec, **{field.name: other})


def _on_inputs(head):
    """The layers of the head by itself, on maps such as a backbone gives."""
    features = {}
    for level in range(1, 6):
        for name in (f"C{level}", f"C{level}_depthwise", f"C{level}_project"):
            shape = (64 // 2**level, 32 // 2**level, 4 * level)
            features[name] = keras.Input(shape, name=name)
    network = keras.Model(list(features.values()), head(features, 3))
    return network.get_config()


@pytest.mark.parametrize(
    ("head", "part"), [(SMALL, ""), (AXIAL, "pixels")], ids=["edge", "axial"]
)
def test_every_field_changes_the_network(head, part):
    head = dataclasses.replace(head, layers=(1, 1), relaxed=2)
    plain = _on_inputs(head)
    paths = [(path, changed) for path, changed in _fields(head) if part in path]
    for path, changed in paths:
        assert _on_inputs(changed) != plain, path
    assert len(paths) > (3 if part else 20)


def test_the_heads_for_losses_cost_less_than_the_network():
    """The pyramid of the auxiliary head is on the coarsest level."""
    head = dataclasses.replace(kmax.EFFICIENT, relaxed=0)
    network = _network(head, size=(256, 256), classes=19, variant="small")
    macs: collections.Counter = collections.Counter()
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            area = math.prod(layer.output.shape[1:3])
            macs["semantic" in layer.name] += area * math.prod(layer.kernel.shape)
    assert macs[True] < macs[False]
