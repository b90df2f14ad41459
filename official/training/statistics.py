"""Statistics of batch norms, computed anew instead of averaged over past steps."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from official.training import checkpoints, fine_tuning


class Reestimation:
    """Measures the statistics of a network's norms over training batches.

    They are exact for the batches taken together: the mean of the batches' means, and
    the mean of their squares less its square, each layer having normalized the batches
    before it with their own statistics (Wu & Johnson, 2021,
    https://arxiv.org/abs/2105.07576, section 3).

    Args:
        network: In the training form; used up by this.
        batches: `(images, targets)`, all of one size, to be run through every time.
        setting: What is frozen; these norms keep their statistics.
    """

    def __init__(
        self,
        network: keras.Model,
        batches: Iterable[tuple[Any, Any]],
        setting: fine_tuning.FineTuning,
    ):
        self._network = network
        self._batches = batches
        self._setting = setting
        for norm in fine_tuning.norms(network.layers):
            norm.momentum = 0.0  # after a batch, the moving statistics are its own

    def __call__(
        self, weights: Mapping[str, np.ndarray], *, epoch: int
    ) -> dict[str, np.ndarray]:
        """The moving statistics, by path.

        Args:
            weights: All of the network's, by path.
            epoch: Counted from 0; decides what is frozen.
        """
        network = self._network
        checkpoints.assign(network.weights, weights, source="the training network")
        if self._setting.set_epoch(network, epoch):
            network.make_predict_function(force=True)
        norms = [n for n in fine_tuning.norms(network.layers) if n.trainable]
        for norm in norms:
            norm.use_batch_statistics = True
        means = [_Mean() for _ in norms]
        squares = [_Mean() for _ in norms]
        for images, _ in self._batches:
            # Not in training mode: dropout would disturb what is measured.
            network.predict_on_batch(np.asarray(images))
            for norm, mean, square in zip(norms, means, squares, strict=True):
                value = _numpy(norm.moving_mean)
                mean.add(value)
                square.add(_numpy(norm.moving_variance) + value**2)
        found = {}
        for norm, mean, square in zip(norms, means, squares, strict=True):
            found[norm.moving_mean.path] = mean.value
            found[norm.moving_variance.path] = square.value - mean.value**2
        return {path: value.astype(np.float32) for path, value in found.items()}


class _Mean:
    def __init__(self) -> None:
        self.value: Any = 0.0
        self._count = 0

    def add(self, value: np.ndarray) -> None:
        self._count += 1
        self.value = self.value + (value - self.value) / self._count


def _numpy(variable: keras.Variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable).astype(np.float64)
