"""Pixels drawn at random, without a state to keep."""

# B batch, P pixels, D features

import numpy as np
from keras import ops

_NEVER = -1e9


def sample(log_odds, eligible, features, *, count: int):
    """Draws pixels without replacement, with odds of `exp(log_odds)`.

    The `count` largest of `log_odds` with Gumbel noise (Vieira, 2014; Kool et al.,
    2019, https://arxiv.org/abs/1903.06059).

    What is drawn depends on nothing but the arguments: the same step gives the same
    pixels after an interruption, and the images of every replica have pixels of their
    own. The noise starts from one fixed table of evenly spread uniform values in random
    order; each image turns it by an amount of its own, late digits of the mean size of
    its features, which change from step to step while anything is learned.

    Args:
        log_odds: `[B, P]`.
        eligible: bool `[B, P]`; others are drawn only where these run out.
        features: float32 `[B, P, D]`.
        count: At most P.

    Returns:
        int32 `[B, count]`, numbers of pixels.
    """
    pixels = features.shape[1]
    order = np.random.default_rng(0).permutation(pixels)
    table = ops.convert_to_tensor((order + 0.5) / pixels, dtype="float32")
    turned = _fraction(table + _turn(features)[:, None])
    # Strictly within (0, 1), where the noise is finite.
    uniform = ops.clip(turned, 1e-6, 1 - 1e-6)
    noise = -ops.log(-ops.log(uniform))
    keys = ops.where(eligible, log_odds + noise, _NEVER)
    return ops.cast(ops.top_k(ops.stop_gradient(keys), count)[1], "int32")


def _turn(features):
    """A number in [0, 1) of each image, `[B]`.

    The mean size of unit vectors' values is of the order of one by their root number.
    2^14 of it keep ten bits of float32 behind the point, and turn fully at a change of
    one in ten thousand.
    """
    size = features.shape[-1] ** 0.5
    mean = ops.mean(ops.abs(ops.stop_gradient(features)), axis=(1, 2))
    return _fraction(mean * (size * 2.0**14))


def _fraction(values):
    return values - ops.floor(values)
