import keras
import numpy as np

from official.layers import layer_scale


def test_each_channel_has_a_trained_factor_that_starts_at_the_papers_value():
    layer = layer_scale.LayerScale()
    images = np.arange(12, dtype="float32").reshape(1, 2, 2, 3)
    np.testing.assert_allclose(layer(images), images * 1e-5)
    (gamma,) = layer.trainable_weights
    assert gamma.path.endswith("gamma")
    gamma.assign([1, 2, 3])
    np.testing.assert_allclose(layer(images), images * [1, 2, 3])


def test_half_precision_keeps_the_factors_in_float32():
    layer = layer_scale.LayerScale(dtype="mixed_bfloat16")
    assert layer(np.ones((1, 2, 2, 3))).dtype == "bfloat16"
    assert layer.gamma.dtype == "float32"


def test_a_layer_survives_its_config():
    layer = layer_scale.LayerScale(initial=0.5, name="scale")
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert copy.get_config() == layer.get_config()
    np.testing.assert_array_equal(copy(np.ones((1, 2))), [[0.5, 0.5]])
