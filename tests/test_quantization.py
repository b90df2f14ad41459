"""Networks on the grids of an integer file: where ranges lie, and what they cost."""

import dataclasses

import export_networks as networks
import keras
import numpy as np
import pytest

from official import export_spec, graph
from official.backbones import mobilenet_v2
from official.heads import classification
from official.layers import attention, batch_norm, fake_quant, hard_swish
from official.quantization import estimators, rewrite, rules, scheme
from official.tasks import outputs
from tflite_export import (
    calibration,
    check,
    conversion,
    flatbuffer,
    inference,
    interpreter,
    op_parity,
)
from tflite_export.targets import base as targets_base

CPU = targets_base.find("cpu")


def _quantized(model, *, images=None, **settings):
    """The network on its grids, its ranges found on some images."""
    plan = scheme.QuantScheme(**settings)
    rewritten = targets_base.find(plan.target).rewrite(model, plan.precision).model
    found = plan.apply(rewritten)
    rewrite.observe(found, [networks.pixels(8) if images is None else images])
    return found


def _file(model, folder, **spec):
    """Its file, and the graph that it was made from."""
    export = export_spec.Export(**spec)
    finished = outputs.of_logits(
        model, output=export.output, size=export.output_size, activation="softmax"
    )
    built = inference.build(finished, spec=export, precision="int8")
    path = folder / "model.tflite"
    path.write_bytes(conversion.convert(built, "int8", spec=export))
    return path, built


@pytest.fixture(scope="module")
def quantized():
    return _quantized(networks.network())


def test_a_range_ends_each_op_of_the_file_and_no_part_of_one(quantized):
    ranges = [
        layer.name.removesuffix("_range")
        for layer in quantized.layers
        if isinstance(layer, fake_quant.FakeQuant)
    ]
    assert ranges == [
        "normalize",
        "stem_norm",  # not the convolution before it, which is the same op
        "stem_activation",
        "block_depthwise_norm",
        "block_activation",
        "block_pool",
        "block_gate_conv",
        "block_gate",
        "block_multiply",
        "block_add",
        "classes",
    ]


def test_observing_moves_ranges_and_nothing_else():
    found = scheme.QuantScheme().apply(CPU.rewrite(networks.network(), "int8").model)
    before = {w.path: w.numpy() for w in found.weights}
    rewrite.observe(found, [networks.pixels(4), networks.pixels(8)])
    changed = [w for w in found.weights if not np.array_equal(w, before[w.path])]
    assert changed
    assert all(fake_quant.is_range(weight) for weight in changed)
    assert float(found.get_layer("stem_norm_range").range_count) == 2
    values = found.get_layer("stem_norm_range").limits
    float_norm = keras.Model(
        networks.network().input, networks.network().get_layer("stem_norm").output
    )
    seen = [float_norm.predict_on_batch(networks.pixels(n)) for n in (4, 8)]
    assert float(values[1]) == pytest.approx(np.mean([x.max() for x in seen]), rel=1e-2)


