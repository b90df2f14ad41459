"""The masks of one output, as the losses of `official.losses.panoptic` see them.

What several losses want of an output is made here by the same operations, which
TensorFlow and XLA merge within one compiled step.
"""

# B batch, P pixels, K segments, N queries, C classes

import abc
from typing import Any, NamedTuple

import keras
from keras import ops

from official.losses import relaxation
from official.ops import segments as segments_lib


class Masks(NamedTuple):
    """The masks of one output and what they are for.

    Attributes:
        logits: `[B, P, N]`, not relaxed.
        log_scores: `[B, P, N]`, of each pixel over the queries.
        segments: int32 `[B, P]`.
        members: `[B, P, K]`, 1 where a pixel is of a segment.
        classes: int32 `[B, K]`.
        slots: int32 `[B, K]`, -1 where a segment has no query.
        class_logits: `[B, N, C + 1]`.
    """

    logits: Any
    log_scores: Any
    segments: Any
    members: Any
    classes: Any
    slots: Any
    class_logits: Any

    def own_log_scores(self):
        """What each pixel gives the query of its segment, and whether it has one."""
        slots = ops.take_along_axis(self.slots, ops.maximum(self.segments, 0), axis=1)
        known = ops.logical_and(self.segments >= 0, slots >= 0)
        own = ops.maximum(slots, 0)[..., None]
        return ops.take_along_axis(self.log_scores, own, axis=2)[..., 0], known

    def areas(self):
        """Of each query's mask, on the pixels of segments and on all others, `[B, N]`.

        Masks are summed in one product, for the outputs are large.
        """
        inside = ops.cast(self.segments >= 0, "float32")
        sides = ops.stack([inside, 1 - inside], axis=1)
        sums = ops.matmul(sides, ops.exp(self.log_scores))
        return sums[:, 0], sums[:, 1]

    def matched_areas(self):
        """Of each segment, of its query's mask, and of what they share, `[B, K]`."""
        own, known = self.own_log_scores()
        own = ops.where(known, ops.exp(own), 0.0)
        common = ops.matmul(own[:, None], self.members)[:, 0]
        slots = ops.maximum(self.slots, 0)
        mask_areas = ops.take_along_axis(self.areas()[0], slots, axis=1)
        return ops.sum(self.members, axis=1), mask_areas, common


class MaskLoss(keras.losses.Loss, abc.ABC):
    """A loss of the masks of several outputs, relaxed (ReMask) or not.

    Args:
        prefixes: Of the outputs that count.
        remask: Relax the masks of the outputs, other than the final one, that have
            semantic logits of their own.
        gate_activation: See `official.losses.relaxation.relaxed`.
        stop_gradient: See there.
        weight: Factor of the loss.
    """

    def __init__(
        self,
        *,
        prefixes: tuple[str, ...],
        remask: bool,
        gate_activation: str,
        stop_gradient: bool,
        weight: float,
        name: str,
    ):
        super().__init__(name=name, dtype="float32")
        if gate_activation not in relaxation.GATES:
            raise ValueError(
                f"gate_activation = {gate_activation!r}: must be one of "
                + ", ".join(map(repr, relaxation.GATES))
            )
        self.prefixes = tuple(prefixes)
        self.remask = remask
        self.gate_activation = gate_activation
        self.stop_gradient = stop_gradient
        self.weight = weight

    def call(self, y_true, y_pred):
        """Loss of each image, `[B]`."""
        terms = [self._of(self._masks(y_true, y_pred, name)) for name in self.prefixes]
        return self.weight * sum(terms[1:], start=terms[0])

    def _masks(self, y_true, y_pred, prefix: str) -> Masks:
        # Keras hands integer targets on as floats, and halves as singles.
        logits = y_pred[f"{prefix}mask_logits"]
        segments = segments_lib.flat(
            segments_lib.subsample(
                ops.cast(y_true["segments"], "int32"), tuple(logits.shape[1:3])
            )
        )
        logits = segments_lib.flat(logits)
        class_logits = y_pred[f"{prefix}class_logits"]
        classes = ops.cast(y_true["segment_classes"], "int32")
        relaxed = logits
        # The final masks are those of inference: they stay as they are.
        if self.remask and prefix and f"{prefix}semantic_logits" in y_pred:
            relaxed = relaxation.relaxed(
                logits,
                class_logits,
                segments_lib.flat(y_pred[f"{prefix}semantic_logits"]),
                activation=self.gate_activation,
                stop_gradient=self.stop_gradient,
            )
        return Masks(
            logits=logits,
            log_scores=ops.log_softmax(relaxed, axis=-1),
            segments=segments,
            members=segments_lib.members(segments, classes.shape[1]),
            classes=classes,
            slots=ops.cast(y_true["slots"], "int32"),
            class_logits=class_logits,
        )

    @abc.abstractmethod
    def _of(self, masks: Masks):
        """The loss of one output, `[B]`, before its weight."""

    def get_config(self):
        return {
            "prefixes": self.prefixes,
            "remask": self.remask,
            "gate_activation": self.gate_activation,
            "stop_gradient": self.stop_gradient,
            "weight": self.weight,
            "name": self.name,
        }
