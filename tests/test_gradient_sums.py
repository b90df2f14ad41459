"""Sums of gradients that come out the same every time."""

import keras
import numpy as np
import pytest

from official.training import gradient_sums

if keras.backend.backend() != "tensorflow":
    pytest.skip("of TensorFlow's tapes", allow_module_level=True)

import tensorflow as tf
from tensorflow.python import pywrap_tfe
from tensorflow.python.eager import backprop


def step(x):
    """Gradient of a tensor with four consumers, and what they send back."""
    y = tf.exp(x)
    consumers = (tf.sin(y), tf.tanh(y), y * y, tf.sqrt(y))
    return sum(tf.reduce_sum(each) for each in consumers)


def gradient(x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = step(x)
    return tape.gradient(value, x)


def sums(function, x) -> list[int]:
    """Number of summands of each AddN in a graph."""
    graph = function.get_concrete_function(x).graph
    return [len(op.inputs) for op in graph.get_operations() if op.type == "AddN"]


def test_no_sum_of_gradients_depends_on_threads():
    x = tf.constant(np.random.default_rng(0).normal(size=(4, 8)).astype("float32"))
    pywrap_tfe.TFE_Py_RegisterVSpace(backprop._default_vspace)
    assert max(sums(tf.function(gradient), x)) > 2
    assert gradient_sums.fix_order()
    found = tf.function(gradient)
    assert all(count < 3 for count in sums(found, x))
    y = np.exp(x.numpy().astype("float64"))
    expected = y * (np.cos(y) + 1 / np.cosh(y) ** 2 + 2 * y + 0.5 / np.sqrt(y))
    np.testing.assert_allclose(found(x), expected, rtol=2e-5)


def test_sparse_gradients_stay_sparse():
    assert gradient_sums.fix_order()
    table = tf.Variable(tf.ones((5, 2)))
    with tf.GradientTape() as tape:
        rows = [tf.gather(table, [place]) for place in (0, 1, 1, 4)]
        value = sum(tf.reduce_sum(row * row) for row in rows)
    found = tape.gradient(value, table)
    assert isinstance(found, tf.IndexedSlices)
    np.testing.assert_array_equal(
        tf.convert_to_tensor(found), [[2, 2], [4, 4], [0, 0], [0, 0], [2, 2]]
    )


def test_what_is_not_found_is_left(monkeypatch):
    monkeypatch.delattr(backprop, "_default_vspace")
    assert not gradient_sums.fix_order()