def test_names_and_weights_are_those_of_the_float_network(quantized):
    model = networks.network()
    for layer in model.layers:
        for mine, theirs in zip(
            quantized.get_layer(layer.name).get_weights(),
            layer.get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(mine, theirs)


def test_it_computes_what_the_float_network_does_but_for_rounding(quantized):
    images = networks.pixels(8)
    ours = quantized.predict_on_batch(images)["logits"]
    theirs = networks.network().predict_on_batch(images)["logits"]
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.995
    assert not np.allclose(ours, theirs, atol=1e-3)  # it does round


def test_it_can_be_saved_and_read_without_the_scheme(quantized, tmp_path):
    quantized.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    images = networks.pixels()
    np.testing.assert_array_equal(
        again.predict_on_batch(images)["logits"],
        quantized.predict_on_batch(images)["logits"],
    )


def test_a_relu_is_part_of_the_op_before_it_unless_that_has_another_reader():
    images = keras.Input((8, 8, 3), name="images")
    conv = keras.layers.Conv2D(4, 3, name="conv")(images)
    relu = keras.layers.ReLU(name="relu")(conv)
    alone = keras.Model(images, relu)
    twice = keras.Model(images, keras.layers.Add(name="sum")([conv, relu]))
    names = [x.name for x in scheme.QuantScheme().apply(alone).layers]
    assert "conv_range" not in names
    assert "relu_range" in names
    assert "images_range" in names  # nothing says what the images hold
    names = [x.name for x in scheme.QuantScheme().apply(twice).layers]
    assert {"conv_range", "relu_range", "sum_range"} <= set(names)


def test_the_first_rule_that_matches_a_layer_counts():
    found = rules.resolve(
        (
            rules.Rule(layers="C5_.*", weight_bits=4),
            rules.Rule(layers=".*", weight_bits=6),
        ),
        ["C1_conv", "C5_conv"],
    )
    assert {name: rule.weight_bits for name, rule in found.items()} == {
        "C1_conv": 6,
        "C5_conv": 4,
    }


def test_a_rule_that_decides_nothing_is_an_error():
    names = ["C1_conv", "C5_conv"]
    with pytest.raises(
        ValueError, match=r"'C9_.\*'\) decides nothing: no layer has it"
    ):
        rules.resolve((rules.Rule(layers="C9_.*", weight_bits=4),), names)
    both = tuple(rules.Rule(layers=x, weight_bits=4) for x in (".*", "C1_.*"))
    with pytest.raises(ValueError, match="earlier rules match all of them"):
        rules.resolve(both, names)


def test_rules_choose_bits_and_ranges():
    model = _quantized(
        networks.network(),
        rules=(
            rules.Rule(layers="classes", weight_bits=4),
            # A layer in the midst of an op speaks for the range at its end.
            rules.Rule(layers="stem_conv", symmetric_activations=True),
            rules.Rule(layers=".*", weight_bits=7),
        ),
    )
    bits = {
        layer.name: layer.weight_bits
        for layer in model.layers
        if hasattr(layer, "weight_bits")
    }
    assert bits.pop("classes") == 4
    assert bits.pop("stem_conv") == 8  # its rule says nothing of weights
    assert set(bits.values()) == {7}
    low, high = map(float, model.get_layer("stem_norm_range").limits)
    assert -low == pytest.approx(high, rel=0.01)
    low, high = map(float, model.get_layer("block_add_range").limits)
    assert -low != pytest.approx(high, rel=0.01)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            {"layers": "block_add", "weight_bits": 4},
            "its weight_bits decides nothing: no layer that it decides on has a kernel",
        ),
        (
            {"layers": "block_gate", "symmetric_activations": True},
            "its symmetric_activations decides nothing",  # hard-sigmoid gives 0 to 1
        ),
    ],
)
def test_a_field_of_a_rule_that_decides_nothing_is_an_error(rule, message):
    wrong = scheme.QuantScheme(rules=(rules.Rule(**rule),))
    with pytest.raises(ValueError, match=message):
        wrong.apply(CPU.rewrite(networks.network(), "int8").model)


def test_a_rule_that_says_nothing_is_an_error():
    with pytest.raises(ValueError, match="says nothing: set weight_bits or"):
        rules.Rule(layers="classes")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (keras.layers.ELU(name="odd"), "layer 'odd': nothing is known of ELU"),
        (
            keras.layers.Conv2D(4, 1, activation="relu", name="odd"),
            "layer 'odd' has an activation inside; give it a layer of its own",
        ),
        (
            keras.layers.Dense(4, name="odd"),
            "layer 'odd': a Dense on .* make it a convolution of 1x1",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_layer_without_an_integer_form_is_named_with_the_way_out(layer, message):
    with pytest.raises(ValueError, match=message):
        scheme.QuantScheme().apply(networks.with_layer(layer))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight_bits": 3}, "weight_bits = 3: must be from 4 to 8"),
        ({"activation_bits": 4}, "activation_bits = 4: must be one of"),
        ({"observe_steps": 0}, "observe_steps = 0: must be 1 or more"),
        ({"freeze_step": 3}, "freeze_step = 3: comes before"),
        ({"range_decay": 1.0}, "range_decay = 1.0: must be in"),
    ],
)
def test_settings_that_no_file_can_hold_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        scheme.QuantScheme(**settings)


def test_the_phases_of_a_training():
    norm = batch_norm.BatchNormalization(name="norm")
    network = scheme.QuantScheme().apply(networks.with_layer(norm))
    plan = scheme.QuantScheme(observe_steps=2)
    states = []
    for step in (0, 1, 2, 5, 6, 8):
        changed = plan.set_step(network, step, total_steps=8)
        fake = network.get_layer("norm_range")
        frozen = network.get_layer("norm").use_batch_statistics
        states.append((changed, fake.mode, fake.frozen, frozen))
    assert states == [
        (True, "observe", False, None),
        (False, "observe", False, None),
        (True, "quantize", False, None),
        (False, "quantize", False, None),
        (True, "quantize", True, False),
        (False, "quantize", True, False),
    ]


def test_in_a_file_every_op_is_within_one_step_of_the_network(quantized, tmp_path):
    path, built = _file(quantized, tmp_path)
    check.require(flatbuffer.read(path), precision="int8", target=CPU)
    report = op_parity.compare(path, built, networks.pixels(2))
    assert report.worst <= 1
    assert report.exact > 0.97
    found = {c.layer for c in report.comparisons}
    assert "block_activation/opened" in found  # inside a hard-swish, too
    assert "block_gate_range" in found
    assert report.unmatched == ()


