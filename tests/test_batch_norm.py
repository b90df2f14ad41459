import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from official.layers import batch_norm


def _images(*, channels: int = 6, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    shape = (4, 5, 3, channels)
    return generator.normal(2, 3, size=shape).astype("float32")


def _pair(**settings):
    """Our layer and the Keras one, with the same random weights."""
    layers = [
        batch_norm.BatchNormalization(name="norm", **settings),
        keras.layers.BatchNormalization(name="norm", **settings),
    ]
    for layer in layers:
        layer.build((None, 5, 3, 6))
    generator = np.random.default_rng(1)
    weights = [generator.uniform(0.5, 2, w.shape) for w in layers[0].weights]
    for layer in layers:
        layer.set_weights(weights)
    return layers


def _train(layer, images):
    """Outputs, gradients and new weights of a step whose loss is not symmetric."""
    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images, training=True)
        loss = tf.reduce_sum(tf.sin(tf.cast(outputs, tf.float32)))
    gradients = tape.gradient(loss, [images, *layer.trainable_variables])
    return [np.asarray(x, "float32") for x in (outputs, *gradients, *layer.weights)]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"momentum": 0.5, "epsilon": 1e-2},
        {"scale": False},
        {"center": False},
        {"synchronized": True},
        {"axis": 3},
    ],
    ids=str,
)
def test_a_training_step_equals_the_keras_layers(settings, monkeypatch):
    ours, theirs = _pair(**settings)
    fused = []
    kernel = tf.raw_ops.FusedBatchNormV3
    monkeypatch.setattr(
        tf.raw_ops,
        "FusedBatchNormV3",
        lambda *args, **kwargs: fused.append(1) or kernel(*args, **kwargs),
    )
    got, wanted = _train(ours, _images()), _train(theirs, _images())
    assert fused
    for a, b in zip(got, wanted, strict=True):
        # float32 sums in another order
        np.testing.assert_allclose(a, b, atol=2e-5, rtol=2e-5)


def test_the_moving_variance_divides_by_the_number_of_pixels():
    layer = batch_norm.BatchNormalization(momentum=0.0)
    images = np.array([1, 2, 3, 6], "float32").reshape(1, 2, 2, 1)
    layer(images, training=True)
    # mean 3, squares 4 + 1 + 0 + 9 = 14, over 4 (over 3 it would be 4.67)
    np.testing.assert_allclose(layer.moving_mean, [3], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, [3.5], rtol=1e-6)


