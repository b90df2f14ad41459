"""Updates by one kernel a weight, where the backend has one.

Keras computes an update of Adam with a dozen small ops for each weight, evaluates the
schedule of the learning rate anew for each weight that decays, and traces all of them:
thousands of ops in a step. TensorFlow has a kernel for the update of a whole weight by
Adam, RMSProp and momentum, with the formulas of Keras.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras


def fuse(optimizer: keras.optimizers.Optimizer) -> None:
    """Makes an optimizer use the kernels of its backend.

    On other backends than TensorFlow nothing changes; under several replicas only
    clipping does, and what has no kernel stays as Keras computes it. Results are those
    of Keras but for rounding.
    """
    if keras.backend.backend() != "tensorflow":
        return
    _fuse_clipping(optimizer)
    _fuse_update(optimizer)
    _fuse_weight_decay(optimizer)
    _fuse_average(optimizer)


def _fuse_clipping(optimizer: Any) -> None:
    """As Keras's `clip_by_global_norm`; each gradient is read once for the norm."""
    limit, one_by_one = optimizer.global_clipnorm, optimizer._clip_gradients
    if not limit:
        return

    def clip(gradients: Sequence[Any]) -> list[Any]:
        import tensorflow as tf

        if not all(isinstance(gradient, tf.Tensor) for gradient in gradients):
            return one_by_one(gradients)
        # Half of the squares' sum of each, a scalar, by one kernel.
        halves = [tf.nn.l2_loss(tf.cast(each, tf.float32)) for each in gradients]
        norm = tf.sqrt(2.0 * tf.reduce_sum(tf.stack(halves)))
        # The difference is 0, or NaN where the norm is infinite: as in Keras a step
        # that has run away is seen, not taken with all gradients 0.
        share = limit / tf.maximum(norm, limit) + (norm - norm)
        return [each * tf.cast(share, each.dtype) for each in gradients]

    optimizer._clip_gradients = clip


def _fuse_update(optimizer: keras.optimizers.Optimizer) -> None:
    kernel = _kernel(optimizer)
    if kernel is None:
        return
    one_by_one = optimizer.update_step

    def update_step(gradient: Any, variable: Any, learning_rate: Any) -> None:
        import tensorflow as tf

        if _replicas() > 1 or not isinstance(gradient, tf.Tensor):
            one_by_one(gradient, variable, learning_rate)
            return
        gradient = tf.cast(gradient, variable.dtype)
        learning_rate = tf.cast(learning_rate, variable.dtype)
        place = optimizer._get_variable_index(variable)
        kernel(_handle(variable), place, gradient, learning_rate)

    optimizer.update_step = update_step


def _kernel(optimizer: Any) -> Callable[..., Any] | None:
    """Updates a weight: `(handle, number, gradient, learning_rate)`."""
    if isinstance(optimizer, keras.optimizers.Adam) and not optimizer.amsgrad:
        return _adam(optimizer)
    if isinstance(optimizer, keras.optimizers.RMSprop):
        usual = optimizer.momentum > 0 and not optimizer.centered
        return _rms_prop(optimizer) if usual else None
    if isinstance(optimizer, keras.optimizers.SGD) and optimizer.momentum:
        return _momentum(optimizer)
    return None


def _adam(optimizer: Any) -> Callable[..., Any]:
    return _updates(
        "ResourceApplyAdam",
        _once_a_step(optimizer, lambda: _of_adam(optimizer)),
        lambda: {"m": optimizer._momentums, "v": optimizer._velocities},
    )


def _of_adam(optimizer: Any) -> dict[str, Any]:
    """What all weights share, as tensors: a number would be a new op for each."""
    import tensorflow as tf

    step = tf.cast(optimizer.iterations + 1, tf.float32)
    beta1, beta2 = (tf.constant(b) for b in (optimizer.beta_1, optimizer.beta_2))
    return {
        "beta1": beta1,
        "beta2": beta2,
        "beta1_power": tf.pow(beta1, step),
        "beta2_power": tf.pow(beta2, step),
        "epsilon": tf.constant(optimizer.epsilon),
    }