def test_the_file_of_a_small_network_is_within_steps_from_end_to_end(
    quantized, tmp_path
):
    path, _ = _file(quantized, tmp_path)
    images = networks.pixels(8)
    step = next(iter(flatbuffer.read(path).outputs.values())).scales[0]
    ours = quantized.predict_on_batch(images)["logits"]
    theirs = interpreter.Runner(path)(images)["logits"]
    assert np.abs(ours - theirs).max() <= 2.01 * step


def test_a_parity_that_is_broken_is_seen(quantized, tmp_path):
    path, _ = _file(quantized, tmp_path)
    other = graph.rebuild(quantized, graph.copy)
    graph.copy_weights(quantized, other)
    kernel = other.get_layer("block_depthwise_conv").kernel
    kernel.assign(1.2 * kernel)
    wrong = inference.build(other, spec=export_spec.Export(), precision="int8")
    report = op_parity.compare(path, wrong, networks.pixels(1))
    bad = [c.layer for c in report.comparisons if c.worst > 1]
    assert bad == ["block_depthwise_norm_range"]  # and nothing after it


def test_a_file_of_another_range_is_refused_by_name(quantized, tmp_path):
    path, _ = _file(quantized, tmp_path)
    other = graph.rebuild(quantized, graph.copy)
    graph.copy_weights(quantized, other)
    layer = other.get_layer("block_add_range")
    layer.range_max.assign(1.5 * layer.range_max)
    wrong = inference.build(other, spec=export_spec.Export(), precision="int8")
    with pytest.raises(Exception, match="its layer 'block_add_range' a range of"):
        op_parity.compare(path, wrong, networks.pixels(1))


@pytest.mark.parametrize(
    "spec",
    [
        {"input_type": "float32"},
        {"input_type": "int8", "output_type": "int8"},
        {"output": "scores", "output_size": "input"},
        {"output": "class_ids"},
    ],
    ids=lambda spec: "-".join(spec.values()),
)
def test_every_form_of_input_and_output_is_integers_inside(spec, quantized, tmp_path):
    path, built = _file(quantized, tmp_path, **spec)
    check.require(flatbuffer.read(path), precision="int8", target=CPU)
    report = op_parity.compare(path, built, networks.pixels(1))
    assert report.worst <= 1


