import math

import keras
import numpy as np
import one_of_each_task
import pytest
import tensorflow as tf

from official import failures
from official.training import late_logs, loss_terms, preparation, session


def test_the_term_that_is_not_finite_is_named_with_the_step():
    logs = {"loss": math.nan, "dice_loss": math.nan, "ids_loss": 0.5, "classes_loss": 2}
    assert loss_terms.complaint(logs, 132) == (
        "loss term 'dice' is NaN at step 132 (others finite: classes, ids)"
    )


def test_several_terms_are_named_with_what_they_are():
    logs = {"loss": math.nan, "a_loss": math.inf, "b_loss": math.nan, "c_loss": 1.0}
    assert loss_terms.complaint(logs, 3) == (
        "loss term 'a' is infinite, 'b' is NaN at step 3 (others finite: c)"
    )


def test_where_all_terms_are_bad_the_cause_is_before_them():
    logs = {"loss": math.nan, "a_loss": math.nan, "b_loss": math.nan}
    assert loss_terms.complaint(logs, 3).startswith(
        "all loss terms are NaN or infinite at step 3 ('a' is NaN, 'b' is NaN): an "
        "image of its batch, or a weight after the step before,"
    )


def test_a_sum_of_finite_terms_may_be_infinite():
    logs = {"loss": math.inf, "a_loss": 3e38, "b_loss": 3e38}
    assert loss_terms.complaint(logs, 3) == (
        "the loss is infinite at step 3, though its terms are finite (a, b): the L2 "
        "penalty, or their sum, is too large"
    )


def test_finite_losses_are_no_complaint():
    assert loss_terms.complaint({"loss": 1.0, "a_loss": 1.0}, 3) == ""


class _From(keras.losses.Loss):
    """Is NaN from a step on; an infinite gradient would say so a step later."""

    def __init__(self, loss: keras.losses.Loss, step: int):
        super().__init__(name=loss.name)
        self._loss = loss
        self._step = step
        self._done = tf.Variable(0)

    def call(self, y_true, y_pred):
        done = self._done.assign_add(1)
        value = self._loss.call(y_true, y_pred)
        return tf.where(done >= self._step, np.float32(np.nan), value)


@pytest.mark.parametrize(
    ("task", "term", "others", "step", "every"),
    [
        ("classification", "cross_entropy", "there is no other", 1, 500),
        ("detection", "boxes", "others finite: classes", 2, 500),
        ("segmentation", "cross_entropy", "there is no other", 3, 500),
        # Nothing that is not finite is saved.
        ("segmentation", "cross_entropy", "there is no other", 1, 1),
    ],
)
def test_a_training_names_the_term_and_its_step(
    tmp_path, task, term, others, step, every
):
    experiment = one_of_each_task.experiments(checkpoint_steps=every)[task]
    assert preparation.steps_per_epoch(experiment) == 3
    model = preparation.model(experiment, fresh=True)
    model._task_losses[term] = _From(model._task_losses[term], step)
    with pytest.raises(failures.RunError) as caught:
        session.train(experiment, tmp_path / "run", model)
    assert str(caught.value) == (
        f"loss term {term!r} is NaN at step {step} ({others}); lower "
        "optimizer.schedule.learning_rate or set optimizer.clip_norm; there is no "
        "checkpoint yet"
    )


def test_losses_are_given_a_step_late_and_from_each_epoch_anew():
    late = late_logs.LateLogs()
    step = late.wrap(lambda value: {"loss": np.float32(value)})
    assert [step(value)["loss"] for value in (1, 2)] == [1, 2]
    late.begin()
    given = [(step(value)["loss"], late.behind) for value in (3, 4, 5)]
    assert given == [(3, 0), (3, 1), (4, 1)]
    assert late.newest() == {"loss": 5}
    late.begin()
    assert (step(6)["loss"], late.behind) == (6, 0)
    late.begin(active=False)
    assert [step(value)["loss"] for value in (7, 8)] == [7, 8]


def test_what_a_step_gives_besides_its_losses_is_never_late():
    late = late_logs.LateLogs()
    step = late.wrap(lambda value: ({"loss": value}, f"state {value}"))
    late.begin()
    assert [step(value) for value in (1, 2)] == [
        ({"loss": 1}, "state 1"),
        ({"loss": 1}, "state 2"),
    ]
