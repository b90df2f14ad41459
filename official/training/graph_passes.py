"""TensorFlow's optimizer of graphs, as far as training on CPUs gains by it."""

from official.layers import depthwise

MERGING = "remap"
"""The one pass that training on CPUs gains by: it makes one kernel of a norm and the
ReLU behind it, a twentieth of a step of MobileNetV4-Conv-Small."""


def spare() -> None:
    """Leaves out, for this process, what delays the first step and gives nothing.

    The optimizer goes over a step of training for one to five seconds; here `MERGING`
    goes over it once. What else it merges or folds is small beside the convolutions:
    without it a step takes as long, and the input pipeline no longer. Results are the
    same but for rounding. With GPUs nothing is left out.
    """
    if not depthwise.on_cpu():
        return
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    _merge_alone()


def _merge_alone() -> bool:
    """Lets `MERGING` go over what this thread calls, and no other pass.

    TensorFlow has no public name for that. Where it is not found, all passes stay out.

    Returns:
        Whether it was found.
    """
    try:
        from tensorflow.core.protobuf import rewriter_config_pb2
        from tensorflow.python.eager import context

        found = context.context()
        config = found.config
        config.allow_soft_placement = True  # as TensorFlow has it for functions
        rewriting = config.graph_options.rewrite_options
        rewriting.disable_meta_optimizer = False
        rewriting.optimizers[:] = [MERGING]
        rewriting.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
        found.function_call_options = context.FunctionCallOptions(config_proto=config)
    except (ImportError, AttributeError):
        return False
    return True