def test_a_classifier_of_depthwise_blocks_with_channelwise_pixels(tmp_path):
    keras.utils.set_random_seed(0)
    images = keras.Input((32, 32, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    x = keras.layers.Rescaling(
        [2.0, 2.2, 2.1], offset=[0.1, 0.2, 0.3], name="normalize_channels"
    )(x)
    backbone = mobilenet_v2.MobileNetV2(width_multiplier=0.25, padding="symmetric")
    outputs = classification.Classification()(backbone(x), 7)
    model = keras.Model(images, outputs, name="classifier")
    networks.vary_norms(model)
    random = np.random.default_rng(0)
    photos = random.integers(0, 256, (4, 32, 32, 3)).astype(np.float32)
    path, built = _file(_quantized(model, images=photos), tmp_path)
    file = flatbuffer.read(path)
    check.require(file, precision="int8", target=CPU)
    assert op_parity.compare(path, built, photos[:1]).worst <= 1
    # The scale of each channel is one op, and dense weights have a scale an output.
    assert file.histogram["DEPTHWISE_CONV_2D"] == 18
    (dense,) = [x for x in file.ops if x.layer == "classes" and "CONV" in x.name]
    assert len(dense.inputs[1].scales) == 7


def test_fewer_bits_of_weights_are_in_the_file(tmp_path):
    model = _quantized(networks.network(), weight_bits=4)
    path, built = _file(model, tmp_path)
    assert op_parity.compare(path, built, networks.pixels(1)).worst <= 1
    loaded = op_parity._load(path)
    kernels = [
        loaded.get_tensor(tensor.index)
        for tensor in flatbuffer.read(path).tensors
        if tensor.constant and tensor.dtype == "INT8" and len(tensor.shape) == 4
    ]
    assert kernels
    assert all(len(np.unique(kernel)) <= 15 for kernel in kernels)


def test_a_fused_hard_swish_is_one_op_with_a_range_on_either_side(tmp_path):
    model = networks.with_layer(hard_swish.HardSwish(form="fused", name="swish"))
    found = scheme.QuantScheme().apply(model)
    names = [layer.name for layer in found.layers]
    assert {"stem_conv_range", "swish_range"} <= set(names)
    assert type(found.get_layer("swish")) is hard_swish.HardSwish


def test_without_ranges_only_the_weights_are_rounded(quantized):
    plain = rewrite.without_ranges(quantized, rounded=True)
    assert [x.name for x in plain.layers] == [x.name for x in networks.network().layers]
    assert not rewrite.is_quantized(plain)
    kernel = quantized.get_layer("stem_conv").rounded_weights()
    np.testing.assert_array_equal(plain.get_layer("stem_conv").kernel, kernel)
    again = fake_quant.kernel(
        plain.get_layer("block_depthwise_conv").kernel[..., 0], bits=8
    )
    np.testing.assert_allclose(
        again, plain.get_layer("block_depthwise_conv").kernel[..., 0], atol=1e-6
    )
    images = networks.pixels()
    ours = plain.predict_on_batch(images)["logits"]
    theirs = networks.network().predict_on_batch(images)["logits"]
    np.testing.assert_allclose(ours, theirs, atol=0.05 * np.abs(theirs).max())


def test_sixteen_bit_activations_end_in_an_int16x8_file_of_the_trained_weights(
    tmp_path,
):
    images = networks.pixels(8)
    model = _quantized(networks.network(), activation_bits=16)
    assert model.get_layer("stem_norm_range").symmetric
    spec = export_spec.Export(precisions=("int16x8",))
    built = inference.build(model, spec=spec, precision="int16x8")
    pixels = calibration.collect(images[:, None])
    content = conversion.convert(built, "int16x8", spec=spec, calibration=pixels)
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    check.require(flatbuffer.read(path), precision="int16x8", target=CPU)
    ours = interpreter.Runner(path)(images)["logits"]
    theirs = model.predict_on_batch(images)["logits"]
    floats = networks.network().predict_on_batch(images)["logits"]
    # Steps of 16 bits are nothing beside the rounding of the weights, which is there.
    # (Single values of the network lie beyond what was seen before it was rounded.)
    assert np.abs(ours - theirs).mean() < 0.2 * np.abs(theirs - floats).mean()


@pytest.mark.parametrize("name", ["edgetpu", "gpu", "micro", "npu"])
def test_for_every_target_the_file_is_integer_and_within_one_step(name, tmp_path):
    target = targets_base.find(name)
    model = _quantized(networks.network(), target=name)
    spec = target.adapt(export_spec.Export(precisions=("int8",), target=name)).spec
    built = inference.build(model, spec=spec, precision="int8")
    path = tmp_path / "model.tflite"
    path.write_bytes(conversion.convert(built, "int8", spec=spec))
    check.require(flatbuffer.read(path), precision="int8", target=target)
    report = op_parity.compare(path, built, networks.pixels(1))
    assert report.worst <= 1


def test_another_estimator_rounds_kernels_in_training_alone():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Zero(estimators.Estimator):
        def __call__(self, values, low, high, *, bits, narrow, axis):
            return 0 * values

    plan = scheme.QuantScheme(estimator=Zero())
    model = CPU.rewrite(networks.network(), "int8").model
    trained, judged = plan.apply(model, training=True), plan.apply(model)
    assert not np.any(trained.get_layer("stem_conv").rounded_weights())
    assert np.any(judged.get_layer("stem_conv").rounded_weights())


def test_a_dead_channel_keeps_the_offset_of_its_norm_in_the_file(tmp_path):
    """As some of MobileNetV2's ImageNet weights: no kernel, no variance, an offset."""
    model = graph.rebuild(networks.network(), graph.copy)
    graph.copy_weights(networks.network(), model)
    kernel = model.get_layer("stem_conv").kernel
    kernel.assign(kernel * np.where(np.arange(8) == 3, 0.0, 1.0))
    norm = model.get_layer("stem_norm")
    gamma, beta, mean, variance = norm.get_weights()
    gamma[3], beta[3], mean[3], variance[3] = 0.03, 2.3, 0.0, 0.0
    norm.set_weights([gamma, beta, mean, variance])
    path, built = _file(_quantized(model), tmp_path)
    report = op_parity.compare(path, built, networks.pixels(1))
    assert report.worst <= 1


def test_tensors_of_an_attention_that_is_dead_are_told_apart_by_their_size(tmp_path):
    """Without values to hold, all ranges inside are alike."""
    conv = keras.layers.Conv2D
    images = keras.Input((*networks.SIZE, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    x = conv(8, 3, strides=8, padding="same", name="stem_conv")(x)
    places = conv(4, 3, strides=2, padding="same", name="places")(x)
    keys, values = conv(4, 1, name="keys")(places), conv(4, 1, name="values")(places)
    x = attention.MultiQueryAttention(name="attention")(x, keys, values)
    model = keras.Model(images, {"logits": conv(5, 1, name="classes")(x)})
    for name in ("stem_conv", "keys", "values"):
        layer = model.get_layer(name)
        layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    path, built = _file(_quantized(model), tmp_path)
    report = op_parity.compare(path, built, networks.pixels(1))
    compared = {c.layer: c.elements for c in report.comparisons}
    rows = compared["attention/scaled"] // 4
    places = compared["attention/values"] // 4
    assert compared["attention/logits"] == rows * places != compared["attention/values"]
    assert report.worst <= 1
