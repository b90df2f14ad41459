"""Training without TensorFlow's optimizer of graphs."""

import numpy as np
import one_of_each_task
import pytest
import tensorflow as tf

from official.layers import depthwise
from official.training import graph_passes, preparation, session

OFF = "disable_meta_optimizer"


@pytest.fixture(autouse=True)
def options():
    before = tf.config.optimizer.get_experimental_options()
    yield
    tf.config.optimizer.set_experimental_options({OFF: False} | before)


def _after_a_step(name: str, *, off: bool) -> list[np.ndarray]:
    """Loss and weights."""
    experiment = one_of_each_task.experiments()[name]
    model = preparation.model(experiment, fresh=True)
    tf.config.optimizer.set_experimental_options({OFF: off})
    batches = session.training_batches(experiment, start_step=0)
    history = model.fit(batches.take(1), verbose=0, shuffle=False).history
    weights = [np.asarray(weight) for weight in model.network.weights]
    return [np.asarray(history["loss"]), *weights]


@pytest.mark.parametrize("name", one_of_each_task.ALL)
def test_a_step_without_the_optimizer_is_the_same_but_for_rounding(name):
    without, optimized = (_after_a_step(name, off=off) for off in (True, False))
    for a, b in zip(without, optimized, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_with_a_gpu_it_stays(monkeypatch):
    tf.config.optimizer.set_experimental_options({OFF: False})
    monkeypatch.setattr(depthwise, "on_cpu", lambda: False)
    graph_passes.spare()
    assert not tf.config.optimizer.get_experimental_options().get(OFF)
    monkeypatch.undo()
    graph_passes.spare()
    assert tf.config.optimizer.get_experimental_options()[OFF]
