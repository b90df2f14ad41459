"""What a network learns from a teacher, and what a teacher must be."""

import dataclasses
import json
import math
import subprocess
import sys

import keras
import numpy as np
import pytest
import small

from official import failures, runner
from official.losses import distillation
from official.tasks import segmentation
from official.training import checkpoints, preparation, session, trainable


def value(theirs, ours, **settings) -> float:
    loss = distillation.Distillation(**settings)
    targets = {"teacher_logits": np.array(theirs, np.float32)}
    return float(loss(targets, {"logits": np.array(ours, np.float32)}))


def test_its_value_by_hand():
    """Teacher 3/4 and 1/4, student 1/2 and 1/2."""
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert value([[math.log(3), 0]], [[0, 0]]) == pytest.approx(expected, rel=1e-5)
    # Logits twice as large at twice the temperature: the same scores, times 4.
    twice = value([[2 * math.log(3), 0]], [[0, 0]], temperature=2.0)
    assert twice == pytest.approx(4 * expected, rel=1e-5)
    third = value([[math.log(3), 0]], [[0, 0]], weight=1 / 3)
    assert third == pytest.approx(expected / 3, rel=1e-5)


def test_with_several_labels_each_class_is_a_question_of_its_own():
    """Teacher 3/4 for the first class, 1/2 for the second; student 1/2 for both."""
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    found = value([[math.log(3), 0]], [[0, 0]], multi_label=True)
    assert found == pytest.approx(expected / 2, rel=1e-5)


@pytest.mark.parametrize("multi_label", [False, True])
def test_it_is_nothing_where_both_agree_and_finite_at_the_ends(multi_label):
    logits = [[3.0, -1.0, 0.5], [100.0, -100.0, 0.0]]
    same = value(logits, logits, multi_label=multi_label, temperature=4.0)
    assert same == pytest.approx(0, abs=1e-6)
    opposite = value(logits, [[-100.0, 100.0, 0.0]] * 2, multi_label=multi_label)
    assert math.isfinite(opposite)
    assert opposite > 10


def test_the_gradient_hardly_depends_on_a_high_temperature():
    import tensorflow as tf

    ours, sizes = tf.Variable([[0.1, -0.2, 0.3]]), []
    for temperature in (10.0, 100.0):
        with tf.GradientTape() as tape:
            loss = distillation.Distillation(temperature=temperature)(
                {"teacher_logits": tf.constant([[1.0, 0.0, -1.0]])}, {"logits": ours}
            )
        sizes.append(float(tf.norm(tape.gradient(loss, ours))))
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)


def test_a_temperature_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"temperature 0\.0: want more than 0"):
        distillation.Distillation(temperature=0.0)


MIRRORED = """
import json
import tensorflow as tf
cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(
    cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
import numpy as np
from official.losses import distillation
from official.training import strategy, trainable

def network(seed):
    keras.utils.set_random_seed(seed)
    images = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(images)
    return keras.Model(images, {"logits": keras.layers.Dense(3)(x)})

def weights_after_a_step(spec, multi_label):
    with spec.create().scope():
        student, teacher = network(0), network(1)
        loss = distillation.Distillation(temperature=2.0, multi_label=multi_label)
        model = trainable.Trainable(student, {"distillation": loss}, teacher=teacher)
        model.compile(keras.optimizers.SGD(1.0))
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    data = tf.data.Dataset.from_tensors((images, {"label": np.zeros(4, "int32")}))
    logs = model.fit(data, verbose=0).history
    kept = [w.tolist() for w in teacher.get_weights()]
    return [w.tolist() for w in student.get_weights()], logs, kept

for multi_label in (False, True):
    one = weights_after_a_step(strategy.OneDevice(), multi_label)
    two = weights_after_a_step(
        strategy.Mirrored(devices=("CPU:0", "CPU:1")), multi_label)
    print(json.dumps([one, two, [w.tolist() for w in network(0).get_weights()],
                      [w.tolist() for w in network(1).get_weights()]]))
"""


def test_one_step_on_one_device_equals_one_on_two(root):
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line[0] == "["]
    assert len(lines) == 2
    for one, two, student, teacher in lines:
        np.testing.assert_allclose(one[0][0], two[0][0], atol=1e-6)
        assert not np.allclose(one[0][0], student[0], atol=1e-3)
        assert one[1]["distillation_loss"][0] > 1e-3
        assert one[1]["loss"] == pytest.approx(two[1]["loss"], rel=1e-5)
        assert one[2] == two[2] == teacher


@keras.saving.register_keras_serializable(package="tests")
class Agreement(keras.losses.Loss):
    """The mean squared difference of the logits."""

    def call(self, y_true, y_pred):
        ours, theirs = y_pred["logits"], y_true["teacher_logits"]
        if ours.shape[1:3] != theirs.shape[1:3]:
            theirs = keras.ops.image.resize(theirs, ours.shape[1:3])
        return keras.ops.mean(keras.ops.square(ours - theirs), axis=(1, 2, 3))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Taught(segmentation.Segmentation):
    distillation_weight: float = 1.0

    def losses(self):
        return {"agreement": Agreement()}


