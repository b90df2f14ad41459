"""Learning rates of single weights, their averages, and what becomes of frozen ones."""

from collections.abc import Sequence
from typing import Any

import keras


def scale(optimizer: keras.optimizers.Optimizer, factors: Sequence[float]) -> None:
    """Makes an optimizer take a multiple of its learning rate for each variable.

    Scaled gradients would not do it: Adam and RMSProp divide by their size. So the
    rate is scaled where an update is computed, and for the weight decay too.

    Args:
        optimizer: Not built yet.
        factors: Of the variables that it will be built with, in their order.
    """
    update_step = optimizer.update_step
    apply_weight_decay = optimizer._apply_weight_decay
    weight_decay = optimizer.weight_decay

    def scaled_step(gradient: Any, variable: Any, learning_rate: Any) -> None:
        factor = factors[optimizer._get_variable_index(variable)]
        update_step(gradient, variable, learning_rate * factor)

    def scaled_decay(variables: Sequence[Any]) -> None:
        if weight_decay is None:
            return
        groups: dict[float, list[Any]] = {}
        for variable in variables:
            factor = factors[optimizer._get_variable_index(variable)]
            groups.setdefault(factor, []).append(variable)
        for factor, group in groups.items():
            # The decay is the product of both: scaling one scales the other.
            optimizer.weight_decay = weight_decay * factor
            apply_weight_decay(group)
        optimizer.weight_decay = weight_decay

    optimizer.update_step = scaled_step
    optimizer._apply_weight_decay = scaled_decay


def spare_frozen(optimizer: keras.optimizers.Optimizer) -> None:
    """Lets variables be frozen for a while after the optimizer was built with them.

    Keras averages all variables it was built with, which by rounding moves the average
    even of one that stands still; here the average of a frozen variable is its value.
    """
    update = optimizer._update_model_variables_moving_average

    def update_average(variables: Sequence[keras.Variable]) -> None:
        update(variables)
        averages = optimizer._model_variables_moving_average
        for variable, average in zip(variables, averages, strict=True):
            if not variable.trainable:
                average.assign(variable)

    optimizer._update_model_variables_moving_average = update_average


def keep_weights(optimizer: keras.optimizers.Optimizer) -> None:
    """Leaves the weights as they are at the end of `fit`, beside their average.

    Keras replaces them by it, and then training could not go on; on JAX it tries to
    where an error ends `fit`, too, and hides that error behind one of its own.
    """
    optimizer._overwrite_model_variables_with_average_value = lambda _: None


def ramp_average(optimizer: keras.optimizers.Optimizer) -> None:
    """Lets the moving average of the weights follow them closely at first.

    Its decay in step t is at most (1 + t) / (10 + t), as TensorFlow's
    `ExponentialMovingAverage` has it with `num_updates`: of a training of n steps the
    average covers about the last ninth, or less if the decay says so. Without this a
    training of some dozen steps ends with an average of which a third is the weights
    that it began with.
    """
    update = optimizer._update_model_variables_moving_average
    decay = optimizer.ema_momentum

    def update_average(variables: Sequence[keras.Variable]) -> None:
        step = keras.ops.cast(optimizer.iterations, "float32")
        optimizer.ema_momentum = keras.ops.minimum(decay, (1 + step) / (10 + step))
        update(variables)
        optimizer.ema_momentum = decay

    optimizer._update_model_variables_moving_average = update_average
