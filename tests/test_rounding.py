"""Kernels before they are rounded to 8 bits."""

import keras
import numpy as np

from official.layers import batch_norm
from tests import export_networks
from tflite_export import rounding


def test_a_weight_that_reads_silence_does_not_coarsen_the_others():
    kernel = np.array([[100.0], [1.0], [-0.7], [0.31]])
    heard = np.array([[0.0], [1.0], [1.0], [1.0]])
    clipped = rounding.clip(kernel, heard)
    plain = heard * (kernel - rounding.rounded(kernel)) ** 2
    better = heard * (kernel - rounding.rounded(clipped)) ** 2
    assert clipped[0, 0] < 20
    assert better.sum() < plain.sum() / 20


def test_a_kernel_that_rounds_well_is_left_alone():
    kernel = np.arange(-127.0, 128.0)[:, None]
    np.testing.assert_array_equal(rounding.clip(kernel, np.ones((255, 1))), kernel)


def test_columns_have_bounds_of_their_own():
    kernel = np.array([[100.0, 1.27], [1.0, 0.5]])
    power = np.array([[0.0, 1.0], [1.0, 1.0]])
    clipped = rounding.clip(kernel, power)
    assert clipped[0, 0] < 100
    np.testing.assert_array_equal(clipped[:, 1], kernel[:, 1])


def test_rounding_is_that_of_int8_with_a_scale_for_each_column():
    kernel = np.array([[1.27, 0.0], [0.014, 0.0]])
    np.testing.assert_allclose(rounding.rounded(kernel), [[1.27, 0.0], [0.01, 0.0]])


def test_the_mean_of_an_output_survives_rounding():
    """Constant inputs, so that the whole output is its mean."""
    keras.utils.set_random_seed(1)
    images = keras.Input((4, 4, 3), batch_size=1)
    x = keras.layers.Conv2D(5, 1, use_bias=False, name="first")(images)
    x = batch_norm.BatchNormalization(name="first_norm")(x)
    x = keras.layers.DepthwiseConv2D(1, use_bias=False, name="second")(x)
    x = batch_norm.BatchNormalization(name="second_norm")(x)
    model = keras.Model(images, keras.layers.Conv2D(2, 1, name="third")(x))
    pixels = np.broadcast_to(np.float32([0.3, -0.9, 0.5]), (1, 4, 4, 3))
    wanted = model.predict_on_batch(pixels)
    copy = rounding.prepared(model, [pixels])
    for layer in copy.layers:
        if hasattr(layer, "kernel"):
            kernel = np.asarray(layer.kernel)
            flat = kernel.reshape(-1, 5 if layer.name != "third" else 2)
            layer.kernel.assign(rounding.rounded(flat).reshape(kernel.shape))
    np.testing.assert_allclose(copy.predict_on_batch(pixels), wanted, atol=1e-6)


def test_the_model_itself_stays_as_it_is():
    network, pixels = export_networks.network(), export_networks.pixels()
    before = network.get_weights()
    copy = rounding.prepared(network, [image[None] for image in pixels])
    for one, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [w.path for w in copy.weights] == [w.path for w in network.weights]
    changed = zip(before, copy.get_weights(), strict=True)
    assert any((one != other).any() for one, other in changed)


def test_a_network_of_one_convolution_is_prepared():
    images = keras.Input((4, 4, 3), batch_size=1)
    model = keras.Model(images, keras.layers.Conv2D(2, 1, name="only")(images))
    pixels = np.ones((1, 4, 4, 3), np.float32)
    found = rounding.prepared(model, [pixels]).predict_on_batch(pixels)
    np.testing.assert_allclose(found, model.predict_on_batch(pixels), atol=0.05)
