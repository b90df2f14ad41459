"""Segments as the slots of a mask transformer."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import keras

from official.data import base as data_base
from official.heads import base as heads_base
from official.layers import argmax
from official.losses import panoptic as losses_lib
from official.losses import relaxation
from official.ops import mask_matching
from official.tasks import base, panoptic_merging, panoptic_method

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReMaX:
    """Relaxations of training (Sun et al., 2023, https://arxiv.org/abs/2306.17319).

    Files do not change: what is added is dropped after training.

    Attributes:
        remask: Raise the mask logits of the layers that have a semantic branch where
            it sees the class of the slot, see `official.losses.relaxation.relaxed`.
        reclass: eta: what the share of a class that a slot covers counts in its target
            of classes, see `official.losses.relaxation.reclassified`; 0 does nothing.
            0.1 is recalled to be the paper's choice of 0, 0.01, 0.05, 0.1 and 0.2.
        gate: "sigmoid" or "softmax": what makes scores of class logits for ReMask.
        stop_gradient: Panoptic losses do not train the semantic branches, as in the
            paper.
    """

    remask: bool = True
    reclass: float = 0.1
    gate: str = "sigmoid"
    stop_gradient: bool = True

    def __post_init__(self):
        if not 0 <= self.reclass <= 1:
            raise ValueError(f"ReMaX.reclass = {self.reclass}: want from 0 to 1")
        if self.gate not in relaxation.GATES:
            raise ValueError(
                f"ReMaX.gate = {self.gate!r}: want one of {relaxation.GATES}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskSlots(panoptic_method.Method):
    """The losses of kMaX-DeepLab and the relaxations of ReMaX; merging of masks.

    Yu et al., 2022, https://arxiv.org/abs/2207.04044; weights as in
    google-research/deeplab2. Slots are matched to segments by the last output, and all
    layers learn that assignment.

    Attributes:
        max_segments: K; of an image with more the largest are learned, the rest is not
            counted.
        remax: Relaxations of training, or None.
        merging: How masks become segments.
        class_weight: Of the loss of the slots' classes.
        dice_weight: Of the dice loss of the masks.
        id_weight: Of the cross-entropy of pixels over slots.
        discrimination_weight: Of the likeness of pixels; 0 leaves it out.
        samples: Pixels of an image whose likeness is compared.
        area_power: How much more often pixels of small segments are drawn for that.
        semantic_weight: Of the auxiliary semantic head and of ReMaX's branches.
        hardest_fraction: Share of the pixels of an image that these count.
        matching_stride: Slots and segments are compared on every so many-th row and
            column of the masks.
    """

    max_segments: int = 64
    remax: ReMaX | None = ReMaX()
    merging: panoptic_merging.Merging = panoptic_merging.COCO
    class_weight: float = 3.0
    dice_weight: float = 3.0
    id_weight: float = 0.3
    discrimination_weight: float = 1.0
    samples: int = 1024
    area_power: float = 1.5
    semantic_weight: float = 1.0
    hardest_fraction: float = 1.0
    matching_stride: int = 1

    def __post_init__(self):
        for name in ("max_segments", "samples", "matching_stride"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"MaskSlots.{name} = {getattr(self, name)}: want 1 or more"
                )

    @property
    def output_forms(self) -> tuple[str, ...]:
        return ("masks", "slots")

    @property
    def most_segments(self) -> int:
        return self.max_segments

    def require(self, head: heads_base.PanopticHead) -> None:
        if "mask_logits" not in head.needed:
            raise ValueError(
                f"method MaskSlots reads masks, {type(head).__name__} gives "
                f"{', '.join(head.needed)}: want a KMaX head"
            )

    def unread(self, head: heads_base.PanopticHead) -> set[str]:
        found = set()
        if self.remax is None or not self.remax.remask:
            found |= {f"{p}semantic_logits" for p in head.semantic_prefixes if p}
        if not self.discrimination_weight:
            found |= {f"{p}pixel_features" for p in head.prefixes}
        return found

    def targets(
        self,
        semantic: "tf.Tensor",
        instance: "tf.Tensor",
        thing_ids: "tf.Tensor",
        *,
        stride: int,
    ) -> base.Targets:
        """See `panoptic_method.Method.targets`.

        "segments" int32 `[h, w]`, -1 what does not count, "segment_classes" int32
        `[K]`, padded with -1, "semantic" int32 `[h, w]`.
        """
        import tensorflow as tf

        semantic = panoptic_method.subsampled(semantic, stride)
        instance = panoptic_method.subsampled(instance, stride)
        thing = tf.reduce_any(semantic[..., None] == thing_ids, axis=-1)
        instance = tf.where(thing, instance, 0)
        void = (semantic == data_base.IGNORE_LABEL) | (thing & (instance == 0))
        # Classes and instances in one number; void is a segment of its own, the last.
        keys = tf.where(void, -1, instance * (data_base.IGNORE_LABEL + 1) + semantic)
        found, places, areas = tf.unique_with_counts(tf.reshape(keys, [-1]))
        areas = tf.where(found == -1, -1, areas)
        order = tf.argsort(areas, direction="DESCENDING", stable=True)
        ranks = tf.math.invert_permutation(order)
        last = tf.minimum(
            self.max_segments, tf.reduce_sum(tf.cast(areas > 0, tf.int32))
        )
        segments = tf.reshape(tf.gather(ranks, places), tf.shape(keys))
        classes = tf.gather(found, order[:last]) % (data_base.IGNORE_LABEL + 1)
        classes = tf.pad(classes, [[0, self.max_segments - last]], constant_values=-1)
        return {
            "segments": tf.ensure_shape(
                tf.where(segments < last, segments, -1), semantic.shape
            ),
            "segment_classes": tf.ensure_shape(classes, (self.max_segments,)),
            "semantic": semantic,
        }

    def assign(
        self,
        targets: base.Targets,
        outputs: Mapping[str, Any],
        *,
        mean: Callable[[Any], Any],
    ) -> base.Targets:
        """Adds "slots" int32 `[B, K]`, the slot of each segment or -1."""
        del mean  # losses are those of single images
        slots = mask_matching.match(
            outputs["mask_logits"],
            outputs["class_logits"],
            targets["segments"],
            targets["segment_classes"],
            stride=self.matching_stride,
        )
        return targets | {"slots": slots}

    def losses(self, head: heads_base.PanopticHead) -> dict[str, keras.losses.Loss]:
        prefixes = head.prefixes
        remax = self.remax or ReMaX(remask=False, reclass=0.0)
        shared: dict[str, Any] = {
            "prefixes": prefixes,
            "remask": remax.remask,
            "gate_activation": remax.gate,
            "stop_gradient": remax.stop_gradient,
        }
        found: dict[str, keras.losses.Loss] = {
            "classes": losses_lib.MaskClassLoss(
                **shared, reclass_eta=remax.reclass, weight=self.class_weight
            ),
            "dice": losses_lib.MaskDiceLoss(**shared, weight=self.dice_weight),
            "ids": losses_lib.MaskIdLoss(**shared, weight=self.id_weight),
        }
        if self.discrimination_weight:
            found["discrimination"] = losses_lib.InstanceDiscriminationLoss(
                prefixes=prefixes,
                samples=self.samples,
                area_power=self.area_power,
                weight=self.discrimination_weight,
            )
        branches = head.semantic_prefixes if remax.remask else ("",)
        found["semantic"] = losses_lib.SemanticLoss(
            prefixes=branches,
            hardest_fraction=self.hardest_fraction,
            weight=self.semantic_weight,
        )
        return found

    def finish(self, network: keras.Model, *, output: str) -> keras.Model:
        outputs = dict(network.output)
        if output == "slots":
            logits = outputs.pop("mask_logits")
            outputs["slots"] = argmax.ArgMax(name="slots")(logits)
        return keras.Model(network.input, outputs, name="network")
