"""Runs from beginning to end, and the ways in which they end early."""

import csv
import dataclasses
import errno
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import small

from official import failures, runner
from official.data import mask_folder
from official.experiment import load_run
from official.heads import lraspp
from official.optim import optimizers, schedules
from official.tasks import evaluation, segmentation
from official.training import checkpoints, strategy

CHILD = """
import pathlib, sys
from tflite_export import quiet
quiet.import_tensorflow()
import small
from official import failures, runner
from official.data import mask_folder
from official.experiment import load_run
from official.heads import lraspp
epochs, folder, settle = int(sys.argv[1]), pathlib.Path(sys.argv[2]), float(sys.argv[3])
if settle:
    import time
    from official.training import callbacks
    ended = callbacks.Guard.on_train_batch_end
    def slow(self, batch, logs=None):
        ended(self, batch, logs)
        time.sleep(settle)
    callbacks.Guard.on_train_batch_end = slow
experiment = small.experiment(epochs=epochs, checkpoint_steps=1)
sys.exit(failures.run(
    lambda: runner.run(experiment, name="small", run_dir=folder, overwrite=False,
                       evaluate_only=False, dry_run=False), debug=False))
"""


def run(experiment, folder: pathlib.Path, **changes) -> None:
    flags = {"overwrite": False, "evaluate_only": False, "dry_run": False} | changes
    runner.run(experiment, name="small", run_dir=folder, **flags)


def child(root, folder, *, epochs=4, settle=0.0) -> subprocess.Popen:
    paths = os.pathsep.join([str(root), str(root / "tests")])
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(epochs), str(folder), str(settle)],
        env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def weights(folder: pathlib.Path, which: str = "last") -> dict[str, np.ndarray]:
    with np.load(checkpoints.path(folder, which)) as arrays:
        return {name: arrays[name] for name in arrays.files if name != "state"}


def step_of(folder: pathlib.Path) -> int:
    file = checkpoints.path(folder, "last")
    return checkpoints.state(file).step if file.exists() else 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "finished"
    run(small.experiment(), folder)
    return folder


def test_a_run_leaves_all_that_a_person_opens(finished):
    for name in (
        "config.gin",
        "metrics.csv",
        "result.json",
        "model.keras",
        "report.html",
        "run.json",
        "dataset.json",
    ):
        assert (finished / name).stat().st_size > 0, name
    assert {path.stem for path in (finished / "predictions").glob("*.png")} == {
        *map(str, range(8)),
        *(f"{kind}_{rank}" for kind in ("worst", "best") for rank in range(3)),
    }
    assert list((finished / "tensorboard").glob("events.*"))
    assert {path.name for path in (finished / "checkpoints").iterdir()} == {
        "last.npz",
        "previous.npz",
        "best.npz",
    }


