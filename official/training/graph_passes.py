"""TensorFlow's optimizer of graphs, as far as training on CPUs gains by it."""

from typing import Any

from official.layers import depthwise

REMAPPER = "remap"
"""TensorFlow's name of the one pass that training on CPUs gains by: it makes one kernel
of a norm and the ReLU behind it."""


def spare(*, precision: str = "float32") -> None:
    """Leaves out, in this thread, what delays the first step and gives nothing.

    The optimizer goes over a step of training for one to five seconds (two cores);
    here the `REMAPPER` goes over it once. What else it merges or folds is small beside
    the convolutions: without it a step takes as long, and the input pipeline no longer.
    Results are the same but for rounding. With GPUs nothing is left out.

    Args:
        precision: As `Trainer.precision`. For "mixed_float16" the `REMAPPER` stays out,
            too: CPUs have no such kernel for float16, and TensorFlow says so for every
            norm.
    """
    if not depthwise.on_cpu():
        return
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    if precision != "mixed_float16":
        _remap_alone()


def _remap_alone() -> None:
    """Lets the `REMAPPER` go over what this thread calls, and no other pass.

    TensorFlow has no public name for that. Where it is not as in TensorFlow 2.20 and
    2.21, all passes stay out.
    """
    from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
    from tensorflow.python.eager import context

    found: Any = context.context()
    options = getattr(type(found), "function_call_options", None)
    if not isinstance(options, property) or options.fset is None:
        return
    try:
        stored = found.function_call_options.config_proto_serialized
        config = config_pb2.ConfigProto.FromString(stored)
        rewriting = config.graph_options.rewrite_options
        rewriting.disable_meta_optimizer = False
        rewriting.optimizers[:] = [REMAPPER]
        rewriting.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
        found.function_call_options = context.FunctionCallOptions(config_proto=config)
    except (AttributeError, TypeError, ValueError):
        return