def test_a_single_pixel_has_variance_zero():
    layer = batch_norm.BatchNormalization(momentum=0.0)
    outputs = layer(np.full((1, 1, 1, 3), 7, "float32"), training=True)
    np.testing.assert_allclose(outputs, np.zeros((1, 1, 1, 3)), atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, [0, 0, 0])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_equals_the_keras_layer(dtype):
    ours, theirs = _pair(dtype=f"mixed_{dtype}")
    images = tf.cast(_images(), dtype)
    got, wanted = _train(ours, images), _train(theirs, images)
    assert ours(images, training=True).dtype == dtype
    assert all(weight.dtype == "float32" for weight in ours.weights)
    tolerance = {"float16": 4e-3, "bfloat16": 4e-2}[dtype]  # 4 units of the mantissa
    for a, b in zip(got[:2], wanted[:2], strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance, rtol=tolerance)
    for a, b in zip(got[4:], wanted[4:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3)


def test_a_batch_of_unknown_size_trains_in_a_graph():
    ours, theirs = _pair()
    step = tf.function(
        lambda images: ours(images, training=True),
        input_signature=[tf.TensorSpec([None, None, None, 6])],
    )
    np.testing.assert_allclose(
        step(_images()), theirs(_images(), training=True), atol=2e-5
    )
    np.testing.assert_allclose(ours.moving_variance, theirs.moving_variance, rtol=1e-5)


def test_inference_and_frozen_layers_use_the_moving_statistics():
    ours, theirs = _pair()
    wanted = theirs(_images(), training=False)
    np.testing.assert_allclose(ours(_images(), training=False), wanted, atol=1e-6)
    ours.trainable = False
    np.testing.assert_allclose(ours(_images(), training=True), wanted, atol=1e-6)


def test_vectors_train_as_with_the_keras_layer():
    layers = [batch_norm.BatchNormalization(), keras.layers.BatchNormalization()]
    rows = _images()[:, 0, 0]
    got, wanted = (_train(layer, rows) for layer in layers)
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_model_with_the_layer_survives_saving(tmp_path):
    images = keras.Input((5, 3, 6))
    layer = batch_norm.BatchNormalization(momentum=0.9, synchronized=True, name="norm")
    model = keras.Model(images, layer(images))
    model(_images(), training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.get_layer("norm")) is batch_norm.BatchNormalization
    assert loaded.get_layer("norm").get_config() == layer.get_config()
    np.testing.assert_array_equal(loaded(_images()), model(_images()))


TWO_REPLICAS = """
import keras, numpy as np, tensorflow as tf
from official.layers import batch_norm

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
halves = np.random.default_rng(0).normal(size=(2, 4, 3, 3, 2)).astype("float32")
halves[1] += 5
with strategy.scope():
    layers = {
        True: batch_norm.BatchNormalization(momentum=0.9, synchronized=True),
        False: batch_norm.BatchNormalization(momentum=0.9),
    }
    for layer in layers.values():
        layer.build((None, 3, 3, 2))

def step(images, layer):
    return layer(images, training=True)

per_replica = strategy.experimental_distribute_values_from_function(
    lambda context: tf.constant(halves[context.replica_id_in_sync_group])
)
for synchronized, layer in layers.items():
    outputs = strategy.run(tf.function(step), args=(per_replica, layer))
    outputs = np.stack([np.asarray(x) for x in outputs.values])
    variance = np.asarray(keras.ops.convert_to_numpy(layer.moving_variance))
    if synchronized:
        expected = halves.reshape(-1, 2).var(axis=0)
        means = outputs.reshape(-1, 2).mean(axis=0)
    else:
        # Keras keeps statistics for each replica and reads the first one's.
        expected = halves[0].reshape(-1, 2).var(axis=0)
        means = outputs.reshape(2, -1, 2).mean(axis=1)
    # Before the step the moving variance is 1.
    np.testing.assert_allclose(variance, 0.9 + 0.1 * expected, rtol=1e-4)
    np.testing.assert_allclose(means, 0, atol=1e-4)
print("agreed")
"""


def test_two_replicas_share_statistics_only_when_synchronized(root):
    # In a process of its own: logical devices are set before TensorFlow starts.
    done = subprocess.run(
        [sys.executable, "-c", TWO_REPLICAS],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip().endswith("agreed"), done.stderr[-2000:]


def test_told_to_keep_its_statistics_it_trains_only_scale_and_offset():
    """As in inference, but for the gradients of gamma and beta."""
    ours, theirs = _pair()
    ours.use_batch_statistics = False
    images = _images()
    outputs, _, gamma, beta, *weights = _train(ours, images)
    np.testing.assert_allclose(outputs, theirs(images, training=False), rtol=1e-5)
    assert np.abs(gamma).min() > 0
    assert np.abs(beta).min() > 0
    for before, after in zip(theirs.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(before, after)


def test_told_to_measure_it_does_so_outside_of_training_too():
    ours, _ = _pair()
    ours.use_batch_statistics, ours.momentum = True, 0.0
    images = _images()
    outputs = ours(images, training=False)
    mean, variance = images.mean((0, 1, 2)), images.var((0, 1, 2))
    np.testing.assert_allclose(ours.moving_mean, mean, rtol=1e-5)
    np.testing.assert_allclose(ours.moving_variance, variance, rtol=1e-5)
    ours.use_batch_statistics = None
    np.testing.assert_allclose(outputs, ours(images, training=False), atol=1e-5)


def test_a_frozen_norm_does_not_measure():
    ours, _ = _pair()
    ours.trainable = False
    before = ours.get_weights()
    ours(_images(), training=True)
    for value, after in zip(before, ours.get_weights(), strict=True):
        np.testing.assert_array_equal(value, after)
