"""What of a network that starts from trained weights changes, and how."""

import dataclasses
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import small
import tensorflow as tf

from official import failures, runner
from official.backbones import base as backbones_base
from official.backbones import convolutions
from official.optim import optimizers, schedules
from official.training import checkpoints, fine_tuning, preparation, session, statistics

NORM = convolutions.Norm(momentum=0.5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ThreeLevels(backbones_base.Backbone):
    """Stride 4; the last convolution belongs to level C5, as in every backbone."""

    dropout: float = 0.1

    def __call__(self, images):
        x = convolutions.conv_norm(
            images, 4, kernel=3, stride=2, norm=NORM, activation="relu", name="stem"
        )
        x = convolutions.conv_norm(
            x, 6, kernel=3, stride=2, norm=NORM, activation="relu", name="C2_block1"
        )
        x = keras.layers.Dropout(self.dropout, name="C2_dropout")(x)
        x = convolutions.conv_norm(x, 8, norm=NORM, activation="relu", name="last")
        return {"C2": x}


def experiment(*, trainer=None, **setting):
    plain = small.experiment(**(trainer or {"epochs": 1}))
    return dataclasses.replace(
        plain,
        task=dataclasses.replace(plain.task, backbone=ThreeLevels()),
        optimizer=optimizers.AdamW(
            schedule=schedules.Constant(learning_rate=0.02),
            weight_decay=0.1,
            l2=0.01,
            ema_decay=0.7,
        ),
        fine_tuning=fine_tuning.FineTuning(**setting),
    )


def run(wanted, folder, **changes) -> None:
    flags = {"overwrite": False, "evaluate_only": False, "dry_run": False} | changes
    runner.run(wanted, name="small", run_dir=folder, **flags)


def trained(wanted, folder) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """All weights before and after a training."""
    model = preparation.model(wanted, fresh=True)
    before = {v.path: np.array(v) for v in model.network.weights}
    session.train(wanted, folder, model)
    return before, arrays(folder, "weights/")


def arrays(folder, prefix="", which="last") -> dict[str, np.ndarray]:
    with np.load(checkpoints.path(folder, which)) as file:
        return {
            name.removeprefix(prefix): file[name]
            for name in file.files
            if name.startswith(prefix) and name != "state"
        }


def moved(before, after) -> set[str]:
    return {path for path in before if not np.array_equal(before[path], after[path])}


def test_by_default_everything_moves(tmp_path):
    before, after = trained(experiment(), tmp_path)
    assert moved(before, after) == set(before)
    assert np.isfinite(after["stem_conv/kernel"]).all()


def test_frozen_weights_do_not_move_by_a_bit(tmp_path):
    before, after = trained(experiment(freeze="stem"), tmp_path)
    assert set(before) - moved(before, after) == {
        path for path in before if path.startswith("stem_")
    }
    assert not any(path.startswith("stem_") for path in arrays(tmp_path, "average/"))
    inference = checkpoints.inference_weights(checkpoints.path(tmp_path, "best"))
    np.testing.assert_array_equal(
        inference["stem_conv/kernel"], before["stem_conv/kernel"]
    )


def test_the_last_convolution_belongs_to_level_five(tmp_path):
    network = preparation.model(experiment(freeze="C5"), fresh=True).network
    assert {v.path for v in network.trainable_variables} == {
        "classes/kernel",
        "classes/bias",
    }


def test_a_level_that_the_backbone_lacks_names_those_there_are():
    with pytest.raises(
        failures.RequestError,
        match=r"fine_tuning\.freeze = 'C4': .*\(there are: stem, C2, C5\)",
    ):
        preparation.model(experiment(freeze="C4"), fresh=True)
    with pytest.raises(failures.RequestError, match=r"\(there are: none\)"):
        preparation.model(
            dataclasses.replace(
                small.experiment(), fine_tuning=fine_tuning.FineTuning(freeze="stem")
            ),
            fresh=True,
        )


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"freeze": "C6"}, r"freeze 'C6': want one of .*'embedding'.* or None"),
        ({"norm": "frozen"}, r"norm 'frozen': want one of .*'reestimate'"),
        ({"backbone_rate": 0.0}, r"backbone_rate 0\.0: want more than 0 .*set freeze"),
        ({"reestimate_batches": 0}, r"reestimate_batches 0: want 1 or more"),
        ({"unfreeze_every": 0, "freeze": "C5"}, r"unfreeze_every 0: want 1 or more"),
        ({"unfreeze_every": 2}, r"unfreeze_every: nothing is frozen; set freeze too"),
    ],
)
def test_wrong_settings_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        fine_tuning.FineTuning(**setting)


def test_norms_in_inference_mode_keep_their_statistics_and_train_scale_and_offset(
    tmp_path,
):
    before, after = trained(experiment(norm="inference"), tmp_path)
    still = set(before) - moved(before, after)
    assert still == {path for path in before if "/moving_" in path}
    model = preparation.model(experiment(norm="inference"), fresh=True)
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    layer = model.network.get_layer("stem_norm")
    inputs = model.network.input
    features = keras.Model(inputs, [layer.input, layer.output])
    put_in, came_out = map(np.asarray, features(images, training=True))
    # With moving statistics of 0 and 1 a norm only scales.
    np.testing.assert_allclose(came_out, put_in / np.sqrt(1 + 1e-3), rtol=1e-5)


def test_measured_statistics_are_those_of_one_big_batch():
    wanted = experiment(norm="reestimate")
    network = wanted.task.build(num_classes=3, training=True)
    images = np.random.default_rng(0).uniform(0, 255, (12, 32, 32, 3))
    images[4:8] *= 0.2  # the batches differ: their variances alone would be too small
    images = images.astype(np.float32)
    weights = {v.path: np.array(v) for v in network.weights}
    batches = [(part, {}) for part in np.split(images, 3)]
    reestimation = statistics.Reestimation(network, batches, wanted.fine_tuning)
    found = reestimation(weights, epoch=0)
    assert set(found) == {path for path in weights if "/moving_" in path}
    reference = wanted.task.build(num_classes=3, training=True)
    reference.set_weights(list(weights.values()))
    inputs = keras.Model(reference.input, reference.get_layer("stem_norm").input)
    values = np.asarray(inputs(images), np.float64)
    mean, variance = values.mean((0, 1, 2)), values.var((0, 1, 2))
    np.testing.assert_allclose(found["stem_norm/moving_mean"], mean, atol=1e-5)
    np.testing.assert_allclose(found["stem_norm/moving_variance"], variance, rtol=1e-4)
    # Asked again, it starts afresh.
    again = reestimation(weights, epoch=0)
    assert all(np.array_equal(found[path], again[path]) for path in found)


def test_a_norm_further_up_sees_what_the_measured_ones_below_give():
    wanted = experiment(norm="reestimate")
    network = wanted.task.build(num_classes=3, training=True)
    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3))
    weights = {v.path: np.array(v) for v in network.weights}
    reestimation = statistics.Reestimation(
        network, [(images.astype(np.float32), {})], wanted.fine_tuning
    )
    found = reestimation(weights, epoch=0)
    reference = wanted.task.build(num_classes=3, training=True)
    checkpoints.assign(reference.weights, weights | found, source="test")
    layer = reference.get_layer("last_norm")
    inputs = keras.Model(reference.input, layer.input)
    values = np.asarray(inputs(images, training=False))
    np.testing.assert_allclose(
        found["last_norm/moving_mean"], values.mean((0, 1, 2)), rtol=1e-3, atol=1e-5
    )
    np.testing.assert_allclose(
        found["last_norm/moving_variance"], values.var((0, 1, 2)), rtol=1e-3
    )


def test_frozen_norms_are_not_measured():
    wanted = experiment(freeze="stem", norm="reestimate")
    network = wanted.task.build(num_classes=3, training=True)
    weights = {v.path: np.array(v) for v in network.weights}
    images = np.zeros((2, 32, 32, 3), np.float32)
    reestimation = statistics.Reestimation(network, [(images, {})], wanted.fine_tuning)
    assert not any(path.startswith("stem_") for path in reestimation(weights, epoch=0))


