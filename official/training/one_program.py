"""Keras on JAX: one program that sees whole batches, on one device or several."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
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


class Predictor:
    """As `network.predict_on_batch`; on JAX for batches of one size, on all devices.

    A last batch that is shorter would be compiled for itself, and may not divide among
    the devices: it is filled up to the longest one seen.

    Args:
        network: Maps images to a dict of outputs.
    """

    def __init__(self, network: keras.Model):
        self._network = network
        self._longest = 0

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        if keras.backend.backend() != "jax":
            return self._network.predict_on_batch(images)
        count = len(images)
        self._longest = max(self._longest, count)
        missing = self._longest - count
        filled = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
        outputs = self._network.predict_on_batch(_placed(filled))
        return {name: value[:count] for name, value in outputs.items()}


def _placed(images: np.ndarray) -> Any:
    """On the devices, each with a share, if they divide; else as they are."""
    distribution = keras.distribution.distribution()
    if distribution is None or len(images) % distribution.num_model_replicas:
        return images
    layout = distribution.get_data_layout(images.shape)
    return keras.distribution.distribute_tensor(images, layout)


def sync(model: keras.Model) -> None:
    """Lets the variables of a model in `fit` have their present values.

    Between the steps of an epoch Keras on JAX has them elsewhere.
    """
    if keras.backend.backend() == "jax":
        model.jax_state_sync()


@contextlib.contextmanager
def frozen_counted(model: keras.Model, state: Sequence[Any]) -> Iterator[None]:
    """Lets a step be made in which weights are frozen that the optimizer knows.

    It wants all that it was built with, and where levels of a network are released one
    after the other, Keras on JAX hands it those alone that train now. Here a frozen
    weight comes with them, and has no gradient.

    Args:
        state: Of the step: values of `model.trainable_variables`, of
            `model.non_trainable_variables`, and more.
    """
    optimizer = model.optimizer
    built = getattr(optimizer, "inner_optimizer", optimizer)._trainable_variables
    training = model.trainable_variables
    if len(built) == len(training):
        yield
        return
    apply = optimizer.stateless_apply
    frozen = dict(zip(map(id, model.non_trainable_variables), state[1], strict=True))

    def apply_to_all(
        optimizer_variables: list[Any], gradients: list[Any], values: list[Any]
    ) -> tuple[list[Any], list[Any]]:
        found = dict(zip(map(id, training), gradients, strict=True))
        known = frozen | dict(zip(map(id, training), values, strict=True))
        with warnings.catch_warnings():
            # Of the gradients that are not there.
            warnings.simplefilter("ignore")
            after, optimizer_variables = apply(
                optimizer_variables,
                [found.get(id(variable)) for variable in built],
                [known[id(variable)] for variable in built],
            )
        moved = dict(zip(map(id, built), after, strict=True))
        return [moved[id(variable)] for variable in training], optimizer_variables

    optimizer.stateless_apply = apply_to_all
    try:
        yield
    finally:
        optimizer.stateless_apply = apply


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
