"""The network with its losses, as a model that `fit` can train."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from official.training import (
    gradient_sums,
    late_logs,
    loss_terms,
    one_program,
    workers,
)


class Trainable(keras.Model):
    """Calls every loss with all targets and all outputs; minimises their sum.

    Args:
        network: Maps images to a dict of outputs.
        losses: By name.
        l2: See `official.optim.optimizers.Optimizer`.
        assign: See `official.tasks.base.Task.assign`; None leaves targets as they are.
        teacher: Maps the images of a batch to a dict of outputs, which the losses find
            among the targets as "teacher_<name>". It is neither trained nor saved.

    Attributes:
        provenance: What is known of the weights it starts with, see
            `official.weights.transfer.Transfer`.
        late: Gives callbacks the losses of the step before; see `LateLogs`.
        steps_at_once: Of the next call of `train_function`, at most
            `steps_per_execution`; None is as many.
    """

    def __init__(
        self,
        network: keras.Model,
        losses: Mapping[str, keras.losses.Loss],
        *,
        l2: float = 0.0,
        assign: Callable[..., dict[str, Any]] | None = None,
        teacher: keras.Model | None = None,
    ):
        super().__init__(name="trainable")
        self.network = network
        # In a closure, because Keras would count an attribute's weights as its own.
        self._teach = lambda images: _scores(teacher, images) if teacher else {}
        self._assign = assign
        self.provenance: dict[str, str] = {}
        self.late = late_logs.LateLogs()
        self.steps_at_once: int | None = None
        self._task_losses = dict(losses)
        self._loss_terms = {
            name: keras.metrics.Mean(name=loss_terms.log_name(name)) for name in losses
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
        y = y | self._teach(x)
        if self._assign is not None:
            y = self._assign(y, y_pred, mean=self._mean)
        total = ops.zeros((), "float32")
        for name, loss in self._task_losses.items():
            value = loss(y, y_pred)
            # Keras divides a loss by the number of replicas for the sum of gradients.
            self._loss_terms[name].update_state(value * self._replicas())
            total = total + value
        for penalty in self.losses:
            total = total + self._aggregate_additional_loss(penalty)
        return total

    def __setattr__(self, name, value):
        # Here Keras on JAX keeps all values after each step, and would look for layers
        # among them: Python's time, in which the next step is not sent to the device.
        if name == "_jax_state":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def train_step(self, *arguments):
        """As Keras's; on JAX it is given the values of all variables first."""
        if keras.backend.backend() != "jax":
            return super().train_step(*arguments)
        with one_program.frozen_counted(self, arguments[0]):
            return super().train_step(*arguments)

    def make_train_function(self, force=False):
        """As Keras's; on TensorFlow one program of its own for every strategy.

        Keras 3.15 has none that works for several hosts: it sums the logs of a step
        over axis 0 there, and they are scalars
        (https://github.com/keras-team/keras/issues/20585). On one device its step is a
        function inside another, which takes longer to trace. What `run_eagerly` asks
        for is left to Keras.
        """
        made: Any = getattr(self, "train_function", None)
        if made is not None and not force:
            return
        tensorflow = keras.backend.backend() == "tensorflow"
        if tensorflow:
            gradient_sums.fix_order()
        if tensorflow and not self.run_eagerly:
            self.train_function = self._steps_of_replicas()
        else:
            super().make_train_function(force=force)
        self.train_function = self.late.wrap(self.train_function)

    def loop(self, steps: int) -> None:
        """Lets `fit` take so many steps with one call from here on."""
        self.steps_per_execution = steps
        self.make_train_function(force=True)

    def _steps_of_replicas(self) -> Callable[..., Any]:
        import tensorflow as tf

        strategy = self.distribute_strategy
        train_step = self.train_step
        if self.jit_compile:
            train_step = tf.function(train_step, autograph=False, jit_compile=True)

        def one(batches):
            return strategy.run(train_step, args=(batches.get_next(),))

        def averaged(logs):
            mean = tf.distribute.ReduceOp.MEAN
            return {
                name: strategy.reduce(mean, value, axis=None)
                for name, value in logs.items()
            }

        @tf.function(autograph=False)
        def step(batches):
            return averaged(one(batches))

        @tf.function(autograph=False)
        def loop(batches, count):
            def taken(number):
                one(batches)
                return number + 1

            # One at a time: each begins with the weights that the last one left.
            tf.while_loop(
                lambda number: number < count, taken, [1], parallel_iterations=1
            )
            return averaged(one(batches))

        def several(batches):
            count = self.steps_at_once or self.steps_per_execution
            return loop(batches, tf.constant(count))

        return step if self.steps_per_execution == 1 else several

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # `preparation.model` has built all there is; and Keras fails at it for several
        # hosts, as it makes one tensor of what differs between replicas.
        if not self._several_hosts():
            super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)

    def _several_hosts(self) -> bool:
        # Other backends have no strategies.
        if keras.backend.backend() != "tensorflow":
            return False
        return workers.count(self.distribute_strategy) > 1

    def _replicas(self) -> int:
        """That see a share of each batch."""
        # Elsewhere one program sees the whole batch, on any number of devices.
        if keras.backend.backend() != "tensorflow":
            return 1
        return self.distribute_strategy.num_replicas_in_sync

    def _mean(self, value: Any) -> Any:
        """A tensor, averaged over the replicas."""
        if self._replicas() == 1:
            return value
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.MEAN, value)


def regularized_kernels(network: keras.Model) -> list[keras.Variable]:
    """Kernels of convolutions (depthwise ones spared) and dense layers."""
    layers = [
        layer
        for layer in network.layers
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)
        and not isinstance(layer, keras.layers.DepthwiseConv2D)
    ]
    return [layer.kernel for layer in layers if layer.kernel.trainable]


def _scores(teacher: keras.Model, images: Any) -> dict[str, Any]:
    """Outputs of a teacher, at its own image size, as targets."""
    size = teacher.input_shape[1:3]
    if None not in size and tuple(images.shape[1:3]) != size:
        images = ops.image.resize(images, size, interpolation="bilinear")
    outputs = teacher(images, training=False)
    return {
        f"teacher_{name}": ops.stop_gradient(value) for name, value in outputs.items()
    }
