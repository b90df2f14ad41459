"""TensorFlow's optimizer of graphs, which training on CPUs does better without."""

from official.layers import depthwise


def spare() -> None:
    """Leaves the optimizer out for this process, where CPUs are all it has.

    Its passes go over a step of training for one to five seconds, and the step then
    takes as long as without them: what they merge or fold is small beside the
    convolutions. Results are the same but for rounding. With GPUs it stays: there norms
    and activations are merged, and layouts chosen.
    """
    if not depthwise.on_cpu():
        return
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
