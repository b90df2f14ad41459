"""What each field of an optimizer does to a step."""

import keras
import numpy as np
import pytest

from official.optim import optimizers, schedules

CONSTANT = schedules.Constant(learning_rate=0.5)


def network() -> keras.Model:
    images = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(2, 1, name="conv", use_bias=True)(images)
    x = keras.layers.BatchNormalization(name="norm")(x)
    return keras.Model(images, x)


def after_a_step(spec: optimizers.Optimizer, gradient: float) -> dict[str, np.ndarray]:
    """Each weight, all ones before, after one step with a constant gradient."""
    variables = network().trainable_variables
    for variable in variables:
        variable.assign(np.ones(variable.shape))
    optimizer = spec.build(variables, total_steps=10, steps_per_epoch=5)
    optimizer.build(variables)
    gradients = [keras.ops.full(v.shape, gradient) for v in variables]
    optimizer.apply(gradients, variables)
    return {v.path: np.asarray(v) for v in variables}


@pytest.mark.parametrize("kind", [optimizers.SGD, optimizers.RMSProp, optimizers.AdamW])
def test_weight_decay_spares_biases_and_norms(kind):
    weights = after_a_step(kind(schedule=CONSTANT, weight_decay=0.1), 0.0)
    assert weights["conv/kernel"] == pytest.approx(1 - 0.5 * 0.1)
    for spared in ("conv/bias", "norm/gamma", "norm/beta"):
        assert weights[spared] == pytest.approx(1)


def test_sgd_follows_the_schedule():
    weights = after_a_step(optimizers.SGD(schedule=CONSTANT), 0.2)
    assert weights["conv/kernel"] == pytest.approx(1 - 0.5 * 0.2)


def test_clipping_bounds_the_global_norm():
    weights = after_a_step(optimizers.SGD(schedule=CONSTANT, clip_norm=0.1), 3.0)
    moved = np.concatenate([1 - value.ravel() for value in weights.values()])
    assert np.linalg.norm(moved) == pytest.approx(0.5 * 0.1, rel=1e-4)


def test_the_moving_average_trails_the_weights():
    variables = network().trainable_variables
    spec = optimizers.SGD(schedule=CONSTANT, momentum=0.0, ema_decay=0.9)
    optimizer = spec.build(variables, total_steps=10, steps_per_epoch=5)
    optimizer.build(variables)
    kernel, expected = variables[0], None
    for _ in range(3):
        gradients = [keras.ops.ones(v.shape) for v in variables]
        optimizer.apply(gradients, variables)
        now = np.asarray(kernel)
        expected = now if expected is None else 0.9 * expected + 0.1 * now
    optimizer.finalize_variable_values(variables)
    assert np.asarray(kernel) == pytest.approx(expected, rel=1e-5)


def test_a_decay_of_one_is_refused():
    with pytest.raises(ValueError, match=r"ema_decay 1\.0: want at least 0, below 1"):
        optimizers.SGD(schedule=CONSTANT, ema_decay=1.0)
