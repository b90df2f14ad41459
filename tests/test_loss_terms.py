import math

import keras
import numpy as np
import one_of_each_task
import pytest
import tensorflow as tf

from official import failures
from official.training import loss_terms, preparation, session


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
    ("task", "term", "others"),
    [
        ("classification", "cross_entropy", "there is no other"),
        ("detection", "boxes", "others finite: classes"),
        ("segmentation", "cross_entropy", "there is no other"),
    ],
)
def test_a_training_names_the_term_and_its_step(tmp_path, task, term, others):
    experiment = one_of_each_task.experiments()[task]
    model = preparation.model(experiment, fresh=True)
    model._task_losses[term] = _From(model._task_losses[term], 2)
    with pytest.raises(failures.RunError) as caught:
        session.train(experiment, tmp_path / "run", model)
    assert str(caught.value) == (
        f"loss term {term!r} is NaN at step 2 ({others}); lower "
        "optimizer.schedule.learning_rate or set optimizer.clip_norm; there is no "
        "checkpoint yet"
    )