def test_measured_statistics_are_evaluated_saved_as_best_and_exported(tmp_path):
    wanted = experiment(norm="reestimate", reestimate_batches=3)
    run(wanted, tmp_path / "run")
    momentum = arrays(tmp_path / "run", "weights/", "best")
    measured = arrays(tmp_path / "run", "average/", "best")
    path = "stem_norm/moving_mean"
    assert not np.allclose(momentum[path], measured[path], rtol=1e-3)
    network = checkpoints.inference_network(wanted, tmp_path / "run")
    saved = keras.models.load_model(tmp_path / "run" / "model.keras")
    for model in (network, saved):
        mean = model.get_layer("stem_norm").moving_mean
        np.testing.assert_array_equal(np.asarray(mean), measured[path])


def test_statistics_are_measured_only_where_there_is_an_evaluation(tmp_path):
    wanted = experiment(
        norm="reestimate",
        trainer={"epochs": 3, "evaluate_every": 3, "checkpoint_steps": 1},
    )
    model = preparation.model(wanted, fresh=True)
    saved = []
    save = checkpoints.save

    def watch(file, **content):
        saved.append(sorted(content["statistics"]))
        save(file, **content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "save", watch)
        session.train(wanted, tmp_path, model)
    assert len(saved) == 2 * 3 + 3 + 1
    assert all(paths == [] for paths in saved[:-2])
    assert all(len(paths) == 6 for paths in saved[-2:])


@pytest.mark.parametrize(
    ("epoch", "frozen"),
    [(0, "stem C2 C5"), (1, "stem C2 C5"), (2, "stem C2"), (4, "stem"), (6, "")],
)
def test_levels_are_released_from_the_top(epoch, frozen):
    setting = fine_tuning.FineTuning(freeze="C5", unfreeze_every=2)
    assert setting.frozen(("stem", "C2", "C5"), epoch=epoch) == tuple(frozen.split())


def test_a_released_level_moves_from_its_epoch_on(tmp_path):
    setting = {"freeze": "C2", "unfreeze_every": 1}
    before, _ = trained(experiment(**setting), tmp_path)
    for epochs, still in ((1, ("stem_", "C2_")), (2, ("stem_",)), (3, ())):
        wanted = experiment(trainer={"epochs": epochs}, **setting)
        session.train(wanted, tmp_path, preparation.model(wanted, fresh=False))
        after = arrays(tmp_path, "weights/")
        assert set(before) - moved(before, after) == {
            path for path in before if path.startswith(still)
        }
        average = arrays(tmp_path, "average/")
        for path in average:
            if path.startswith(still):
                np.testing.assert_array_equal(average[path], before[path])
    # All at once, without the stops, it is the same.
    whole = tmp_path / "whole"
    wanted = experiment(trainer={"epochs": 3}, **setting)
    session.train(wanted, whole, preparation.model(wanted, fresh=True))
    once, pieces = arrays(whole), arrays(tmp_path)
    assert set(once) == set(pieces)
    for name in once:
        np.testing.assert_array_equal(once[name], pieces[name], err_msg=name)


def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path):
    setting = {
        "freeze": "C5",
        "unfreeze_every": 1,
        "norm": "reestimate",
        "reestimate_batches": 2,
        "backbone_rate": 0.3,
    }
    trainer = {"epochs": 3, "checkpoint_steps": 1}
    wanted = experiment(trainer=trainer, **setting)
    session.train(wanted, tmp_path / "whole", preparation.model(wanted, fresh=True))
    save = checkpoints.save

    class Cut(Exception):
        pass

    def cut_after(step):
        def guarded(file, **content):
            save(file, **content)
            if content["state"].step == step:
                raise Cut

        return guarded

    for step in (2, 5, 7):  # in the middle of an epoch, each time
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(checkpoints, "save", cut_after(step))
            model = preparation.model(wanted, fresh=step == 2)
            with pytest.raises(Cut):
                session.train(wanted, tmp_path / "cut", model)
    session.train(wanted, tmp_path / "cut", preparation.model(wanted, fresh=False))
    for which in ("last", "best"):
        whole = arrays(tmp_path / "whole", which=which)
        cut = arrays(tmp_path / "cut", which=which)
        assert set(whole) == set(cut)
        for name in whole:
            np.testing.assert_array_equal(whole[name], cut[name], err_msg=name)


