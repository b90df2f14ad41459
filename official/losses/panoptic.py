"""Losses of mask transformers.

Those of kMaX-DeepLab (Yu et al., 2022, https://arxiv.org/abs/2207.04044), with the
weights of its code in google-research/deeplab2, and the relaxations of
`official.losses.relaxation`.

Targets: "segments" `[B, H, W]`, the segment of each pixel, -1 what does not count (void
and crowds); "segment_classes" `[B, K]`, -1 where there is no segment; "slots" `[B, K]`,
the query of each segment or -1 (`official.ops.mask_matching`); "semantic" `[B, H, W]`.

Outputs, each name after a prefix ("" of the final ones, "aux1_" of those of the first
layer): "mask_logits" `[B, h, w, N]`, "class_logits" `[B, N, C + 1]`, void last,
"pixel_features" `[B, h, w, D]` of unit length, "semantic_logits" `[B, h, w, C]`. Each
output is judged at its own size, for which the targets are subsampled, and the sum over
the prefixes counts. The loss of an image is divided by what is counted in that image,
so that a batch weighs the same on one replica and on several.

What several losses want of an output is spelled alike (`_Masks`): within one compiled
step equal operations are merged.
"""

# B batch, P pixels, K segments, N queries, C classes, D features, S sampled pixels

import abc
from typing import Any, NamedTuple

import keras
from keras import ops

from official.losses import cross_entropy, relaxation
from official.ops import mask_matching, sampling
from official.ops import segments as segments_lib

FLOOR = 1e-5
"""Least weight of a query, of a mask."""