def _rms_prop(optimizer: Any) -> Callable[..., Any]:
    names = ("rho", "momentum", "epsilon")
    return _updates(
        "ResourceApplyRMSProp",
        _once_a_step(optimizer, lambda: _constants(optimizer, names)),
        lambda: {"ms": optimizer._velocities, "mom": optimizer._momentums},
    )


def _momentum(optimizer: Any) -> Callable[..., Any]:
    return _updates(
        "ResourceApplyKerasMomentum",
        _once_a_step(optimizer, lambda: _constants(optimizer, ("momentum",))),
        lambda: {"accum": optimizer.momentums},
        use_nesterov=optimizer.nesterov,
    )


def _updates(
    kernel: str,
    settings: Callable[[], dict[str, Any]],
    slots: Callable[[], dict[str, Any]],
    **fixed: bool,
) -> Callable[..., Any]:
    """An update by a kernel of TensorFlow.

    Args:
        kernel: Its name in `tf.raw_ops`.
        settings: What all weights share.
        slots: What the optimizer keeps of each weight, by the kernel's names; there
            once the optimizer is built.
        fixed: Attributes of the kernel.
    """
    import tensorflow as tf

    apply = getattr(tf.raw_ops, kernel)

    def update(handle: Any, place: int, gradient: Any, learning_rate: Any) -> None:
        kept = {name: _handle(held[place]) for name, held in slots().items()}
        apply(
            var=handle,
            lr=learning_rate,
            grad=gradient,
            **kept,
            **settings(),
            **fixed,
        )

    return update


def _constants(optimizer: Any, names: Sequence[str]) -> dict[str, Any]:
    import tensorflow as tf

    return {name: tf.constant(getattr(optimizer, name), tf.float32) for name in names}


def _once_a_step(optimizer: Any, compute: Callable[[], Any]) -> Callable[[], Any]:
    """A value that all weights share: computed anew when a step begins."""
    apply_gradients = optimizer._backend_apply_gradients
    held: list[Any] = []

    def apply(gradients: Sequence[Any], variables: Sequence[Any]) -> None:
        held.append(compute())
        try:
            apply_gradients(gradients, variables)
        finally:
            held.pop()

    optimizer._backend_apply_gradients = apply
    # A step of a single weight may be asked for outside `apply`.
    return lambda: held[-1] if held else compute()


def _fuse_weight_decay(optimizer: Any) -> None:
    one_by_one = optimizer._apply_weight_decay

    def apply_weight_decay(variables: Sequence[Any]) -> None:
        if optimizer.weight_decay is None:
            return
        if _replicas() > 1:
            one_by_one(variables)
            return
        import tensorflow as tf

        left = 1.0 - optimizer.weight_decay * optimizer.learning_rate
        for variable in variables:
            if optimizer._use_weight_decay(variable):
                # One product, whose memory the variable takes over. To subtract from
                # what has just been read would copy it first.
                value = tf.convert_to_tensor(variable)
                tf.raw_ops.AssignVariableOp(
                    resource=_handle(variable),
                    value=value * tf.cast(left, value.dtype),
                )

    optimizer._apply_weight_decay = apply_weight_decay


def _fuse_average(optimizer: Any) -> None:
    one_by_one = optimizer._update_model_variables_moving_average

    def update_average(variables: Sequence[Any]) -> None:
        import tensorflow as tf

        if not optimizer.use_ema or _replicas() > 1:
            one_by_one(variables)
            return
        averages = optimizer._model_variables_moving_average
        later = tf.cast(tf.not_equal(optimizer.iterations, 0), tf.float32)
        share = 1.0 - later * optimizer.ema_momentum
        for variable, average in zip(variables, averages, strict=True):
            value = tf.convert_to_tensor(average)
            # average - share * (average - variable)
            tf.raw_ops.ResourceApplyGradientDescent(
                var=_handle(average),
                alpha=tf.cast(share, value.dtype),
                delta=value - tf.convert_to_tensor(variable),
            )

    optimizer._update_model_variables_moving_average = update_average


def _handle(variable: Any) -> Any:
    """Of a variable of Keras or of TensorFlow."""
    value = variable.value if isinstance(variable, keras.Variable) else variable
    return value.handle


def _replicas() -> int:
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync
