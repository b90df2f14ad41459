"""TensorFlow's rewriting of graphs, as far as training on CPUs gains by it."""

from official.layers import depthwise

# `remapping` looks for what it can merge into one op, `function_optimization` writes
# functions into their callers. Both go over a step of training several times, find
# nothing there that a CPU would do faster, and end with the same bits.
IDLE = ("remapping", "function_optimization")


def spare_idle() -> None:
    """Leaves out, for this process, what delays the first step and gives nothing.

    With GPUs nothing is left out: there norms and activations are merged.
    """
    if not depthwise.on_cpu():
        return
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options(dict.fromkeys(IDLE, False))
