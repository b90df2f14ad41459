"""Keras on JAX: one program that sees whole batches, on one device or several."""

import contextlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from official import failures


class OneProgram:
    """Has the place that a `tf.distribute` strategy has on TensorFlow.

    Nothing is counted by replica here: the compiler divides the work of a batch, and
    norms, losses and dropout are those of the whole.

    Args:
        devices: Names such as "gpu:0"; of several each takes a share of every batch.

    Raises:
        RequestError: If TensorFlow, which reads the data, holds the GPUs already.
    """

    def __init__(self, devices: Sequence[str]):
        _leave_gpus()
        self.num_replicas_in_sync = len(devices)
        several = len(devices) > 1
        # For the whole process: `fit` asks for it, long after the network was built.
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(devices=list(devices)) if several else None
        )

    def scope(self) -> contextlib.AbstractContextManager[None]:
        """Networks and optimizers are built inside, as under a strategy."""
        return contextlib.nullcontext()


def devices() -> list[str]:
    """Names of all devices of the kind that JAX takes: the GPUs, or the CPUs."""
    return list(keras.distribution.list_devices())


def predict(network: keras.Model, images: np.ndarray) -> dict[str, np.ndarray]:
    """As `network.predict_on_batch`, the images divided among the devices."""
    placed: Any = images
    distribution = keras.distribution.distribution()
    # A last batch that does not divide is computed as a whole by each device.
    if distribution is not None and not len(images) % distribution.num_model_replicas:
        layout = distribution.get_data_layout(images.shape)
        placed = keras.distribution.distribute_tensor(images, layout)
    return network.predict_on_batch(placed)


def sync(model: keras.Model) -> None:
    """Lets the variables of a model in `fit` have their present values.

    Between the steps of an epoch Keras on JAX has them elsewhere.
    """
    if keras.backend.backend() == "jax":
        model.jax_state_sync()


def _leave_gpus() -> None:
    """TensorFlow only reads the data; its memory on GPUs would be missing."""
    import tensorflow as tf

    try:
        tf.config.set_visible_devices([], "GPU")
    except RuntimeError as error:
        raise failures.RunError(
            f"TensorFlow uses the GPUs already, and JAX is to ({error}): start the "
            "training in a process of its own"
        ) from error
