import contextlib
import gc

import pytest
import small

from official import runner
from official.training import callbacks, collector


@pytest.fixture(autouse=True)
def collecting():
    assert gc.isenabled()
    yield
    gc.enable()


def test_nothing_is_collected_until_the_first_step_has_been_taken(
    tmp_path, monkeypatch
):
    seen = []
    begun, ended = callbacks.Guard.on_epoch_begin, callbacks.Guard.on_train_batch_end

    def begin(self, epoch, logs=None):
        seen.append(gc.isenabled())
        begun(self, epoch, logs)

    def end(self, batch, logs=None):
        ended(self, batch, logs)
        seen.append(gc.isenabled())

    monkeypatch.setattr(callbacks.Guard, "on_epoch_begin", begin)
    monkeypatch.setattr(callbacks.Guard, "on_train_batch_end", end)
    flags = {"overwrite": False, "evaluate_only": False, "dry_run": False}
    wanted = small.experiment(epochs=1, steps_per_epoch=2)
    runner.run(wanted, name="small", run_dir=tmp_path / "run", **flags)
    assert seen == [False, True, True]


def test_it_collects_again_after_an_error():
    with contextlib.suppress(KeyError), collector.resting():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()


def test_where_nothing_is_collected_nothing_changes():
    gc.disable()
    with collector.resting():
        collector.wake()
        assert not gc.isenabled()
    assert not gc.isenabled()
