"""Training with one pass of TensorFlow's optimizer of graphs."""

import numpy as np
import one_of_each_task
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from official.layers import depthwise
from official.training import graph_passes, preparation, session

OFF = "disable_meta_optimizer"


@pytest.fixture(autouse=True)
def options():
    before = tf.config.optimizer.get_experimental_options()
    yield
    tf.config.optimizer.set_experimental_options({OFF: False} | before)


def _after_a_step(name: str, *, spared: bool) -> list[np.ndarray]:
    """Loss and weights."""
    experiment = one_of_each_task.experiments()[name]
    model = preparation.model(experiment, fresh=True)
    tf.config.optimizer.set_experimental_options({OFF: False})
    if spared:
        graph_passes.spare()
    batches = session.training_batches(experiment, start_step=0)
    history = model.fit(batches.take(1), verbose=0, shuffle=False).history
    weights = [np.asarray(weight) for weight in model.network.weights]
    return [np.asarray(history["loss"]), *weights]


@pytest.mark.parametrize("name", one_of_each_task.ALL)
def test_a_step_without_the_others_is_the_same_but_for_rounding(name):
    spared, optimized = (_after_a_step(name, spared=each) for each in (True, False))
    for a, b in zip(spared, optimized, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


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


def test_without_the_private_names_all_passes_stay_out(monkeypatch):
    monkeypatch.delattr(context, "FunctionCallOptions")
    assert not graph_passes._merge_alone()
    monkeypatch.undo()
    assert graph_passes._merge_alone()


def test_with_a_gpu_it_stays(monkeypatch):
    tf.config.optimizer.set_experimental_options({OFF: False})
    monkeypatch.setattr(depthwise, "on_cpu", lambda: False)
    graph_passes.spare()
    assert not tf.config.optimizer.get_experimental_options().get(OFF)
    monkeypatch.undo()
    graph_passes.spare()
    assert tf.config.optimizer.get_experimental_options()[OFF]
