"""Quantization-aware training from a float run to a file, interrupted and distributed."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import small

from official import bindings, experiment, failures, gin, runner
from official.layers import fake_quant
from official.quantization import rewrite, scheme
from official.training import callbacks, checkpoints, networks, preparation, session
from tflite_export import export, flatbuffer, interpreter

SCHEME = scheme.QuantScheme(observe_steps=2, freeze_step=6)


def _run(trained, folder: pathlib.Path) -> None:
    runner.run(
        trained,
        name="small",
        run_dir=folder,
        overwrite=False,
        evaluate_only=False,
        dry_run=False,
    )


@pytest.fixture(scope="module")
def floats(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "float"
    _run(small.experiment(), folder)
    return folder


def _aware(floats, **trainer):
    parent = small.experiment(**trainer)
    found = experiment.quantization_aware(parent, epochs=3)
    return dataclasses.replace(found, quantization=SCHEME, init_from=str(floats))


def test_the_variant_is_a_short_and_slow_fine_tuning():
    parent = small.experiment()
    found = experiment.quantization_aware(parent, epochs=2)
    rate = found.optimizer.schedule.learning_rate
    assert 0.01 <= rate / parent.optimizer.schedule.learning_rate <= 0.1
    assert found.trainer.epochs == 2
    assert found.export.precisions == ("int8",)
    text = experiment.dump(found, "small")
    assert "quantization = @QuantScheme" in text


def test_bindings_set_the_scheme_and_its_rules():
    parent = small.experiment()
    lines = (
        "quantization = @QuantScheme(rules=(@Rule(layers='classes', weight_bits=6),))",
        "quantization.weight_bits = 7",
    )
    found = bindings.apply(parent, map(gin.parse_setting, lines))
    assert found.quantization.weight_bits == 7
    assert found.quantization.rules[0].weight_bits == 6


@pytest.fixture(scope="module")
def aware(floats, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "aware"
    kept = folder.with_name("step_5.npz")
    save = callbacks.Guard.save

    def save_and_keep(self, which):
        save(self, which)
        if which == "last" and self.state.step == 5:
            shutil.copy(checkpoints.path(self.run_dir, which), kept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks.Guard, "save", save_and_keep)
        _run(_aware(floats, checkpoint_steps=1), folder)
    return folder


def test_it_keeps_what_the_float_run_has_learned(aware, floats):
    mine, theirs = (
        json.loads((folder / "result.json").read_text())["rows"][0]["metrics"]
        for folder in (aware, floats)
    )
    assert mine["mean_iou"] > theirs["mean_iou"] - 0.03


def test_its_ranges_were_found_and_then_frozen(aware, floats):
    network = checkpoints.inference_network(_aware(floats), aware, "last")
    counts = [
        float(layer.range_count)
        for layer in network.layers
        if isinstance(layer, fake_quant.FakeQuant) and layer.fixed is None
    ]
    assert counts
    assert set(counts) == {float(SCHEME.freeze_step)}


def test_an_interrupted_training_ends_with_the_same_weights(aware, floats, tmp_path):
    trained = _aware(floats, checkpoint_steps=1)
    (tmp_path / "checkpoints").mkdir()
    shutil.copy(aware.with_name("step_5.npz"), checkpoints.path(tmp_path, "last"))
    session.train(trained, tmp_path, preparation.model(trained, fresh=False))
    ours, theirs = (
        checkpoints.inference_weights(checkpoints.path(folder, "last"))
        for folder in (tmp_path, aware)
    )
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)


def test_the_export_is_the_trained_network_and_agrees_with_it(aware, floats, capsys):
    export.run(_aware(floats), run_dir=aware)
    report = json.loads((aware / "export" / "report.json").read_text())
    keras_row, int8_row = report["rows"]
    assert int8_row["gate"] == "passed"
    assert int8_row["agreement"] > 0.99
    assert keras_row["metrics"]["mean_iou"] == pytest.approx(
        int8_row["metrics"]["mean_iou"], abs=0.01
    )


def test_other_files_of_it_are_quantized_after_training_and_it_says_so(
    aware, floats, capsys
):
    export.run(_aware(floats), run_dir=aware, precisions=("float32",))
    said = " ".join(capsys.readouterr().out.split())
    file = flatbuffer.read(aware / "export" / "model_float32.tflite")
    assert file.precision == "float32"
    network = checkpoints.inference_network(_aware(floats), aware)
    plain = rewrite.without_ranges(network, rounded=False)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3))
    np.testing.assert_allclose(
        interpreter.Runner(file.path)(images.astype(np.float32))["logits"],
        plain.predict_on_batch(images)["logits"],
        atol=1e-4,
    )
    rows = json.loads((aware / "result.json").read_text())["rows"]
    assert [row["name"] for row in rows[:2]] == ["Keras, float form", "float32"]
    assert "Keras" in [row["name"] for row in rows[2:]]  # what it was trained as
    assert "trained for int8 on 'cpu': for float32 on 'cpu' its float weights" in said
    with pytest.raises(
        failures.RequestError, match="export them in a command of their"
    ):
        export.run(_aware(floats), run_dir=aware, precisions=("float32", "int8"))


def test_without_epochs_there_are_no_ranges(floats):
    wrong = _aware(floats)
    wrong = dataclasses.replace(
        wrong, trainer=dataclasses.replace(wrong.trainer, epochs=0)
    )
    with pytest.raises(failures.RequestError, match="found in training"):
        preparation.model(wrong, fresh=True)


@pytest.mark.parametrize(
    ("binding", "message"),
    [
        ("quantization.observe_steps = 9", "none would be left that quantizes"),
        ("export.precisions = ('float32', 'int8')", "trains for one file"),
        ("export.target = 'gpu'", "set export.target = 'cpu'"),
        ("trainer.precision = 'mixed_bfloat16'", "set trainer.precision = 'float32'"),
        ("fine_tuning.norm = 'reestimate'", "set fine_tuning.norm = 'train'"),
    ],
)
def test_settings_that_contradict_the_scheme_end_before_training(
    binding, message, floats
):
    lines = ["quantization.freeze_step = None", binding]
    wrong = bindings.apply(_aware(floats), map(gin.parse_setting, lines))
    with pytest.raises(failures.RequestError, match=message):
        preparation.model(wrong, fresh=True)


def test_random_weights_are_warned_of(floats, capsys):
    wrong = dataclasses.replace(_aware(floats), init_from=None)
    preparation.model(wrong, fresh=True)
    assert "starts from random weights: set init_from" in capsys.readouterr().out


def test_more_epochs_of_a_frozen_network_are_another_run(aware, floats):
    plan = dataclasses.replace(SCHEME, freeze_step=None)
    folder = aware.with_name("unset")
    shutil.copytree(aware, folder)
    first = dataclasses.replace(_aware(floats, checkpoint_steps=1), quantization=plan)
    (folder / "config.gin").write_text(experiment.dump(first, "small"))
    longer = dataclasses.replace(
        first, trainer=dataclasses.replace(first.trainer, epochs=6)
    )
    with pytest.raises(failures.RequestError, match=r"trainer\.epochs"):
        _run(longer, folder)


def test_a_wrong_rule_ends_before_training(floats):
    rule = "quantization.rules = (@Rule(layers='nothing', weight_bits=4),)"
    wrong = bindings.apply(_aware(floats), [gin.parse_setting(rule)])
    with pytest.raises(
        failures.RequestError, match=r"quantization: Rule.* decides nothing"
    ):
        networks.build(wrong, training=True)


SCRIPT = """
import pathlib, sys
from tflite_export import quiet
quiet.import_tensorflow()
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2)
import dataclasses
import small
from official import export_spec
from official.quantization import scheme
from official.training import checkpoints, preparation, session, strategy
two = strategy.Mirrored(devices=("CPU:0", "CPU:1"))
trained = dataclasses.replace(
    small.experiment(epochs=2, strategy=two),
    quantization=scheme.QuantScheme(observe_steps=2),
    export=export_spec.Export(precisions=("int8",)))
folder = pathlib.Path(sys.argv[1])
model = preparation.model(trained, fresh=True)
session.train(trained, folder, model)
for weight in model.network.weights:
    if "moving" in weight.path:
        continue  # of a norm that is not synchronized
    copies = [value.numpy() for value in weight.value.values]
    assert (copies[0] == copies[1]).all(), weight.path
state = checkpoints.state(checkpoints.path(folder, "best"))
print(state.best)
"""


def test_it_trains_on_two_replicas_that_keep_the_same_ranges(root, tmp_path):
    paths = os.pathsep.join([str(root), str(root / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "run")],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout.splitlines()[-1]) > 0.2
