"""The function that `fit` calls for a step: what compiles it, and what is made later."""

import dataclasses
import types

import numpy as np
import pytest
import small_classifier
import tensorflow as tf
from tensorflow.python.framework import config

from official import failures
from official.training import networks, preparation, session, trainable


def prepared(**settings):
    """An experiment with these settings of its trainer, and its model."""
    chosen = small_classifier.experiment()
    trainer = dataclasses.replace(chosen.trainer, **settings)
    # XLA draws other random numbers.
    head = dataclasses.replace(chosen.task.head, dropout=0.0)
    task = dataclasses.replace(chosen.task, head=head)
    chosen = dataclasses.replace(chosen, task=task, trainer=trainer)
    return chosen, preparation.model(chosen, fresh=True)


def fitted(experiment, model, *, steps):
    batches = session.training_batches(experiment, start_step=0)
    return model.fit(batches, steps_per_epoch=steps, verbose=0, shuffle=False).history


def test_of_several_steps_an_execution_all_are_taken():
    experiment, model = prepared()
    model.compile(model.optimizer, steps_per_execution=2)
    fitted(experiment, model, steps=4)
    assert int(model.optimizer.iterations) == 4


@pytest.mark.parametrize("eagerly", [False, True])
def test_a_step_runs_eagerly_where_that_is_asked_for(eagerly, monkeypatch):
    experiment, model = prepared()
    model.compile(model.optimizer, run_eagerly=eagerly)
    seen = []
    step = trainable.Trainable.train_step

    def train_step(self, *arguments):
        seen.append(tf.executing_eagerly())
        return step(self, *arguments)

    monkeypatch.setattr(trainable.Trainable, "train_step", train_step)
    fitted(experiment, model, steps=1)
    assert seen[-1] is eagerly


@pytest.fixture
def any_kernels():
    """Deterministic ones are asked for process by process."""
    before = config.is_op_determinism_enabled()
    config.disable_op_determinism()
    yield
    if before:
        config.enable_op_determinism()


def test_a_step_compiled_with_xla_is_the_step(any_kernels):
    del any_kernels
    losses = []
    for compiled in (False, True):
        experiment, model = prepared(jit_compile=compiled, deterministic=False)
        assert model.jit_compile is compiled
        losses.append(fitted(experiment, model, steps=2)["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-4)


@pytest.mark.parametrize(
    ("replicas", "deterministic", "way_out"),
    [
        (1, True, r"trainer\.deterministic = False"),
        (2, False, r"trainer\.jit_compile = False"),
    ],
)
def test_what_xla_cannot_compile_is_refused(replicas, deterministic, way_out):
    experiment, _ = prepared()
    trainer = dataclasses.replace(
        experiment.trainer, jit_compile=True, deterministic=deterministic
    )
    strategy = types.SimpleNamespace(num_replicas_in_sync=replicas)
    with pytest.raises(failures.RequestError, match=way_out):
        preparation._require_compilable(trainer, strategy)


def test_what_is_wrong_with_the_evaluation_ends_the_first_step(tmp_path, monkeypatch):
    experiment, model = prepared(steps_per_epoch=3)
    build = networks.build

    def refusing(chosen, *, training):
        if not training:
            raise failures.RequestError("no such form for evaluation")
        return build(chosen, training=training)

    monkeypatch.setattr(networks, "build", refusing)
    with pytest.raises(failures.RequestError, match="no such form"):
        session.train(experiment, tmp_path, model)
    assert int(model.optimizer.iterations) == 1
