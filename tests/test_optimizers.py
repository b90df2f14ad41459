"""What each field of an optimizer does to a step."""

import dataclasses

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
    spec = optimizers.SGD(schedule=CONSTANT, momentum=0.0, ema_decay=0.4)
    optimizer = spec.build(variables, total_steps=10, steps_per_epoch=5)
    optimizer.build(variables)
    kernel, expected = variables[0], np.zeros(variables[0].shape)
    # Closely at first: 2/11, 3/12 and so on, until the decay is less.
    for decay in (0, 2 / 11, 3 / 12, 4 / 13, 5 / 14, 6 / 15, 0.4, 0.4):
        gradients = [keras.ops.ones(v.shape) for v in variables]
        optimizer.apply(gradients, variables)
        expected = decay * expected + (1 - decay) * np.asarray(kernel)
    average = np.asarray(optimizer._model_variables_moving_average[0])
    assert average == pytest.approx(expected, rel=1e-5)


def test_a_decay_of_one_is_refused():
    with pytest.raises(ValueError, match=r"ema_decay 1\.0: want at least 0, below 1"):
        optimizers.SGD(schedule=CONSTANT, ema_decay=1.0)


SPECS = [
    optimizers.SGD(schedule=CONSTANT),
    optimizers.SGD(schedule=CONSTANT, nesterov=True, weight_decay=0.1),
    optimizers.RMSProp(schedule=CONSTANT, weight_decay=0.1),
    optimizers.AdamW(schedule=CONSTANT, weight_decay=0.1),
]


def after_steps(
    spec: optimizers.Optimizer, factors: tuple[float, ...] = ()
) -> dict[str, np.ndarray]:
    """Each weight after three steps with given gradients."""
    random = np.random.default_rng(0)
    variables = network().trainable_variables
    for variable in variables:
        variable.assign(random.normal(size=variable.shape))
    optimizer = spec.build(variables, total_steps=9, steps_per_epoch=3, factors=factors)
    optimizer.build(variables)
    for _ in range(3):
        optimizer.apply(
            [
                keras.ops.convert_to_tensor(random.normal(size=v.shape))
                for v in variables
            ],
            variables,
        )
    return {v.path: np.asarray(v) for v in variables}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_a_factor_is_another_learning_rate_for_its_weight_alone(spec):
    """Also for the decay, and where the rule divides by the gradient's size."""
    names = list(after_steps(spec))
    factors = tuple(0.25 if name.startswith("conv/") else 1.0 for name in names)
    slow = dataclasses.replace(spec, schedule=schedules.Constant(learning_rate=0.125))
    found = after_steps(spec, factors)
    usual, slower = after_steps(spec), after_steps(slow)
    for name in names:
        wanted = slower if name.startswith("conv/") else usual
        np.testing.assert_array_equal(found[name], wanted[name])
        assert not np.allclose(usual[name], slower[name], atol=1e-3)


def test_the_average_of_a_frozen_weight_is_the_weight():
    variables = network().trainable_variables
    spec = optimizers.SGD(schedule=CONSTANT, ema_decay=0.9)
    optimizer = spec.build(variables, total_steps=9, steps_per_epoch=3)
    optimizer.build(variables)
    kernel, others = variables[0], variables[1:]
    kernel.assign(np.full(kernel.shape, 0.1))
    before = np.asarray(kernel)
    kernel.trainable = False
    for _ in range(20):
        optimizer.apply([keras.ops.ones(v.shape) for v in others], others)
    average = optimizer._model_variables_moving_average[0]
    np.testing.assert_array_equal(np.asarray(average), before)
    # Released, it is averaged from where it stood.
    kernel.trainable = True
    optimizer.apply([keras.ops.ones(v.shape) for v in variables], variables)
    # In step 20 the decay is 21 / 30.
    expected = 0.7 * before + 0.3 * np.asarray(kernel)
    np.testing.assert_allclose(np.asarray(average), expected, rtol=1e-6)


def test_the_end_of_fit_leaves_the_weights_beside_their_average():
    variables = network().trainable_variables
    spec = optimizers.SGD(schedule=CONSTANT, ema_decay=0.9)
    optimizer = spec.build(variables, total_steps=9, steps_per_epoch=3)
    optimizer.build(variables)
    for _ in range(3):
        optimizer.apply([keras.ops.ones(v.shape) for v in variables], variables)
    weights = [np.asarray(v) for v in variables]
    averages = [np.asarray(v) for v in optimizer._model_variables_moving_average]
    assert not np.allclose(weights[0], averages[0], atol=1e-3)
    variables[0].trainable = False
    optimizer.finalize_variable_values(variables[1:])  # what `fit` calls
    for variable, weight in zip(variables, weights, strict=True):
        np.testing.assert_array_equal(np.asarray(variable), weight)
