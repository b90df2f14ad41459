"""The network with its losses, as a model that `fit` can train."""

from collections.abc import Mapping

import keras
from keras import ops


class Trainable(keras.Model):
    """Calls every loss with all targets and all outputs; minimises their sum.

    Args:
        network: Maps images to a dict of outputs.
        losses: By name.
        l2: See `official.optim.optimizers.Optimizer`.
    """

    def __init__(
        self,
        network: keras.Model,
        losses: Mapping[str, keras.losses.Loss],
        *,
        l2: float = 0.0,
    ):
        super().__init__(name="trainable")
        self.network = network
        self._task_losses = dict(losses)
        self._loss_terms = {
            name: keras.metrics.Mean(name=f"{name}_loss") for name in losses
        }
        if l2:
            for kernel in regularized_kernels(network):
                kernel.regularizer = keras.regularizers.L2(l2 / 2)

    def call(self, images, training=False):
        return self.network(images, training=training)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        del sample_weight
        total = ops.zeros((), "float32")
        for name, loss in self._task_losses.items():
            value = loss(y, y_pred)
            replicas = self.distribute_strategy.num_replicas_in_sync
            # Keras divides a loss by the number of replicas for the sum of gradients.
            self._loss_terms[name].update_state(value * replicas)
            total = total + value
        for penalty in self.losses:
            total = total + self._aggregate_additional_loss(penalty)
        return total


def regularized_kernels(network: keras.Model) -> list[keras.Variable]:
    """Kernels of convolutions (depthwise ones spared) and dense layers."""
    layers = [
        layer
        for layer in network.layers
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)
        and not isinstance(layer, keras.layers.DepthwiseConv2D)
    ]
    return [layer.kernel for layer in layers if layer.kernel.trainable]
