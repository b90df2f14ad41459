"""Training with one pass of TensorFlow's optimizer of graphs."""

import keras
import numpy as np
import one_of_each_task
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.eager import context

from official.layers import batch_norm, depthwise
from official.training import graph_passes, preparation, session

OFF = "disable_meta_optimizer"


@pytest.fixture(autouse=True)
def options():
    found = context.context()
    before = found.get_optimizer_experimental_options()
    chosen = found.function_call_options
    yield
    tf.config.optimizer.set_experimental_options({OFF: False} | before)
    found.function_call_options = chosen


def _all_passes() -> None:
    tf.config.optimizer.set_experimental_options({OFF: False})


def _no_pass() -> None:
    tf.config.optimizer.set_experimental_options({OFF: True})


def _after_a_step(name: str, setting) -> list[np.ndarray]:
    """Loss and weights."""
    experiment = one_of_each_task.experiments()[name]
    model = preparation.model(experiment, fresh=True)
    setting()
    batches = session.training_batches(experiment, start_step=0)
    history = model.fit(batches.take(1), verbose=0, shuffle=False).history
    weights = [np.asarray(weight) for weight in model.network.weights]
    return [np.asarray(history["loss"]), *weights]


@pytest.mark.parametrize("name", one_of_each_task.ALL)
def test_a_step_without_the_others_is_the_same_but_for_rounding(name):
    spared, optimized = (
        _after_a_step(name, each) for each in (graph_passes.spare, _all_passes)
    )
    for a, b in zip(spared, optimized, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def _trained_norm(setting) -> list[np.ndarray]:
    """Outputs, gradients and statistics of a norm with a ReLU behind it."""
    keras.utils.set_random_seed(0)
    layer = batch_norm.BatchNormalization(momentum=0.9)
    images = np.random.default_rng(0).normal(2, 3, (4, 5, 3, 6)).astype("float32")
    layer.build(images.shape)
    setting()

    @tf.function(autograph=False)
    def step(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = tf.nn.relu(layer(images, training=True))
            loss = tf.reduce_sum(tf.sin(outputs))
        weights = [variable.value for variable in layer.trainable_variables]
        return outputs, *tape.gradient(loss, [images, *weights])

    results = [np.asarray(each) for each in step(tf.constant(images))]
    return [*results, *(np.asarray(weight) for weight in layer.weights)]


def test_a_norm_merged_with_a_relu_trains_as_one_that_is_not():
    merged, single = map(_trained_norm, (graph_passes.spare, _no_pass))
    assert len(merged) == 8
    for a, b in zip(merged, single, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def _ops_run() -> set[str]:
    """Of a norm and a ReLU in training, and of a sum that could be folded."""

    @tf.function(autograph=False)
    def step(images):
        outputs, *_ = tf.raw_ops.FusedBatchNormV3(
            x=images,
            scale=tf.ones([4]),
            offset=tf.zeros([4]),
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            is_training=True,
        )
        return tf.nn.relu(outputs) * (tf.constant(2.0) + tf.constant(3.0))

    found = context.context()
    found.enable_graph_collection()
    step(tf.ones([2, 8, 8, 4]))
    graphs = found.export_run_metadata().function_graphs
    found.disable_graph_collection()
    return {node.op for graph in graphs for node in _nodes(graph)}


def _nodes(graph):
    optimized = graph.post_optimization_graph
    yield from optimized.node
    for function in optimized.library.function:
        yield from function.node_def


def test_norms_and_relus_are_merged_and_nothing_else():
    graph_passes.spare()
    ops = _ops_run()
    assert "_FusedBatchNormEx" in ops
    assert "Relu" not in ops
    assert "AddV2" in ops


def _property_gone(monkeypatch):
    monkeypatch.delattr(context.Context, "function_call_options")


def _arguments_changed(monkeypatch):
    options = context.FunctionCallOptions
    monkeypatch.setattr(context, "FunctionCallOptions", lambda: options())


@pytest.mark.parametrize("release", [_property_gone, _arguments_changed])
def test_in_a_release_that_sets_it_otherwise_all_passes_stay_out(release, monkeypatch):
    tf.config.optimizer.set_experimental_options({OFF: True})
    _ = context.context().function_call_options  # As TensorFlow has it from there on.
    release(monkeypatch)
    graph_passes.spare()
    monkeypatch.undo()
    assert {"FusedBatchNormV3", "Relu", "AddV2"} <= _ops_run()


def test_norms_of_float16_are_not_merged():
    graph_passes.spare(precision="mixed_float16")
    assert {"FusedBatchNormV3", "Relu"} <= _ops_run()


def test_where_operations_may_run_stays_as_chosen():
    tf.config.set_soft_device_placement(False)
    try:
        graph_passes.spare()
        stored = context.context().function_call_options.config_proto_serialized
        placed = config_pb2.ConfigProto.FromString(stored)
        assert not placed.allow_soft_placement
    finally:
        tf.config.set_soft_device_placement(True)


def test_with_a_gpu_it_stays(monkeypatch):
    tf.config.optimizer.set_experimental_options({OFF: False})
    monkeypatch.setattr(depthwise, "on_cpu", lambda: False)
    graph_passes.spare()
    assert not tf.config.optimizer.get_experimental_options().get(OFF)
    monkeypatch.undo()
    graph_passes.spare()
    assert tf.config.optimizer.get_experimental_options()[OFF]
