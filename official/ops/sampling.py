"""Pixels drawn at random, without a state to keep."""

# B batch, P pixels

import numpy as np
from keras import ops

_NEVER = -1e9


def sample(log_odds, eligible, chances, *, count: int):
    """Draws pixels without replacement, with odds of `exp(log_odds)`.

    The `count` largest of `log_odds` with Gumbel noise (Vieira, 2014; Kool et al.,
    2019, https://arxiv.org/abs/1903.06059).

    What is drawn depends on nothing but the arguments: where the chance of an image is
    made of its place in the training alone, the same pixels are drawn after an
    interruption, and however the batch is divided among replicas. The noise starts from
    one fixed table of evenly spread uniform values in random order; each image turns it
    by an amount of its own.

    Args:
        log_odds: `[B, P]`.
        eligible: bool `[B, P]`; others are drawn only where these run out.
        chances: float32 `[B]` in [0, 1), drawn anew for each image and step.
        count: At most P.

    Returns:
        int32 `[B, count]`, numbers of pixels.
    """
    pixels = log_odds.shape[1]
    order = np.random.default_rng(0).permutation(pixels)
    table = ops.convert_to_tensor((order + 0.5) / pixels, dtype="float32")
    turned = table + chances[:, None]
    turned = turned - ops.floor(turned)
    # Strictly within (0, 1), where the noise is finite.
    uniform = ops.clip(turned, 1e-6, 1 - 1e-6)
    noise = -ops.log(-ops.log(uniform))
    keys = ops.where(eligible, log_odds + noise, _NEVER)
    return ops.cast(ops.top_k(ops.stop_gradient(keys), count)[1], "int32")
