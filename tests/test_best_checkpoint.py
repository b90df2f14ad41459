"""Which checkpoint of a run is its best."""

import types

import keras
import pytest

from official.training import callbacks, checkpoints


class Guard:
    """Holds a state, and notes what is saved."""

    def __init__(self):
        self.state = checkpoints.State(step=0, epoch=0)
        self.saved = []

    def save(self, which):
        self.saved.append((which, self.state.epoch))

    def stop_if_asked(self):
        pass


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ((0.2, 0.5, 0.4), 2),
        ((0.5, 0.5, 0.5), 1),
        # Of things nothing is found yet, while all else has improved.
        ((0.0, 0.0, 0.0), 3),
        ((0.0, 0.0, 0.1), 3),
    ],
)
def test_the_best_is_the_first_of_equals_but_for_zero(values, best):
    guard = Guard()
    finish = callbacks.Finish(guard, metric="val", patience=None)
    finish.set_model(types.SimpleNamespace(stop_training=False))
    assert isinstance(finish, keras.callbacks.Callback)
    for epoch, value in enumerate(values):
        finish.on_epoch_end(epoch, {"val": value})
    assert guard.state.best_epoch == best
    assert [e for which, e in guard.saved if which == "best"][-1] == best
