"""Clipping of gradients by their norm, over all replicas together."""

from collections.abc import Sequence
from typing import Any

import keras


def clip_over_replicas(optimizer: keras.optimizers.Optimizer) -> None:
    """Makes an optimizer clip the gradient of the global batch.

    Keras clips the gradient of each replica and then adds them up: the sum may be as
    many times longer than asked for as there are replicas. Here they are added up
    first, and each replica hands on its share of the clipped sum.
    """
    if keras.backend.backend() != "tensorflow":
        return
    clip = optimizer._clip_gradients

    def clip_sum(gradients: Sequence[Any]) -> list[Any]:
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync if context else 1
        if replicas == 1:
            return clip(gradients)
        total = context.all_reduce(tf.distribute.ReduceOp.SUM, list(gradients))
        return [gradient / replicas for gradient in clip(total)]

    optimizer._clip_gradients = clip_sum
