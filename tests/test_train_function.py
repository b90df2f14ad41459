"""The function that `fit` calls for a step: what compiles it, and what is made later."""

import dataclasses
import signal
import types

import numpy as np
import pytest
import small_classifier
import tensorflow as tf
from tensorflow.python.framework import config

from official import failures
from official.quantization import scheme
from official.training import callbacks, networks, preparation, session, trainable


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


def trained(folder, **settings) -> tuple[list[int], list[np.ndarray]]:
    """Steps at which something was saved; weights and the optimizer's variables."""
    experiment, model = prepared(**settings)
    saved, save = [], callbacks.Guard.save

    def save_and_note(self, which):
        save(self, which)
        saved.append(self.state.step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks.Guard, "save", save_and_note)
        session.train(experiment, folder, model)
    assert int(model.optimizer.iterations) == experiment.trainer.epochs * 5
    weights = [*model.network.weights, *model.optimizer.variables]
    return sorted(set(saved)), [np.asarray(each) for each in weights]


def test_steps_in_loops_are_the_steps_one_by_one(tmp_path):
    """Of an epoch of 5 steps in loops of 2 the last loop has one."""
    settings = {"epochs": 2, "steps_per_epoch": 5, "checkpoint_steps": 3}
    single = trained(tmp_path / "single", **settings)
    loops = trained(tmp_path / "loops", steps_per_loop=2, **settings)
    assert single[0] == [3, 5, 6, 9, 10]
    assert loops[0] == [4, 5, 7, 9, 10]
    for a, b in zip(single[1], loops[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_run_in_loops_goes_on_in_loops_of_another_length(tmp_path, monkeypatch):
    settings = {"epochs": 2, "steps_per_epoch": 5, "checkpoint_steps": 100}
    _, whole = trained(tmp_path / "whole", **settings)
    end, folder = callbacks.Guard.on_train_batch_end, tmp_path / "parts"

    def interrupting(self, batch, logs=None):
        if self.state.step == 5:
            self._signal = signal.SIGTERM
        end(self, batch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Guard, "on_train_batch_end", interrupting)
        with pytest.raises(failures.Interrupted, match="at step 7"):
            trained(folder, steps_per_loop=2, **settings)
    _, parts = trained(folder, steps_per_loop=3, **settings)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loss_that_is_not_a_number_ends_the_loops(tmp_path, monkeypatch):
    experiment, model = prepared(steps_per_epoch=8, steps_per_loop=2)
    compute = trainable.Trainable.compute_loss

    def diverging(self, *arguments, **settings):
        count = tf.cast(self.optimizer.iterations.value, tf.float32)
        return compute(self, *arguments, **settings) / tf.where(count >= 3, 0.0, 1.0)

    monkeypatch.setattr(trainable.Trainable, "compute_loss", diverging)
    with pytest.raises(failures.RunError, match="at step 4"):
        session.train(experiment, tmp_path, model)


@pytest.mark.parametrize("quantized", [False, True])
def test_loops_that_cannot_be_are_refused(quantized):
    chosen = small_classifier.experiment()
    trainer = dataclasses.replace(chosen.trainer, steps_per_loop=2 if quantized else 0)
    chosen = dataclasses.replace(chosen, trainer=trainer)
    if quantized:
        chosen = dataclasses.replace(chosen, quantization=scheme.QuantScheme())
    with pytest.raises(failures.RequestError, match=r"trainer\.steps_per_loop = "):
        preparation.model(chosen, fresh=True)


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
