import numpy as np
import one_of_each_task
import pytest
import tensorflow as tf

from official.layers import depthwise
from official.training import graph_passes, preparation, session


@pytest.fixture(autouse=True)
def options():
    before = tf.config.optimizer.get_experimental_options()
    yield
    names = dict.fromkeys(graph_passes.IDLE, True)
    tf.config.optimizer.set_experimental_options(names | before)


def _trained(folder) -> list[np.ndarray]:
    experiment = one_of_each_task.experiments()["segmentation"]
    model = preparation.model(experiment, fresh=True)
    session.train(experiment, folder, model)
    return [np.asarray(weight) for weight in model.network.weights]


def test_without_the_idle_passes_a_training_ends_with_the_same_bits(
    tmp_path, monkeypatch
):
    without = _trained(tmp_path / "without")
    on = dict.fromkeys(graph_passes.IDLE, True)
    monkeypatch.setattr(
        graph_passes,
        "spare_idle",
        lambda: tf.config.optimizer.set_experimental_options(on),
    )
    for a, b in zip(without, _trained(tmp_path / "with"), strict=True):
        np.testing.assert_array_equal(a, b)


def test_with_a_gpu_nothing_is_left_out(monkeypatch):
    on = dict.fromkeys(graph_passes.IDLE, True)
    tf.config.optimizer.set_experimental_options(on)
    monkeypatch.setattr(depthwise, "on_cpu", lambda: False)
    graph_passes.spare_idle()
    assert tf.config.optimizer.get_experimental_options().items() >= on.items()
    monkeypatch.undo()
    graph_passes.spare_idle()
    off = dict.fromkeys(graph_passes.IDLE, False)
    assert tf.config.optimizer.get_experimental_options().items() >= off.items()
