import numpy as np
import pytest
import tensorflow as tf

from official.ops import assignment

compiled = tf.function(assignment.assign)


def _assign(cost, valid=None):
    """Of one image."""
    cost = np.float32(cost)[None]
    valid = np.ones(cost.shape[:2], bool) if valid is None else np.array([valid])
    found = compiled(tf.constant(cost), tf.constant(valid))
    assert found.dtype == "int32"
    return np.asarray(found)[0].tolist()


def best_total(cost, valid):
    optimize = pytest.importorskip("scipy.optimize", reason="wants scipy")
    rows, columns = optimize.linear_sum_assignment(cost[valid])
    return len(rows), cost[valid][rows, columns].sum()


def _drawn(kind, shape, generator):
    if kind == "random":
        return generator.normal(size=shape)
    if kind == "ties":
        return generator.integers(0, 4, shape).astype(float)
    if kind == "equal":
        return np.full(shape, 3.0)
    # All rows want the same columns in the same order.
    return -generator.uniform(size=(*shape[:2], 1)) * generator.uniform(
        size=(shape[0], 1, shape[2])
    )


@pytest.mark.parametrize("kind", ["random", "ties", "equal", "contested"])
@pytest.mark.parametrize("shape", [(3, 1, 1), (3, 4, 9), (3, 9, 4), (3, 12, 12)])
def test_the_total_is_the_least_there_is(kind, shape):
    generator = np.random.default_rng(sum(shape))
    for share in (1.0, 0.7, 0.7, 0.4):
        cost = _drawn(kind, shape, generator)
        valid = generator.uniform(size=shape[:2]) < share
        found = np.asarray(compiled(tf.constant(cost, tf.float32), tf.constant(valid)))
        for one, real, columns in zip(cost, valid, found, strict=True):
            count, total = best_total(one, real)
            taken = columns[columns >= 0]
            assert (columns[~real] == -1).all()
            assert len(taken) == len(set(taken)) == count
            rows = np.flatnonzero(columns >= 0)
            assert one[rows, taken].sum() == pytest.approx(total, abs=1e-5)


def test_a_row_gives_way_where_that_is_cheaper():
    # Both want column 0; the first loses 1 by going elsewhere, the second 5.
    assert _assign([[0, 1, 9], [0, 5, 9]]) == [1, 0]
    # A chain: the third row moves both others on by one.
    assert _assign([[0, 1, 9], [9, 0, 1], [0, 9, 9]]) == [1, 2, 0]


def test_of_too_many_rows_those_are_left_out_that_cost_most():
    assert _assign([[5], [2], [7]]) == [-1, 0, -1]
    # Also where all costs are below zero, and where a row does not count.
    assert _assign([[-5], [-2], [-7]], [True, True, False]) == [0, -1, -1]


def test_a_pair_whose_cost_is_not_finite_is_never_made():
    inf, nan = np.inf, np.nan
    # Allowed pairs first, however dear: 100 + 3 rather than 1 and nothing.
    assert _assign([[1, 100], [3, inf]]) == [1, 0]
    assert _assign([[nan, nan], [1, 2]]) == [-1, 0]
    assert _assign([[-inf, 4.0], [-inf, 3.0]]) == [-1, 1]
    assert _assign([[nan, nan]]) == [-1]
    # A row without any allowed pair does not take a place from the others.
    assert _assign([[nan], [7.0]]) == [-1, 0]


def test_what_is_not_valid_may_hold_anything():
    assert _assign([[np.nan, -np.inf], [2, 1], [0, 0]], [False, True, True]) == [
        -1,
        1,
        0,
    ]
    assert _assign([[1.0, 2.0]], [False]) == [-1]


def test_the_batch_may_be_unknown_when_it_is_traced():
    traced = tf.function(
        assignment.assign,
        input_signature=[
            tf.TensorSpec((None, 2, 3), tf.float32),
            tf.TensorSpec((None, 2), tf.bool),
        ],
    )
    cost = np.float32([[[0, 1, 9], [0, 5, 9]]] * 3)
    assert traced(cost, np.ones((3, 2), bool)).numpy().tolist() == [[1, 0]] * 3
