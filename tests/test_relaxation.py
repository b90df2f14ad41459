import numpy as np
import pytest

from official.losses import relaxation


def _logit(score):
    return np.log(score / (1 - score))


# One pixel, two queries, two classes and void.
MASKS = np.float32([[[2.0, -3.0]]])
SEMANTICS = np.float32([[_logit(np.array([0.75, 0.25]))]])


def test_remask_with_sigmoids_worked_by_hand():
    classes = np.float32([_logit(np.array([[0.8, 0.4, 0.9], [0.5, 0.5, 0.1]]))])
    found = relaxation.relaxed(MASKS, classes, SEMANTICS, activation="sigmoid")
    # Gates: 0.75 * 0.8 + 0.25 * 0.4 = 0.7, and 0.5; void has none.
    np.testing.assert_allclose(found, [[[2 * 1.7, -3 * 1.5]]], rtol=1e-5)


def test_remask_with_a_softmax_over_the_classes_without_void_worked_by_hand():
    classes = np.log(np.float32([[[3, 1, 90], [1, 1, 1]]]))
    found = relaxation.relaxed(MASKS, classes, SEMANTICS, activation="softmax")
    # Classes of query 0: 0.75 and 0.25. Gates: 0.75^2 + 0.25^2 = 0.625, and 0.5.
    np.testing.assert_allclose(found, [[[2 * 1.625, -3 * 1.5]]], rtol=1e-5)


def test_a_gate_of_sigmoids_starts_at_a_quarter_of_the_classes():
    for activation, gate in (("sigmoid", 133 / 4), ("softmax", 0.5)):
        found = relaxation.relaxed(
            np.ones((1, 3, 2), "float32"),
            np.zeros((1, 2, 134), "float32"),
            np.zeros((1, 3, 133), "float32"),
            activation=activation,
        )
        np.testing.assert_allclose(found, np.full((1, 3, 2), 1 + gate), rtol=1e-5)


def test_reclass_keeps_a_matched_class_at_one_and_void_as_it_is():
    generator = np.random.default_rng(0)
    hits = np.eye(4, dtype="float32")[[[0, 2, 3]]]
    logits = generator.normal(size=(1, 6, 3)).astype("float32")
    members = np.eye(3, dtype="float32")[[[0, 0, 1, 1, 2, 2]]]
    # Two segments of class 0 and one of class 1; class 2 is nowhere.
    classes = np.eye(4, dtype="float32")[[[0, 0, 1]]]
    found = np.asarray(
        relaxation.reclassified(hits, logits, members, classes, eta=0.5)
    )[0]
    masks = 1 / (1 + np.exp(-logits[0]))
    shares = np.stack([masks[:4].mean(axis=0), masks[4:].mean(axis=0)], axis=1)
    wanted = np.concatenate([0.5 * shares, np.zeros((3, 1)), [[0], [0], [1]]], axis=1)
    wanted[0, 0] = wanted[1, 2] = 1
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_what_does_not_fit_is_refused():
    arguments = (MASKS, np.zeros((1, 2, 3), "float32"))
    with pytest.raises(ValueError) as error:
        relaxation.relaxed(*arguments, SEMANTICS, activation="tanh")
    assert str(error.value) == (
        "gate_activation = 'tanh': must be one of 'sigmoid', 'softmax'"
    )
    with pytest.raises(ValueError) as error:
        relaxation.relaxed(
            *arguments, np.zeros((1, 4, 2), "float32"), activation="sigmoid"
        )
    assert str(error.value) == (
        "semantic logits of 4 pixels for masks of 1: ReMask wants them at the size of "
        "the masks"
    )
