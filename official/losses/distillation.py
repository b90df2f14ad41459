"""What a network loses by differing from its teacher."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mobile_vision")
class Distillation(keras.losses.Loss):
    """Divergence of the network's softened scores from its teacher's.

    Hinton et al., 2015, https://arxiv.org/abs/1503.02531, section 2: the logits of both
    are divided by a temperature T; times T**2, the gradient is of the same size at
    every T. The Kullback-Leibler divergence differs from the paper's cross-entropy by
    the teacher's entropy, which has no gradient, and is 0 where both agree. Labels take
    no part: alone, this loss learns from unlabelled images, as SSLD does (Cui et al.,
    2021, https://arxiv.org/abs/2103.05959).

    Args:
        temperature: T.
        weight: Factor of the loss.
        multi_label: Compare the sigmoid of each class, averaged over the classes,
            instead of the softmax over them.
    """

    def __init__(
        self,
        *,
        temperature: float = 1.0,
        weight: float = 1.0,
        multi_label: bool = False,
        name: str = "distillation",
    ):
        super().__init__(name=name, dtype="float32")
        if not temperature > 0:
            raise ValueError(f"temperature {temperature}: want more than 0")
        self.temperature = temperature
        self.weight = weight
        self.multi_label = multi_label

    def call(self, y_true, y_pred):
        """Loss of each image, `[B]`.

        Args:
            y_true: Holds "teacher_logits", `[B, C]`.
            y_pred: Holds "logits", `[B, C]`.
        """
        theirs = ops.cast(y_true["teacher_logits"], "float32") / self.temperature
        ours = ops.cast(y_pred["logits"], "float32") / self.temperature
        if self.multi_label:
            yes = _weighted_difference(ops.log_sigmoid, theirs, ours)
            no = _weighted_difference(ops.log_sigmoid, -theirs, -ours)
            divergence = ops.mean(yes + no, axis=-1)
        else:
            difference = _weighted_difference(ops.log_softmax, theirs, ours)
            divergence = ops.sum(difference, axis=-1)
        return self.weight * self.temperature**2 * divergence

    def get_config(self):
        return {
            "temperature": self.temperature,
            "weight": self.weight,
            "multi_label": self.multi_label,
            "name": self.name,
        }


def _weighted_difference(log_scores, theirs, ours):
    """`p * (log p - log q)` of the teacher's scores p and the network's q."""
    log_p = log_scores(theirs)
    return ops.exp(log_p) * (log_p - log_scores(ours))
