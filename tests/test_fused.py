"""Updates by one kernel a weight, against those of Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from official.optim import fused, optimizers, rates, schedules

SCHEDULE = schedules.Cosine(learning_rate=0.05, warmup_epochs=1)
SPECS = {
    "adamw": optimizers.AdamW(schedule=SCHEDULE, weight_decay=0.1),
    "rmsprop": optimizers.RMSProp(schedule=SCHEDULE, weight_decay=0.1),
    "rmsprop without momentum": optimizers.RMSProp(schedule=SCHEDULE, momentum=0.0),
    "sgd": optimizers.SGD(schedule=SCHEDULE, weight_decay=0.1),
    "nesterov": optimizers.SGD(schedule=SCHEDULE, nesterov=True),
    "sgd without momentum": optimizers.SGD(schedule=SCHEDULE, momentum=0.0),
    "averaged": optimizers.AdamW(schedule=SCHEDULE, ema_decay=0.9, clip_norm=1.0),
    # The gradients' norms are about 4.7.
    "clipped now and then": optimizers.SGD(schedule=SCHEDULE, clip_norm=4.7),
}


def trained(spec, *, factors=()):
    """All variables of weights and optimizer after some steps of random gradients."""
    keras.utils.set_random_seed(0)
    variables = [
        keras.Variable(np.ones((5, 3), "float32"), name="kernel"),
        keras.Variable(np.ones(7, "float32"), name="bias"),
    ]
    optimizer = spec.build(
        variables, total_steps=10, steps_per_epoch=5, factors=factors
    )
    optimizer.build(variables)
    apply = tf.function(lambda gradients: optimizer.apply(gradients, variables))
    generator = np.random.default_rng(0)
    for _ in range(8):
        apply(
            [tf.constant(generator.normal(size=v.shape), "float32") for v in variables]
        )
    values = [*variables, *optimizer.variables]
    return {v.path.partition("/")[2] or v.path: np.asarray(v) for v in values}


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("factors", [(), (0.1, 2.0)])
def test_an_update_is_that_of_keras(name, factors, monkeypatch):
    ours = trained(SPECS[name], factors=factors)
    monkeypatch.setattr(fused, "fuse", lambda optimizer: None)
    theirs = trained(SPECS[name], factors=factors)
    assert ours.keys() == theirs.keys()
    for path, value in theirs.items():
        # Eight steps of float32 formulas that round in another order.
        np.testing.assert_allclose(
            ours[path], value, rtol=2e-5, atol=1e-6, err_msg=path
        )


@pytest.mark.parametrize(
    "gradients",
    [
        [[3.0, 4.0], [12.0]],
        [[0.3, 0.4], [0.0]],
        [[3e19, 4.0], [1.0]],
        [[float("inf"), 4.0], [1.0]],
        [[float("nan"), 4.0], [1.0]],
        [[3.0, 4.0], None],
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_gradients_are_clipped_as_by_keras(gradients, dtype):
    given = [None if each is None else tf.constant(each, dtype) for each in gradients]
    theirs = keras.optimizers.SGD(0.1, global_clipnorm=6.5)
    ours = keras.optimizers.SGD(0.1, global_clipnorm=6.5)
    fused.fuse(ours)
    for mine, other in zip(
        ours._clip_gradients(given), theirs._clip_gradients(given), strict=True
    ):
        if other is None:
            assert mine is None
            continue
        assert mine.dtype == dtype
        np.testing.assert_allclose(mine, other, rtol=2e-3)


def op_types(spec):
    variables = [
        keras.Variable(np.ones((5, 3), "float32"), name=f"{n}_kernel")
        for n in range(20)
    ]
    optimizer = spec.build(variables, total_steps=10, steps_per_epoch=5)
    optimizer.build(variables)
    gradients = [tf.ones(v.shape) for v in variables]
    step = tf.function(lambda: optimizer.apply(gradients, variables))
    return [op.type for op in step.get_concrete_function().graph.get_operations()]


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("adamw", "ResourceApplyAdam"),
        ("rmsprop", "ResourceApplyRMSProp"),
        ("sgd", "ResourceApplyKerasMomentum"),
    ],
)
def test_every_weight_takes_one_kernel_and_the_schedule_is_evaluated_once(name, kernel):
    found = op_types(SPECS[name])
    assert found.count(kernel) == 20
    # Once for the update, once for the weight decay.
    assert found.count("Cos") <= 2


def test_clipping_reads_every_gradient_once_for_their_norm():
    types = op_types(optimizers.SGD(schedule=SCHEDULE, clip_norm=1.0))
    assert types.count("L2Loss") == 20
    assert "Square" not in types


def test_a_weight_that_is_frozen_keeps_its_average():
    variable = keras.Variable(np.full(3, 0.1, "float32"), name="kernel")
    spec = optimizers.SGD(schedule=SCHEDULE, ema_decay=0.99)
    optimizer = spec.build([variable], total_steps=10, steps_per_epoch=5)
    optimizer.build([variable])
    for _ in range(5):
        optimizer.apply([tf.zeros(3)], [variable])
    average = optimizer._model_variables_moving_average[0]
    np.testing.assert_array_equal(average, variable)


def test_a_single_step_outside_apply_has_the_powers_of_its_step():
    variable = keras.Variable(np.ones(3, "float32"), name="kernel")
    optimizer = SPECS["adamw"].build([variable], total_steps=10, steps_per_epoch=5)
    optimizer.build([variable])
    optimizer.update_step(tf.ones(3), variable, 0.1)
    # Adam's first step is the learning rate, whatever the gradient.
    np.testing.assert_allclose(variable, 0.9, atol=1e-5)


def test_rates_scale_what_is_fused():
    one, ten = (
        keras.Variable(np.ones(3, "float32"), name="a"),
        keras.Variable(np.ones(3, "float32"), name="b"),
    )
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.0)
    fused.fuse(optimizer)
    rates.scale(optimizer, (1.0, 10.0))
    optimizer.build([one, ten])
    optimizer.apply([tf.ones(3), tf.ones(3)], [one, ten])
    np.testing.assert_allclose(one, 0.99, atol=1e-5)
    np.testing.assert_allclose(ten, 0.90, atol=1e-5)