def test_it_learns(finished):
    result = json.loads((finished / "result.json").read_text())
    assert result["rows"][0]["metrics"]["mean_iou"] > 2 * result["constant"]
    rows = list(csv.DictReader((finished / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert float(rows[-1]["learning_rate"]) < float(rows[0]["learning_rate"])


def test_the_best_checkpoint_is_the_epoch_with_the_best_metric(finished):
    rows = list(csv.DictReader((finished / "metrics.csv").open()))
    values = [float(row["val_mean_iou"]) for row in rows]
    state = checkpoints.state(checkpoints.path(finished, "best"))
    assert state.best_epoch == 1 + int(np.argmax(values))
    result = json.loads((finished / "result.json").read_text())
    found = result["rows"][0]["metrics"]["mean_iou"]
    assert found == pytest.approx(max(values), abs=1e-5)


def test_the_saved_network_needs_nothing_of_the_run(finished):
    import keras

    network = keras.models.load_model(finished / "model.keras")
    ours = checkpoints.inference_network(small.experiment(), finished)
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    np.testing.assert_allclose(
        network.predict_on_batch(images)["logits"],
        ours.predict_on_batch(images)["logits"],
        rtol=1e-5,
    )


def test_a_finished_run_is_not_trained_again(finished, capsys):
    before = weights(finished)
    run(small.experiment(), finished)
    after = weights(finished)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert "resuming after step 12 (epoch 4)" in capsys.readouterr().out


def test_a_run_with_more_epochs_than_are_asked_for_says_so(finished, tmp_path, capsys):
    folder = shutil.copytree(finished, tmp_path / "run")
    run(small.experiment(epochs=3), folder)
    said = " ".join(capsys.readouterr().out.split())
    assert "it has 4 epochs already, trainer.epochs is 3: nothing is trained" in said
    assert step_of(folder) == 12


def test_another_experiment_is_refused_with_what_differs(finished):
    other = dataclasses.replace(small.experiment(), seed=4)
    with pytest.raises(
        failures.RequestError, match=r"another experiment: .*--overwrite .*seed"
    ):
        run(other, finished)


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("do not lose me")
    with pytest.raises(failures.RequestError, match="is not empty and holds no run"):
        run(small.experiment(), tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").exists()


def test_overwrite_starts_afresh(finished, tmp_path):
    run(small.experiment(epochs=1), tmp_path / "run")
    run(
        small.experiment(epochs=1, deterministic=False),
        tmp_path / "run",
        overwrite=True,
    )
    assert step_of(tmp_path / "run") == 3


def test_overwrite_deletes_nothing_before_the_request_is_found_right(finished):
    before = weights(finished)
    no_data = dataclasses.replace(
        small.experiment(), dataset=mask_folder.MaskFolder(data_dir="nowhere")
    )
    wrong_start = dataclasses.replace(small.experiment(), init_from="nowhere.npz")
    for wrong in (no_data, wrong_start):
        with pytest.raises(failures.RequestError):
            run(wrong, finished, overwrite=True)
    assert all(np.array_equal(before[name], weights(finished)[name]) for name in before)


def test_a_first_try_that_failed_does_not_lock_the_folder(tmp_path):
    wrong = dataclasses.replace(small.experiment(epochs=1), init_from="nowhere.npz")
    with pytest.raises(failures.RequestError, match=r"nowhere\.npz does not exist"):
        run(wrong, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    run(small.experiment(epochs=1), tmp_path / "run")


def test_without_epochs_the_run_is_what_it_starts_from(finished, tmp_path):
    untrained = dataclasses.replace(
        small.experiment(epochs=0), init_from=str(finished), seed=4
    )
    run(untrained, tmp_path / "run")
    started = checkpoints.inference_network(small.experiment(), finished)
    ours = checkpoints.inference_network(untrained, tmp_path / "run")
    for mine, theirs in zip(ours.get_weights(), started.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert step_of(tmp_path / "run") == 0
    assert (tmp_path / "run" / "report.html").exists()


def test_the_folder_says_whose_weights_the_run_started_from(finished, tmp_path):
    wanted = dataclasses.replace(
        small.experiment(epochs=1), init_from=str(finished), seed=4
    )
    run(wanted, tmp_path / "run")
    file = tmp_path / "run" / "weights.json"
    content = json.loads(file.read_text())
    assert content["file"] == str(checkpoints.path(finished, "best"))
    assert len(content["sha256"]) == 64
    # It stays when the run goes on, and a run from scratch has none.
    more = dataclasses.replace(wanted, trainer=small.experiment(epochs=2).trainer)
    run(more, tmp_path / "run")
    assert json.loads(file.read_text()) == content
    assert not (finished / "weights.json").exists()


def test_evaluation_alone_keeps_the_rows_of_files_and_refuses_another_run(finished):
    saved = (finished / "result.json").read_text()
    content = json.loads(saved)
    row = {"name": "int8", "metrics": content["rows"][0]["metrics"], "gate": "passed"}
    content["rows"].append(row)
    (finished / "result.json").write_text(json.dumps(content))
    run(small.experiment(), finished, evaluate_only=True)
    names = [
        row["name"]
        for row in json.loads((finished / "result.json").read_text())["rows"]
    ]
    assert names == ["Keras", "int8"]
    (finished / "result.json").write_text(saved)
    other = dataclasses.replace(small.experiment(), seed=4)
    with pytest.raises(failures.RequestError, match="another experiment"):
        run(other, finished, evaluate_only=True)


def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(tmp_path, capsys):
    folder = tmp_path / "run"
    run(small.experiment(epochs=3), folder)
    last = checkpoints.path(folder, "last")
    whole = last.read_bytes()
    before = checkpoints.state(checkpoints.path(folder, "previous"))
    assert (checkpoints.state(last).epoch, before.epoch) == (3, 2)
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1  # one bit, in the middle of an array
    for content in (damaged, whole[: len(whole) // 2], b"damaged", b""):
        last.write_bytes(content)
        checkpoints.path(folder, "best").unlink()  # may be of as many steps
        capsys.readouterr()
        run(small.experiment(epochs=3), folder)
        printed = capsys.readouterr().out
        assert "last.npz: damaged checkpoint (" in printed
        assert "resuming after step 6 (epoch 2)" in printed
        assert same_arrays(last.read_bytes(), whole)
        # The one before is still there, and what was damaged lies aside.
        before = checkpoints.path(folder, "previous")
        assert checkpoints.state(before).epoch == 2
        assert (folder / "checkpoints" / "damaged.npz").read_bytes() == content
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]


def same_arrays(one: bytes, two: bytes) -> bool:
    """Whether checkpoints hold the same; times are in the archives, too."""
    with np.load(io.BytesIO(one)) as a, np.load(io.BytesIO(two)) as b:
        return a.files == b.files and all(
            np.array_equal(a[name], b[name]) for name in a.files
        )


def test_without_a_whole_checkpoint_nothing_is_lost_and_a_line_says_so(tmp_path):
    folder = tmp_path / "run"
    run(small.experiment(epochs=1), folder)
    for file in (folder / "checkpoints").iterdir():
        file.write_bytes(b"damaged")
    with pytest.raises(failures.RunError, match=r"damaged .* there is no other"):
        run(small.experiment(epochs=3), folder)
    assert (folder / "metrics.csv").exists()


def test_a_signal_in_an_evaluation_ends_it_and_the_run_goes_on_with_it(
    finished, tmp_path, monkeypatch, capsys
):
    evaluate, calls = evaluation.evaluate, []

    def interrupted(*arguments, **settings):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return evaluate(*arguments, **settings)

    monkeypatch.setattr(evaluation, "evaluate", interrupted)
    folder = tmp_path / "run"
    with pytest.raises(failures.Interrupted, match=r"SIGTERM\) at step 6: checkpoint"):
        run(small.experiment(), folder)
    state = checkpoints.state(checkpoints.path(folder, "last"))
    assert (state.step, state.epoch) == (6, 1)
    assert np.isfinite(state.pending["loss"])
    run(small.experiment(), folder)
    assert "resuming after step 6 (epoch 1)" in capsys.readouterr().out
    ours, theirs = (
        checkpoints.path(f, "last").read_bytes() for f in (folder, finished)
    )
    assert same_arrays(ours, theirs)
    ours, theirs = (
        list(csv.reader((f / "metrics.csv").open())) for f in (folder, finished)
    )
    seconds = ours[0].index("seconds")
    for mine, other in zip(ours, theirs, strict=True):
        assert (
            mine[:seconds] + mine[seconds + 1 :]
            == other[:seconds] + other[seconds + 1 :]
        )


def test_the_metric_is_shown_while_training(tmp_path, capsys):
    run(small.experiment(epochs=1), tmp_path / "run")
    assert "val mean_iou 0." in capsys.readouterr().out


def test_a_network_that_cannot_be_built_is_a_wrong_request(tmp_path):
    head = lraspp.LRASPP(low_level="C9")
    task = dataclasses.replace(small.experiment().task, head=head)
    with pytest.raises(failures.RequestError, match="C9"):
        run(dataclasses.replace(small.experiment(), task=task), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_any_integer_is_a_seed(tmp_path):
    run(dataclasses.replace(small.experiment(epochs=1), seed=-1), tmp_path / "run")
    assert step_of(tmp_path / "run") == 3


def test_an_interrupted_epoch_is_finished_to_the_same_bits(finished, root, tmp_path):
    """SIGKILL at three moments, SIGINT at one: the same weights as undisturbed."""
    folder = tmp_path / "killed"
    for number, at_step in ((9, 2), (9, 4), (signal.SIGINT, 7), (9, 10)):
        process = child(root, folder, settle=0.3)
        while step_of(folder) < at_step and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == (4 if number == signal.SIGINT else -9), errors
        if number == signal.SIGINT:
            assert "checkpoint kept in" in errors
            assert len(errors.splitlines()) == 1, errors
    process = child(root, folder)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    undisturbed, resumed = weights(finished), weights(folder)
    assert undisturbed.keys() == resumed.keys()
    for name, array in undisturbed.items():
        np.testing.assert_array_equal(array, resumed[name], err_msg=name)
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]


def test_a_loss_that_is_not_a_number_ends_the_run_and_keeps_the_checkpoint(tmp_path):
    wild = optimizers.SGD(schedule=schedules.Constant(learning_rate=1e30))
    experiment = dataclasses.replace(small.experiment(), optimizer=wild)
    with pytest.raises(
        failures.RunError, match=r"is NaN at step|is infinite at step|NaN or infinity"
    ) as caught:
        run(experiment, tmp_path / "run")
    assert "step" in str(caught.value)
    assert "learning" in str(caught.value)
    assert (
        not checkpoints.path(tmp_path / "run", "last").exists()
        or np.isfinite(weights(tmp_path / "run")["weights/conv/kernel"]).all()
    )


def test_training_stops_without_progress(tmp_path):
    still = optimizers.SGD(schedule=schedules.Constant(learning_rate=1e-12))
    experiment = dataclasses.replace(
        small.experiment(epochs=9, patience=2), optimizer=still
    )
    run(experiment, tmp_path / "run")
    state = checkpoints.state(checkpoints.path(tmp_path / "run", "last"))
    assert state.epoch < 9
    assert state.epoch == state.best_epoch + 2
    # It stays ended, and goes on when it is given more patience.
    run(experiment, tmp_path / "run")
    assert step_of(tmp_path / "run") == 3 * state.epoch
    more = dataclasses.replace(experiment.trainer, epochs=state.epoch + 1, patience=5)
    run(dataclasses.replace(experiment, trainer=more), tmp_path / "run")
    assert step_of(tmp_path / "run") == 3 * (state.epoch + 1)


def test_patience_counts_from_evaluation_to_evaluation(tmp_path):
    run(small.experiment(epochs=5, evaluate_every=5, patience=2), tmp_path / "run")
    state = checkpoints.state(checkpoints.path(tmp_path / "run", "last"))
    assert (state.epoch, state.best_epoch) == (5, 5)


def test_a_run_is_rebuilt_from_its_folder(finished):
    assert load_run(finished) == ("small", small.experiment())


def test_a_full_disk_is_one_line_and_status_one(tmp_path, monkeypatch, capsys):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    status = failures.run(
        lambda: run(small.experiment(), tmp_path / "run"), debug=False
    )
    assert status == 1
    error = capsys.readouterr().err
    assert error.startswith("error: No space left on device: ")
    assert len(error.splitlines()) == 1


def test_a_batch_that_does_not_divide_among_devices_is_refused(tmp_path, monkeypatch):
    class Three:
        num_replicas_in_sync = 3

    monkeypatch.setattr(strategy.Mirrored, "create", lambda self: Three())
    experiment = small.experiment(strategy=strategy.Mirrored())
    with pytest.raises(
        failures.RequestError, match="batch_size = 4 does not divide by the 3"
    ):
        run(experiment, tmp_path / "run")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Broken(small.Quarters):
    broken_split: str = "train"

    def records(self, split):
        return [(split, number) for number in range(self.size_of_split)]

    def read(self, record):
        split, number = record
        if split == self.broken_split and number > 0:
            raise failures.DataError(
                f"photo_{number}.png: truncated; download it again"
            )
        return super().read(number)


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_data_that_breaks_on_the_way_is_named(split, dry_run, tmp_path):
    broken = dataclasses.replace(small.experiment(), dataset=Broken(broken_split=split))
    line = r"(^|\n  )photo_\d+\.png: truncated; download it again($|\n)"
    with pytest.raises(failures.DataError, match=line):
        run(broken, tmp_path / "run", dry_run=dry_run)


def test_a_dry_run_writes_nothing(tmp_path, capsys):
    run(small.experiment(), tmp_path / "run", dry_run=True)
    assert not (tmp_path / "run").exists()
    text = capsys.readouterr().out
    assert "can be read" in text
    assert "12 steps of" in text
    assert "4 evaluations of" in text


@dataclasses.dataclass(frozen=True, kw_only=True)
class WithBranch(segmentation.Segmentation):
    """In training there is an output that no file has."""

    def build(self, *, num_classes, training):
        network = super().build(num_classes=num_classes, training=training)
        if not training:
            return network
        branch = keras.layers.Conv2D(2, 1, trainable=False, name="branch")(
            network.output["logits"]
        )
        return keras.Model(network.input, network.output | {"branch": branch})


def test_a_dry_run_evaluates_a_network_without_the_branches_of_training(
    tmp_path, capsys
):
    task = small.experiment().task
    fields = {f.name: getattr(task, f.name) for f in dataclasses.fields(task)}
    branched = dataclasses.replace(small.experiment(), task=WithBranch(**fields))
    run(branched, tmp_path / "run", dry_run=True)
    assert "4 evaluations of" in capsys.readouterr().out


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_weights_and_evaluation_in_float32(precision, tmp_path):
    run(small.experiment(epochs=2, precision=precision), tmp_path / "run")
    assert weights(tmp_path / "run")["weights/conv/kernel"].dtype == np.float32
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["rows"][0]["metrics"]["mean_iou"] > result["constant"]
    run(small.experiment(epochs=3, precision=precision), tmp_path / "run")
    assert step_of(tmp_path / "run") == 9


def test_a_device_that_is_not_there_is_refused(tmp_path):
    missing = strategy.Mirrored(devices=("GPU:7",))
    with pytest.raises(
        failures.RequestError, match=r"no GPU:7 here \(there is CPU:0\)"
    ):
        run(small.experiment(strategy=missing), tmp_path / "run")