class _Masks(NamedTuple):
    """The masks of one output and what they are for.

    Attributes:
        logits: `[B, P, N]`, not relaxed.
        log_scores: `[B, P, N]`, of each pixel over the queries.
        segments: int32 `[B, P]`.
        members: `[B, P, K]`, 1 where a pixel is of a segment.
        classes: int32 `[B, K]`.
        slots: int32 `[B, K]`; -1 also where a segment has no pixel at this size.
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


class _MaskLoss(keras.losses.Loss, abc.ABC):
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

    def _masks(self, y_true, y_pred, prefix: str) -> _Masks:
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
        slots = ops.cast(y_true["slots"], "int32")
        members = segments_lib.members(segments, classes.shape[1])
        seen = ops.max(members, axis=1) > 0.0
        relaxed = logits
        # The head of the final output is what is left at inference: it stays as it is.
        if self.remask and prefix and f"{prefix}semantic_logits" in y_pred:
            relaxed = relaxation.relaxed(
                logits,
                class_logits,
                segments_lib.flat(y_pred[f"{prefix}semantic_logits"]),
                activation=self.gate_activation,
                stop_gradient=self.stop_gradient,
            )
        return _Masks(
            logits=logits,
            log_scores=ops.log_softmax(relaxed, axis=-1),
            segments=segments,
            members=members,
            classes=classes,
            slots=ops.where(ops.logical_and(seen, classes >= 0), slots, -1),
            class_logits=class_logits,
        )

    @abc.abstractmethod
    def _of(self, masks: _Masks):
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


@keras.saving.register_keras_serializable(package="mobile_vision")
class MaskClassLoss(_MaskLoss):
    """Cross-entropy of the queries' classes, void of those without a segment.

    A query that has a segment weighs by how well its mask fits (dice), any other by the
    share of its mask that lies on what is no segment: elsewhere it may believe what it
    likes. The sum is divided by the number of queries whose loss is not zero.

    Args:
        prefixes: Of the outputs that count.
        reclass_eta: Largest value of a further class of a query, see
            `official.losses.relaxation.reclassified`; 0 is plain cross-entropy, and a
            re-implementation of the paper has 0.1.
        alpha: Weight of queries with a segment; 1 - alpha is that of the others.
        remask: Relax the masks of the outputs, other than the final one, that have
            semantic logits of their own.
        gate_activation: See `official.losses.relaxation.relaxed`.
        stop_gradient: See there.
        weight: Factor of the loss.
    """

    def __init__(
        self,
        *,
        prefixes: tuple[str, ...] = ("",),
        reclass_eta: float = 0.0,
        alpha: float = 0.75,
        remask: bool = False,
        gate_activation: str = "sigmoid",
        stop_gradient: bool = True,
        weight: float = 3.0,
        name: str = "mask_class",
    ):
        super().__init__(
            prefixes=prefixes,
            remask=remask,
            gate_activation=gate_activation,
            stop_gradient=stop_gradient,
            weight=weight,
            name=name,
        )
        if not 0 <= reclass_eta <= 1:
            raise ValueError(f"reclass_eta = {reclass_eta!r}: must be in [0, 1]")
        if not 0 < alpha < 1:
            raise ValueError(f"MaskClassLoss.alpha = {alpha!r}: must be in (0, 1)")
        self.reclass_eta = reclass_eta
        self.alpha = alpha

    def _of(self, masks: _Masks):
        queries, answers = masks.class_logits.shape[1:]
        owns_BNK = ops.transpose(ops.one_hot(masks.slots, queries), (0, 2, 1))
        classes = ops.one_hot(masks.classes, answers)
        matched = ops.sum(owns_BNK, axis=-1)
        void = ops.one_hot(ops.full((queries,), answers - 1), answers)
        hits = ops.matmul(owns_BNK, classes) + (1 - matched)[..., None] * void
        if self.reclass_eta:
            hits = relaxation.reclassified(
                hits, masks.logits, masks.members, classes, eta=self.reclass_eta
            )
        # Not the fused cross-entropy: its gradient wants targets that sum to 1.
        losses = -ops.sum(hits * ops.log_softmax(masks.class_logits, axis=-1), axis=-1)
        areas, mask_areas, common = masks.matched_areas()
        dice = common / ((areas + mask_areas) / 2 + mask_matching.EPSILON)
        dice = ops.matmul(owns_BNK, dice[..., None])[..., 0]
        inside, outside = masks.areas()
        lost = outside / ops.maximum(inside + outside, FLOOR)
        weights = ops.where(
            matched > 0,
            self.alpha * ops.maximum(dice, FLOOR),
            (1 - self.alpha) * ops.maximum(lost, FLOOR),
        )
        losses = ops.stop_gradient(weights) * losses
        counted = ops.sum(ops.cast(losses > 0, "float32"), axis=-1)
        return ops.sum(losses, axis=-1) / ops.maximum(counted, 1.0)

    def get_config(self):
        return {
            **super().get_config(),
            "reclass_eta": self.reclass_eta,
            "alpha": self.alpha,
        }


@keras.saving.register_keras_serializable(package="mobile_vision")
class MaskDiceLoss(_MaskLoss):
    """Dice loss of the masks of queries with a segment, on the pixels of segments.

    Each weighs by what its query gives the segment's class. The sum over the segments
    is multiplied with alpha and divided by N.

    Args:
        prefixes: Of the outputs that count.
        alpha: Factor that it has in common with `MaskClassLoss`.
        remask: As in `MaskClassLoss`.
        gate_activation: See `official.losses.relaxation.relaxed`.
        stop_gradient: See there.
        weight: Factor of the loss.
    """

    def __init__(
        self,
        *,
        prefixes: tuple[str, ...] = ("",),
        alpha: float = 0.75,
        remask: bool = False,
        gate_activation: str = "sigmoid",
        stop_gradient: bool = True,
        weight: float = 3.0,
        name: str = "mask_dice",
    ):
        super().__init__(
            prefixes=prefixes,
            remask=remask,
            gate_activation=gate_activation,
            stop_gradient=stop_gradient,
            weight=weight,
            name=name,
        )
        self.alpha = alpha

    def _of(self, masks: _Masks):
        areas, mask_areas, common = masks.matched_areas()
        losses = 1 - (2 * common + 1) / (areas + mask_areas + 1)
        # `[B, K, N]`, of which each segment's own query is wanted.
        scores = mask_matching.class_scores(masks.class_logits, masks.classes)
        own = ops.maximum(masks.slots, 0)[..., None]
        scores = ops.take_along_axis(scores, own, axis=2)[..., 0]
        weights = ops.stop_gradient(ops.maximum(scores, FLOOR))
        losses = ops.where(masks.slots >= 0, weights * losses, 0.0)
        queries = masks.logits.shape[-1]
        return self.alpha / queries * ops.sum(losses, axis=-1)

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha}


@keras.saving.register_keras_serializable(package="mobile_vision")
class MaskIdLoss(_MaskLoss):
    """Cross-entropy of each pixel over the queries, averaged over pixels of segments.

    Args:
        prefixes: Of the outputs that count.
        remask: As in `MaskClassLoss`.
        gate_activation: See `official.losses.relaxation.relaxed`.
        stop_gradient: See there.
        weight: Factor of the loss.
    """

    def __init__(
        self,
        *,
        prefixes: tuple[str, ...] = ("",),
        remask: bool = False,
        gate_activation: str = "sigmoid",
        stop_gradient: bool = True,
        weight: float = 0.3,
        name: str = "mask_id",
    ):
        super().__init__(
            prefixes=prefixes,
            remask=remask,
            gate_activation=gate_activation,
            stop_gradient=stop_gradient,
            weight=weight,
            name=name,
        )

    def _of(self, masks: _Masks):
        own, known = masks.own_log_scores()
        counted = ops.sum(ops.cast(known, "float32"), axis=-1)
        return -ops.sum(ops.where(known, own, 0.0), axis=-1) / ops.maximum(counted, 1.0)


@keras.saving.register_keras_serializable(package="mobile_vision")
class InstanceDiscriminationLoss(keras.losses.Loss):
    """Features of a segment's pixels are alike and unlike those of other segments'.

    Of sampled pixels of segments, the softmax over all sampled ones of their likeness
    is to be even over those of the same segment, the pixel itself among them (Yu et
    al., 2022, https://arxiv.org/abs/2207.04044; Hwang et al., 2019). Small segments are
    drawn more often: the odds of a pixel are the size of the image by that of its
    segment, to a power.

    Args:
        prefixes: Of the outputs that count.
        samples: S, pixels drawn of an image (see `official.ops.sampling`), no more
            than there are. Memory and time grow with its square; deeplab2 has 4096 for
            COCO and Cityscapes, 1024 for ADE20K.
        area_power: The power; in deeplab2 1.5, for Cityscapes 0.6.
        temperature: What likenesses are divided by.
        weight: Factor of the loss.
    """

    def __init__(
        self,
        *,
        prefixes: tuple[str, ...] = ("",),
        samples: int = 4096,
        area_power: float = 1.5,
        temperature: float = 0.3,
        weight: float = 1.0,
        name: str = "instance_discrimination",
    ):
        super().__init__(name=name, dtype="float32")
        if samples < 1:
            raise ValueError(f"samples = {samples!r}: must be at least 1")
        if not temperature > 0:
            raise ValueError(f"temperature = {temperature!r}: must be above 0")
        self.prefixes = tuple(prefixes)
        self.samples = samples
        self.area_power = area_power
        self.temperature = temperature
        self.weight = weight

    def call(self, y_true, y_pred):
        """Loss of each image, `[B]`."""
        segments = ops.cast(y_true["segments"], "int32")
        count = y_true["segment_classes"].shape[1]
        terms = []
        for prefix in self.prefixes:
            features = y_pred[f"{prefix}pixel_features"]
            labels = segments_lib.subsample(segments, tuple(features.shape[1:3]))
            labels = segments_lib.flat(labels)
            terms.append(self._of(segments_lib.flat(features), labels, count))
        return self.weight * sum(terms[1:], start=terms[0])

    def _of(self, features, labels, count: int):
        features, labels = self._sampled(features, labels, count)
        eligible = labels >= 0
        likeness = ops.matmul(features, ops.transpose(features, (0, 2, 1)))
        likeness = likeness / self.temperature
        likeness = ops.where(eligible[:, None], likeness, -1e9)
        total = ops.logsumexp(likeness, axis=-1)
        # The mean likeness to a segment's pixels is the likeness to their mean.
        members = segments_lib.members(labels, count)
        members_BKS = ops.transpose(members, (0, 2, 1))
        areas = ops.maximum(ops.sum(members_BKS, axis=2, keepdims=True), 1.0)
        means = ops.matmul(members_BKS, features) / areas
        own = ops.sum(features * ops.matmul(members, means), axis=-1) / self.temperature
        losses = ops.where(eligible, total - own, 0.0)
        counted = ops.sum(ops.cast(eligible, "float32"), axis=-1)
        return ops.sum(losses, axis=-1) / ops.maximum(counted, 1.0)

    def _sampled(self, features, labels, count: int):
        """`[B, S, D]` and `[B, S]`."""
        batch, pixels, depth = ops.shape(features)
        if self.samples >= pixels:
            return features, labels
        areas = ops.sum(segments_lib.members(labels, count), axis=1)
        areas = ops.take_along_axis(areas, ops.maximum(labels, 0), axis=1)
        log_odds = -self.area_power * ops.log(ops.maximum(areas, 1.0) / pixels)
        chosen = sampling.sample(log_odds, labels >= 0, features, count=self.samples)
        starts = ops.arange(batch, dtype="int32")[:, None] * pixels
        rows = ops.reshape(features, (-1, depth))
        return (
            ops.take(rows, chosen + starts, axis=0),
            ops.take_along_axis(labels, chosen, axis=1),
        )

    def get_config(self):
        return {
            "prefixes": self.prefixes,
            "samples": self.samples,
            "area_power": self.area_power,
            "temperature": self.temperature,
            "weight": self.weight,
            "name": self.name,
        }


@keras.saving.register_keras_serializable(package="mobile_vision")
class SemanticLoss(keras.losses.Loss):
    """Cross-entropy of semantic logits, as `cross_entropy.PixelCrossEntropy` has it.

    Args:
        prefixes: Of the outputs that count.
        hardest_fraction: Share of the pixels of an image that counts; in deeplab2 0.2
            for Cityscapes.
        ignore_label: Label of pixels that do not count.
        weight: Factor of the loss.
    """

    def __init__(
        self,
        *,
        prefixes: tuple[str, ...] = ("",),
        hardest_fraction: float = 1.0,
        ignore_label: int = 255,
        weight: float = 1.0,
        name: str = "semantic",
    ):
        super().__init__(name=name, dtype="float32")
        self.prefixes = tuple(prefixes)
        self.hardest_fraction = hardest_fraction
        self.ignore_label = ignore_label
        self.weight = weight
        self._of_pixels = cross_entropy.PixelCrossEntropy(
            ignore_label=ignore_label, hardest_fraction=hardest_fraction
        )

    def call(self, y_true, y_pred):
        """Loss of each image, `[B]`."""
        terms = []
        for prefix in self.prefixes:
            logits = y_pred[f"{prefix}semantic_logits"]
            size = tuple(logits.shape[1:3])
            labels = segments_lib.subsample(y_true["semantic"], size)
            terms.append(self._of_pixels.call({"semantic": labels}, {"logits": logits}))
        return self.weight * sum(terms[1:], start=terms[0])

    def get_config(self):
        return {
            "prefixes": self.prefixes,
            "hardest_fraction": self.hardest_fraction,
            "ignore_label": self.ignore_label,
            "weight": self.weight,
            "name": self.name,
        }
