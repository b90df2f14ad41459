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
"""

# B batch, P pixels, K segments, N queries, C classes, D features, S sampled pixels

import keras
from keras import ops

from official.losses import cross_entropy, relaxation
from official.losses import masks as masks_lib
from official.ops import mask_matching, sampling
from official.ops import segments as segments_lib

FLOOR = 1e-5
"""Least weight of a query, of a mask."""
_GOLDEN = (5**0.5 - 1) / 2  # its multiples lie far apart on the circle


@keras.saving.register_keras_serializable(package="mobile_vision")
class MaskClassLoss(masks_lib.MaskLoss):
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

    def _of(self, masks: masks_lib.Masks):
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
class MaskDiceLoss(masks_lib.MaskLoss):
    """Dice loss of the masks of queries with a segment, on the pixels of segments.

    Each weighs by what its query gives the segment's class. The sum over the segments,
    those that have a pixel at the size of the output, is multiplied with alpha and
    divided by N.

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

    def _of(self, masks: masks_lib.Masks):
        areas, mask_areas, common = masks.matched_areas()
        losses = 1 - (2 * common + 1) / (areas + mask_areas + 1)
        # `[B, K, N]`, of which each segment's own query is wanted.
        scores = mask_matching.class_scores(masks.class_logits, masks.classes)
        own = ops.maximum(masks.slots, 0)[..., None]
        scores = ops.take_along_axis(scores, own, axis=2)[..., 0]
        weights = ops.stop_gradient(ops.maximum(scores, FLOOR))
        counted = ops.logical_and(masks.slots >= 0, areas > 0.0)
        losses = ops.where(counted, weights * losses, 0.0)
        queries = masks.logits.shape[-1]
        return self.alpha / queries * ops.sum(losses, axis=-1)

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha}


@keras.saving.register_keras_serializable(package="mobile_vision")
class MaskIdLoss(masks_lib.MaskLoss):
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

    def _of(self, masks: masks_lib.Masks):
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
    segment, to a power. What is drawn depends on the target "chance" `[B]`, see
    `official.ops.sampling`; without one all pixels have to be taken.

    Args:
        prefixes: Of the outputs that count.
        samples: S, pixels drawn of an image; all, if they are no more. Memory and time
            grow with its square; deeplab2 has 4096 for COCO and Cityscapes, 1024 for
            ADE20K.
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
        for number, prefix in enumerate(self.prefixes):
            features = y_pred[f"{prefix}pixel_features"]
            labels = segments_lib.subsample(segments, tuple(features.shape[1:3]))
            features, labels = segments_lib.flat(features), segments_lib.flat(labels)
            if self.samples < labels.shape[1]:
                # Another draw for each layer.
                chances = ops.cast(y_true["chance"], "float32") + number * _GOLDEN
                features, labels = self._sampled(features, labels, chances, count=count)
            terms.append(self._of(features, labels, count))
        return self.weight * sum(terms[1:], start=terms[0])

    def _of(self, features, labels, count: int):
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

    def _sampled(self, features, labels, chances, *, count: int):
        """`[B, S, D]` and `[B, S]`."""
        batch, pixels, depth = ops.shape(features)
        areas = ops.sum(segments_lib.members(labels, count), axis=1)
        areas = ops.take_along_axis(areas, ops.maximum(labels, 0), axis=1)
        log_odds = -self.area_power * ops.log(ops.maximum(areas, 1.0) / pixels)
        chosen = sampling.sample(log_odds, labels >= 0, chances, count=self.samples)
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
