"""What is saved comes back; what is damaged says so."""

import errno
import os

import keras
import numpy as np
import pytest

from official import failures
from official.optim import optimizers, schedules
from official.training import checkpoints


def network(filters: int = 2) -> keras.Model:
    images = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(filters, 1, name="conv")(images)
    x = keras.layers.BatchNormalization(name="norm")(x)
    return keras.Model(images, keras.layers.Dropout(0.5, seed=1, name="drop")(x))


def optimizer_of(model: keras.Model, *, ema_decay: float = 0.9):
    spec = optimizers.SGD(
        schedule=schedules.Constant(learning_rate=0.1), ema_decay=ema_decay
    )
    optimizer = spec.build(model.trainable_variables, total_steps=9, steps_per_epoch=3)
    optimizer.build(model.trainable_variables)
    return optimizer


def stepped(model: keras.Model, optimizer, steps: int) -> None:
    model(np.ones((1, 4, 4, 3)), training=True)
    for step in range(steps):
        gradients = [
            keras.ops.full(v.shape, step + 1.0) for v in model.trainable_variables
        ]
        optimizer.apply(gradients, model.trainable_variables)


@pytest.fixture
def saved(tmp_path):
    model = network()
    optimizer = optimizer_of(model)
    stepped(model, optimizer, 3)
    state = checkpoints.State(
        step=3, epoch=1, best=0.5, best_epoch=1, class_names=("a", "b")
    )
    file = tmp_path / "checkpoints" / "last.npz"
    checkpoints.save(file, network=model, optimizer=optimizer, state=state)
    return file, model, optimizer, state


def test_everything_comes_back_to_the_bit(saved):
    file, model, optimizer, state = saved
    again = network()
    fresh = optimizer_of(again)
    assert checkpoints.restore(file, network=again, optimizer=fresh) == state
    assert len(model.variables) == 7  # with the random state of the dropout
    for ours, theirs in zip(
        [*model.variables, *optimizer.variables],
        [*again.variables, *fresh.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    assert int(fresh.iterations) == 3


def test_inference_takes_the_average_of_what_has_one(saved):
    file, model, optimizer, _ = saved
    weights = checkpoints.inference_weights(file)
    average = checkpoints.averaged(optimizer)
    assert set(average) == {v.path for v in model.trainable_variables}
    np.testing.assert_array_equal(weights["conv/kernel"], average["conv/kernel"])
    assert not np.allclose(weights["conv/kernel"], np.asarray(model.layers[1].kernel))
    np.testing.assert_array_equal(
        weights["norm/moving_mean"], np.asarray(model.layers[2].moving_mean)
    )


def test_without_an_average_inference_takes_the_weights(tmp_path):
    model = network()
    optimizer = optimizer_of(model, ema_decay=0.0)
    assert checkpoints.averaged(optimizer) == {}
    file = tmp_path / "last.npz"
    checkpoints.save(
        file, network=model, optimizer=optimizer, state=checkpoints.State()
    )
    weights = checkpoints.inference_weights(file)
    np.testing.assert_array_equal(
        weights["conv/kernel"], np.asarray(model.layers[1].kernel)
    )


def test_weights_that_are_not_numbers_never_replace_a_checkpoint(saved):
    file, model, optimizer, state = saved
    before = file.read_bytes()
    model.layers[1].bias.assign([np.nan, 0])
    with pytest.raises(failures.RunError, match=r"conv/bias holds NaN .* at step 3"):
        checkpoints.save(file, network=model, optimizer=optimizer, state=state)
    assert file.read_bytes() == before


def test_a_damaged_file_is_named(saved):
    file, model, optimizer, _ = saved
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(failures.RunError, match=r"last\.npz: damaged checkpoint"):
        checkpoints.restore(file, network=model, optimizer=optimizer)


def test_another_network_is_refused_with_both_shapes(saved):
    file, *_ = saved
    other = network(filters=5)
    with pytest.raises(
        failures.RunError,
        match=r"conv/kernel has shape \(1, 1, 3, 2\), .*\(1, 1, 3, 5\)",
    ):
        checkpoints.restore(file, network=other, optimizer=optimizer_of(other))


def test_another_optimizer_is_refused(saved):
    file, model, *_ = saved
    with pytest.raises(failures.RunError, match="optimizer variables"):
        checkpoints.restore(
            file, network=model, optimizer=optimizer_of(model, ema_decay=0.0)
        )


def test_a_folder_that_cannot_be_written_is_named(saved, tmp_path):
    _, model, optimizer, state = saved
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match="file"):
        checkpoints.save(
            tmp_path / "file" / "last.npz",
            network=model,
            optimizer=optimizer,
            state=state,
        )


def test_a_full_disk_leaves_the_old_checkpoint_and_nothing_else(saved, monkeypatch):
    file, model, optimizer, state = saved
    before = file.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device.*last\.npz"):
        checkpoints.save(file, network=model, optimizer=optimizer, state=state)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["last.npz"]
