"""Values on grids: ranges, kernels, gradients, and tfmot's part in it."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from official.layers import fake_quant, quantized, tfmot_ranges


def _batches(count=6):
    random = np.random.default_rng(0)
    return [
        random.normal(0.3, scale, (4, 3, 3, 2)).astype(np.float32)
        for scale in np.linspace(0.5, 2, count)
    ]


def _followed(*, symmetric, decay=0.9):
    layer = fake_quant.FakeQuant(symmetric=symmetric, decay=decay)
    outputs = [np.asarray(layer(batch, training=True)) for batch in _batches()]
    return layer, outputs


@pytest.mark.parametrize("symmetric", [False, True])
def test_tfmot_and_keras_alone_give_the_same_ranges_and_values(symmetric, monkeypatch):
    theirs, their_outputs = _followed(symmetric=symmetric)
    assert isinstance(theirs._moving, tfmot_ranges.MovingRange)
    monkeypatch.setattr(keras.backend, "backend", lambda: "other")
    ours, our_outputs = _followed(symmetric=symmetric)
    assert ours._moving is None
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6)
    step = float(np.ptp([float(x) for x in ours.limits])) / 255
    for mine, other in zip(our_outputs, their_outputs, strict=True):
        # Where a limit differs in its last bit, a tie may fall to the other side.
        np.testing.assert_allclose(mine, other, atol=1.01 * step)
        assert np.mean(np.abs(mine - other) > 1e-5) < 0.01


def test_a_range_is_at_first_the_mean_of_the_batches_extremes():
    layer = fake_quant.FakeQuant(decay=0.99)
    batches = _batches(3)
    for batch in batches:
        layer(batch, training=True)
    low, high = (float(x) for x in layer.limits)
    assert low == pytest.approx(np.mean([b.min() for b in batches]), rel=1e-5)
    assert high == pytest.approx(np.mean([b.max() for b in batches]), rel=1e-5)


def test_zero_is_always_in_the_range():
    layer = fake_quant.FakeQuant()
    layer(np.full((1, 4), 3.0, np.float32), training=True)
    assert [float(x) for x in layer.limits] == [0.0, 3.0]


def test_a_range_stays_in_inference_and_where_it_is_frozen():
    layer, _ = _followed(symmetric=False)
    before = layer.get_weights()
    layer(100 * _batches()[0], training=False)
    layer.frozen = True
    layer(100 * _batches()[0], training=True)
    np.testing.assert_array_equal(layer.get_weights(), before)


def test_an_observing_range_moves_and_lets_values_pass():
    layer = fake_quant.FakeQuant()
    layer.mode = "observe"
    batch = _batches()[0]
    np.testing.assert_array_equal(layer(batch, training=True), batch)
    assert float(layer.limits[1]) == pytest.approx(batch.max())


def test_values_lie_on_256_levels_of_which_one_is_zero():
    layer = fake_quant.FakeQuant(fixed=(-1.0, 2.0))
    values = np.linspace(-3, 3, 5001, dtype=np.float32)[None]
    found = np.unique(np.asarray(layer(values)))
    assert len(found) == 256
    assert 0.0 in found
    np.testing.assert_allclose(np.diff(found), 3 / 255, rtol=1e-3)
    assert layer.weights == []


def test_the_gradient_passes_within_the_range_and_not_outside():
    import tensorflow as tf

    layer = fake_quant.FakeQuant(fixed=(-1.0, 1.0))
    values = tf.constant([[-3.0, -0.5, 0.25, 3.0]])
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(layer(values, training=True) * [1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(tape.gradient(total, values), [[0, 2, 3, 0]])


def test_another_estimator_is_used_in_training_alone():
    layer = fake_quant.FakeQuant(fixed=(-1.0, 1.0))
    layer.rounding = lambda values, low, high, **_: values * 0 + 7
    value = np.array([[0.5]], np.float32)
    assert float(layer(value, training=True)[0, 0]) == 7
    assert float(layer(value, training=False)[0, 0]) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("bits", [8, 6, 4])
def test_a_kernel_of_few_bits_lies_on_an_int8_grid_of_each_channel(bits):
    weights = np.random.default_rng(0).normal(size=(3, 3, 5, 4)).astype(np.float32)
    weights *= [1.0, 10.0, 0.1, 0.0]  # a channel may be zero
    found = np.asarray(fake_quant.kernel(weights, bits=bits)).reshape(-1, 4)
    most = 2 ** (bits - 1) - 1
    for channel in range(3):
        step = np.abs(weights[..., channel]).max() / most
        levels = found[:, channel] / step
        np.testing.assert_allclose(levels, np.rint(levels), atol=1e-3)
        assert np.abs(levels).max() == pytest.approx(most, rel=1e-4)
        # The nearest level: nothing is off by more than half a step.
        off = np.abs(found[:, channel] - weights.reshape(-1, 4)[:, channel])
        assert off.max() <= 0.501 * step
    assert not found[:, 3].any()


def test_ranges_are_float32_in_mixed_precision():
    layer = fake_quant.FakeQuant(dtype="mixed_bfloat16")
    out = layer(_batches()[0], training=True)
    assert keras.backend.standardize_dtype(out.dtype) == "bfloat16"
    assert {w.dtype for w in layer.weights} == {"float32"}


def test_a_norm_alone_is_exact_as_a_depthwise_convolution():
    layer = quantized.QuantizedNorm(name="norm")
    images = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)
    layer.build(images.shape)
    random = np.random.default_rng(1)
    layer.set_weights([random.uniform(0.5, 2, 3) for _ in range(4)])
    plain = keras.layers.BatchNormalization(epsilon=layer.epsilon)
    plain.build(images.shape)
    plain.set_weights(layer.get_weights())
    np.testing.assert_allclose(layer(images), plain(images), atol=1e-5)


def test_importing_tfmot_leaves_no_trace_in_the_environment():
    script = (
        "import os, keras\n"
        "from official.layers import tfmot_ranges\n"
        "tfmot_ranges.tfmot()\n"
        "print(os.environ.get('TF_USE_LEGACY_KERAS'))\n"
    )
    for before in ("", "0"):
        environment = dict(os.environ)
        environment.pop("TF_USE_LEGACY_KERAS", None)
        if before:
            environment["TF_USE_LEGACY_KERAS"] = before
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == (before or "None")


def test_one_module_alone_imports_tfmot(root):
    found = [
        file.relative_to(root).as_posix()
        for folder in ("official", "tflite_export", "configs")
        for file in (root / folder).rglob("*.py")
        if "tensorflow_model_optimization" in file.read_text(encoding="utf-8")
    ]
    assert [f for f in found if "doctor" not in f] == [
        "official/layers/tfmot_ranges.py"
    ]


def test_what_is_always_zero_has_a_range_all_the_same():
    layer = fake_quant.FakeQuant()
    zeros = np.zeros((2, 3), np.float32)
    layer(zeros, training=True)
    assert [float(limit) for limit in layer.limits] == [0, 1]
    np.testing.assert_array_equal(layer(zeros), zeros)
    narrow = fake_quant.FakeQuant()
    narrow(zeros + 1e-3, training=True)
    assert float(narrow.limits[1]) == pytest.approx(1e-3, rel=1e-3)
