import numpy as np
import tensorflow as tf

from official.ops import sampling


def _chances(images, *, seed=0):
    return np.random.default_rng(seed).uniform(size=images).astype("float32")


def _sample(log_odds, eligible, chances, count):
    chosen = sampling.sample(
        np.float32(log_odds), np.array(eligible), chances, count=count
    )
    assert chosen.dtype == "int32"
    return np.asarray(chosen)


def test_pixels_are_drawn_once_and_only_those_that_may_be():
    eligible = np.arange(400)[None].repeat(3, axis=0) % 3 > 0
    chosen = _sample(np.zeros((3, 400)), eligible, _chances(3), 50)
    for one in chosen:
        assert len(set(one)) == 50
        assert (one % 3 > 0).all()


def test_where_too_few_may_be_drawn_they_all_are():
    eligible = np.arange(400)[None] < 7
    chosen = _sample(np.zeros((1, 400)), eligible, _chances(1), 20)
    assert set(range(7)) <= set(chosen[0])


def test_the_odds_of_a_pixel_are_those_asked_for():
    # A hundredth is drawn; the odds of the last quarter are three times the others':
    # it has half of the odds, and gets about half of the draws.
    images = 200
    log_odds = np.where(np.arange(400) < 300, 0.0, np.log(3))[None].repeat(images, 0)
    everything = np.ones((images, 400), bool)
    chosen = _sample(log_odds, everything, _chances(images), 4)
    share = (chosen >= 300).mean()
    # 800 draws: a standard deviation of 0.018 if they were independent.
    assert 0.42 < share < 0.58
    # All parts of an image have their turn.
    counts = np.histogram(chosen[chosen < 300], bins=6, range=(0, 300))[0]
    assert counts.min() > 0.4 * counts.mean()


def test_an_image_draws_by_its_chance_alone_whatever_batch_it_is_in():
    chances = _chances(4)
    whole = _sample(np.zeros((4, 400)), np.ones((4, 400), bool), chances, 20)
    assert len({tuple(sorted(row)) for row in whole}) == 4
    for half in (slice(0, 2), slice(2, 4)):
        arguments = np.zeros((2, 400)), np.ones((2, 400), bool), chances[half]
        np.testing.assert_array_equal(_sample(*arguments, 20), whole[half])


def test_no_gradient_passes():
    log_odds = tf.zeros((1, 400))
    with tf.GradientTape() as tape:
        tape.watch(log_odds)
        chosen = sampling.sample(
            log_odds, tf.ones((1, 400), tf.bool), _chances(1), count=3
        )
        total = tf.reduce_sum(tf.cast(chosen, tf.float32))
    assert tape.gradient(total, log_odds) is None