def taught(teacher, **changes):
    plain = small.experiment(epochs=2)
    fields = {
        field.name: getattr(plain.task, field.name)
        for field in dataclasses.fields(plain.task)
    }
    task = Taught(**(fields | changes))
    # At the rate of the plain one such losses may grow, from some weights.
    schedule = dataclasses.replace(plain.optimizer.schedule, learning_rate=0.05)
    optimizer = dataclasses.replace(plain.optimizer, schedule=schedule)
    return dataclasses.replace(plain, task=task, optimizer=optimizer, teacher=teacher)


def run(wanted, folder) -> None:
    runner.run(
        wanted,
        name="small",
        run_dir=folder,
        overwrite=False,
        evaluate_only=False,
        dry_run=False,
    )


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "teacher"
    run(small.experiment(epochs=4), folder)
    return folder


def test_a_run_teaches_another_without_labels(teacher, tmp_path):
    before = (teacher / "model.keras").read_bytes()
    wanted = taught(str(teacher))
    model = preparation.model(wanted, fresh=True)
    assert len(model.trainable_variables) == 5  # the student's alone
    session.train(wanted, tmp_path / "run", model)
    with np.load(checkpoints.path(tmp_path / "run", "last")) as file:
        saved = [name for name in file.files if name.startswith("weights/")]
    assert len(saved) == 7
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    losses = [
        float(row.split(",")[rows[0].split(",").index("loss")]) for row in rows[1:]
    ]
    assert losses[-1] < losses[0]
    assert (teacher / "model.keras").read_bytes() == before


def test_a_teacher_of_another_image_size_sees_resized_images(teacher):
    wanted = taught(str(teacher), image_size=(64, 64))
    model = preparation.model(wanted, fresh=True)
    images, _ = next(iter(session.training_batches(wanted, start_step=0)))
    assert images.shape[1:3] == (64, 64)
    scores = model._teach(images)
    assert scores["teacher_logits"].shape[0] == 4
    network = keras.models.load_model(teacher / "model.keras")
    resized = keras.ops.image.resize(images, (32, 32), interpolation="bilinear")
    np.testing.assert_allclose(
        scores["teacher_logits"], network(resized, training=False)["logits"], rtol=1e-5
    )


def test_an_interrupted_lesson_goes_on_to_the_same_bits(teacher, tmp_path):
    wanted = taught(str(teacher))
    session.train(wanted, tmp_path / "whole", preparation.model(wanted, fresh=True))
    half = dataclasses.replace(
        wanted, trainer=dataclasses.replace(wanted.trainer, checkpoint_steps=1)
    )
    save = checkpoints.save

    class Cut(Exception):
        pass

    def guarded(file, **content):
        save(file, **content)
        if content["state"].step == 2:
            raise Cut

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "save", guarded)
        with pytest.raises(Cut):
            session.train(half, tmp_path / "cut", preparation.model(half, fresh=True))
    session.train(half, tmp_path / "cut", preparation.model(half, fresh=False))
    with (
        np.load(checkpoints.path(tmp_path / "whole", "last")) as whole,
        np.load(checkpoints.path(tmp_path / "cut", "last")) as cut,
    ):
        for name in whole.files:
            if name != "state":
                np.testing.assert_array_equal(whole[name], cut[name], err_msg=name)


def test_a_teacher_that_no_loss_uses_is_refused_and_the_reverse(teacher):
    plain = dataclasses.replace(small.experiment(), teacher=str(teacher))
    with pytest.raises(
        failures.RequestError, match=r"no loss of this task uses it; set task\.distill"
    ):
        preparation.model(plain, fresh=True)
    with pytest.raises(
        failures.RequestError, match=r"distillation_weight = 1 needs a teacher"
    ):
        preparation.model(taught(None), fresh=True)


def test_a_teacher_of_other_classes_is_refused_with_both(teacher):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Others(small.Quarters):
        @property
        def class_names(self):
            return ("cyan", "magenta", "yellow")

    wanted = dataclasses.replace(taught(str(teacher)), dataset=Others())
    with pytest.raises(
        failures.RequestError, match=r"trained on 3 classes \(red, .*3 \(cyan, magenta"
    ):
        preparation.model(wanted, fresh=True)


def test_a_folder_without_a_finished_run_is_refused(tmp_path):
    with pytest.raises(
        failures.RequestError, match=r"model\.keras is not in this folder; give"
    ):
        preparation.model(taught(str(tmp_path)), fresh=True)


def test_published_weights_of_other_classes_are_refused_before_any_download():
    with pytest.raises(
        failures.RequestError,
        match=r"teacher timm:mnasnet_100: scores 1000 classes, the data set has 3; fine-",
    ):
        preparation.model(taught("timm:mnasnet_100"), fresh=True)
    with pytest.raises(failures.RequestError, match=r"nowhere: neither a folder"):
        preparation.model(taught("nowhere"), fresh=True)


def test_without_a_teacher_the_targets_are_as_they_were():
    seen = []

    class Watch(keras.losses.Loss):
        def call(self, y_true, y_pred):
            seen.append(sorted(y_true))
            return keras.ops.zeros(1)

    images = keras.Input((4, 4, 3))
    network = keras.Model(images, {"logits": keras.layers.Dense(2)(images)})
    model = trainable.Trainable(network, {"watch": Watch()})
    model.compute_loss(
        x=np.zeros((1, 4, 4, 3)),
        y={"label": np.zeros(1)},
        y_pred={"logits": np.zeros((1, 2))},
    )
    assert seen == [["label"]]