MIRRORED = """
import dataclasses, pathlib, sys
from tflite_export import quiet
quiet.import_tensorflow()
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2)
import numpy as np
import test_fine_tuning as ours
from official.optim import optimizers, schedules
from official.training import preparation, session, strategy

folder = pathlib.Path(sys.argv[1])
found = []
for devices in ((), ("CPU:0", "CPU:1")):
    kind = strategy.Mirrored(devices=devices) if devices else strategy.OneDevice()
    wanted = ours.experiment(
        trainer={"epochs": 2, "strategy": kind}, freeze="C2", unfreeze_every=1,
        norm="reestimate", reestimate_batches=2, backbone_rate=0.3)
    still = dataclasses.replace(
        wanted.task, backbone=ours.ThreeLevels(dropout=0.0))
    slow = optimizers.SGD(
        schedule=schedules.Constant(learning_rate=0.05), weight_decay=0.1, l2=0.01,
        ema_decay=0.7)
    wanted = dataclasses.replace(wanted, task=still, optimizer=slow)
    run = folder / str(len(devices))
    session.train(wanted, run, preparation.model(wanted, fresh=True))
    found.append(ours.arrays(run))
one, two = found
assert set(one) == set(two)
for name in one:
    if not name.startswith("random/"):
        np.testing.assert_allclose(
            one[name], two[name], rtol=1e-3, atol=1e-4, err_msg=name)
print("equal", len(one))
"""


def test_two_replicas_freeze_release_and_measure_as_one(root, tmp_path):
    paths = os.pathsep.join([str(root), str(root / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "equal" in done.stdout


def test_to_keep_what_nothing_has_trained_earns_a_warning(capsys):
    line = "warning: fine_tuning keeps .*: set init_from, or .*fine_tuning = @FineTun"
    for setting, warned in (
        ({"freeze": "stem"}, True),
        ({"norm": "inference"}, True),
        ({"norm": "reestimate", "backbone_rate": 0.5}, False),
    ):
        preparation.model(experiment(**setting), fresh=True)
        found = re.search(line, capsys.readouterr().out)
        assert bool(found) == warned


def test_preparation_says_how_many_weights_train(capsys):
    preparation.model(
        experiment(freeze="stem", backbone_rate=0.1, unfreeze_every=2), fresh=True
    )
    stem, rest, head = 3 * 3 * 3 * 4 + 8, 3 * 3 * 4 * 6 + 12 + 6 * 8 + 16, 8 * 3 + 3
    assert (
        f"weights   {rest + head} train (backbone {rest} at 0.1 times the learning "
        f"rate, others {head}), {stem} are frozen (stem), a level is released every 2 "
        "epochs"
    ) in capsys.readouterr().out


def test_a_dry_run_of_every_kind_takes_its_steps(tmp_path):
    wanted = experiment(freeze="C2", unfreeze_every=1, norm="reestimate")
    run(wanted, tmp_path / "run", dry_run=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("freeze", "count"), [(None, 4), ("stem", 3), ("C5", 1)])
def test_what_is_frozen_costs_no_backward_pass(freeze, count):
    wanted = experiment(freeze=freeze)
    model = preparation.model(wanted, fresh=True)
    spec = session.training_batches(wanted, start_step=0).element_spec
    step = tf.function(model.train_step).get_concrete_function(spec)
    graph = step.graph
    ends = [op.name for op in graph.control_outputs]
    ends += [tensor.op.name for tensor in graph.outputs]
    run_ones = tf.compat.v1.graph_util.extract_sub_graph(graph.as_graph_def(), ends)
    kinds = [node.op for node in run_ones.node]
    assert kinds.count("Conv2DBackpropFilter") == count
