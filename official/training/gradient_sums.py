"""Sums of gradients that come out the same every time.

Where a tensor has three consumers or more, TensorFlow adds up its gradients with
`AddN`, whose CPU kernel starts with whichever operand's buffer it may overwrite. That
depends on which thread has finished first, so the sum differs in its last bits from run
to run, at any seed, and `tf.config.experimental.enable_op_determinism` does not know of
it (TensorFlow 2.21, `core/kernels/aggregate_ops.cc`). Then no training could be
repeated, nor an interrupted one go on, to the bit.
"""

from collections.abc import Sequence
from typing import Any


def fix_order() -> bool:
    """Makes gradient tapes of this process add up in the order of the graph.

    The sum function of TensorFlow's tapes has no public name. Where it is not found,
    all stays as it is.

    Returns:
        Whether the order is fixed.
    """
    try:
        from tensorflow.python import pywrap_tfe
        from tensorflow.python.eager import backprop

        space = backprop._default_vspace
        original = space.aggregate_fn
        ordered = space._replace(aggregate_fn=_ordered(original))
        pywrap_tfe.TFE_Py_RegisterVSpace(ordered)
    except (ImportError, AttributeError):
        return False
    return True


def _ordered(original: Any) -> Any:
    import tensorflow as tf

    def total(gradients: Sequence[Any]) -> Any:
        # Two summands are the same in any order. A chain of sums would not do: the
        # graph optimizer makes an AddN of it.
        dense = all(isinstance(gradient, tf.Tensor) for gradient in gradients)
        if len(gradients) < 3 or not dense:
            return original(gradients)
        return tf.reduce_sum(tf.stack(gradients), axis=0)

    return total
