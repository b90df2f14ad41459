"""Depthwise convolutions against Keras's: values, gradients, and where they differ."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from official.layers import depthwise


def gradients(layer, images):
    """Outputs, and the gradients of their weighted sum, in training."""
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images, training=True)
        weights = tf.cast(
            tf.reshape(tf.range(tf.size(outputs)) % 7, outputs.shape), outputs.dtype
        )
        total = tf.reduce_sum(outputs * weights)
    return outputs, *tape.gradient(total, [images, layer.kernel.value])


def pair(kernel, **settings):
    """Our layer and Keras's with the same weights."""
    kinds = (depthwise.DepthwiseConv2D, keras.layers.DepthwiseConv2D)
    layers = [kind(kernel, **settings) for kind in kinds]
    for layer in layers:
        layer.build((None, 9, 8, 5))
    layers[1].set_weights(layers[0].get_weights())
    return layers


@pytest.mark.parametrize("kernel", [3, 5, 7, (3, 5), (5, 3)])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_values_and_gradients_are_those_of_keras(kernel, strides, padding):
    ours, theirs = pair(kernel, strides=strides, padding=padding)
    images = tf.random.stateless_normal([4, 9, 8, 5], seed=[1, 2])
    for mine, other in zip(
        gradients(ours, images), gradients(theirs, images), strict=True
    ):
        # Sums of up to 288 float32 products, added up in another order.
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-4)


def ops_of_gradient(layer, images):
    graph = (
        tf.function(lambda x: gradients(layer, x)).get_concrete_function(images).graph
    )
    return {
        op.get_attr("padding").decode()
        for op in graph.get_operations()
        if op.type == "DepthwiseConv2dNativeBackpropFilter"
    }


@pytest.mark.parametrize(
    ("kernel", "strides", "padding"),
    [(7, 1, "EXPLICIT"), (5, 2, "EXPLICIT"), (5, 1, "SAME"), (3, 1, "SAME")],
)
def test_only_a_wide_kernel_takes_the_gradient_of_tensorflow(kernel, strides, padding):
    layer = depthwise.DepthwiseConv2D(kernel, strides=strides, padding="same")
    assert ops_of_gradient(layer, tf.ones([2, 8, 8, 4])) == {padding}


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 7), (8, 6), (5, 14)])
@pytest.mark.parametrize("multiplier", [1, 2])
def test_five_columns_are_those_of_narrower_kernels(size, multiplier):
    ours, theirs = pair((5, 5), padding="same", depth_multiplier=multiplier)
    images = tf.random.stateless_normal([3, *size, 5], seed=[1, 2])
    for mine, other in zip(
        gradients(ours, images), gradients(theirs, images), strict=True
    ):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-5)


def test_bias_and_activation_are_applied():
    layer = depthwise.DepthwiseConv2D(
        5,
        activation="relu",
        bias_initializer="ones",
        depthwise_initializer=keras.initializers.Constant(-1),
    )
    outputs = layer(np.full((1, 5, 5, 2), [0.0, 1.0], "float32"), training=True)
    np.testing.assert_allclose(outputs[0, 0, 0], [1, 0])


def test_dilation_is_keras_s():
    ours, theirs = pair(5, dilation_rate=2, padding="same")
    images = tf.random.stateless_normal([2, 9, 8, 5], seed=[1, 2])
    np.testing.assert_array_equal(ours(images, training=True), theirs(images))


def test_mixed_precision_computes_in_its_dtype():
    layer = depthwise.DepthwiseConv2D(5, padding="same", dtype="mixed_bfloat16")
    outputs, _, of_kernel = gradients(layer, tf.ones([2, 8, 8, 4], tf.bfloat16))
    assert outputs.dtype == tf.bfloat16
    assert of_kernel.dtype == tf.float32


def test_inference_is_the_convolution_of_keras():
    layer = depthwise.DepthwiseConv2D(5, padding="same")
    graph = tf.function(layer).get_concrete_function(tf.ones([2, 8, 8, 4])).graph
    assert "IdentityN" not in {op.type for op in graph.get_operations()}
