"""Things as centers, and offsets to them."""

import dataclasses
import math
from typing import TYPE_CHECKING

import keras

from official.data import base as data_base
from official.heads import base as heads_base
from official.losses import center_offsets, cross_entropy
from official.tasks import base, center_grouping, panoptic_method

if TYPE_CHECKING:
    import tensorflow as tf

_REACH = 3
"""Of the Gaussians, in standard deviations, as in the paper's code."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CenterOffsets(panoptic_method.Method):
    """The targets, losses and grouping of Panoptic-DeepLab.

    Cheng et al., 2020, https://arxiv.org/abs/1911.10194, section 3; values as in
    google-research/deeplab2. The cross-entropy is taken at the stride of the head.

    Attributes:
        sigma: Standard deviation of the Gaussian around a center, in pixels of the
            network's input.
        hardest_fraction: Share of the pixels of an image that the cross-entropy counts.
        center_weight: Of the squared error of the heatmap.
        offset_weight: Of the absolute error of offsets, in pixels.
        merging: How centers and offsets become segments.
    """

    sigma: float = 8.0
    hardest_fraction: float = 0.2
    center_weight: float = 200.0
    offset_weight: float = 0.01
    merging: center_grouping.CenterGrouping = center_grouping.CenterGrouping()

    def __post_init__(self):
        if not self.sigma > 0:
            raise ValueError(f"CenterOffsets.sigma = {self.sigma}: want more than 0")
        if not 0 < self.hardest_fraction <= 1:
            raise ValueError(
                f"CenterOffsets.hardest_fraction = {self.hardest_fraction}: want (0, 1]"
            )

    @property
    def output_forms(self) -> tuple[str, ...]:
        return ("masks",)

    def require(self, head: heads_base.PanopticHead) -> None:
        if "center_heatmap" not in head.needed:
            raise ValueError(
                f"method CenterOffsets reads centers, {type(head).__name__} gives "
                f"{', '.join(head.needed)}: want a PanopticDeepLab head"
            )
        if head.stride != self.merging.stride:
            raise ValueError(
                f"the stride of the head is {head.stride}, that of the grouping "
                f"{self.merging.stride}: set method.merging.stride = {head.stride}"
            )

    def targets(
        self,
        semantic: "tf.Tensor",
        instance: "tf.Tensor",
        thing_ids: "tf.Tensor",
        *,
        stride: int,
    ) -> base.Targets:
        """See `panoptic_method.Method.targets`.

        "semantic" int32 `[h, w]`; "center_heatmap" float32 `[h, w, 1]`, the largest of
        the Gaussians; "center_weights" float32 `[h, w]`, 0 for void and crowds;
        "offsets" float32 `[h, w, 2]`, in pixels of the input; "offset_weights" float32
        `[h, w]`, 1 for things. A center is that of the mass of what is in the image.
        """
        import tensorflow as tf

        thing = tf.reduce_any(semantic[..., None] == thing_ids, axis=-1)
        centers, seen = _centers(tf.where(thing, instance, 0))
        semantic = panoptic_method.subsampled(semantic, stride)
        thing = panoptic_method.subsampled(thing, stride)
        instance = tf.where(thing, panoptic_method.subsampled(instance, stride), 0)
        known = (semantic != data_base.IGNORE_LABEL) & ~(thing & (instance == 0))
        offsets = tf.gather(centers, instance) - _places(semantic.shape, stride)
        single = instance > 0
        heatmap = self._heatmap(
            tf.boolean_mask(centers, seen), semantic.shape, stride=stride
        )
        return {
            "semantic": semantic,
            "center_heatmap": heatmap[..., None],
            "center_weights": tf.cast(known, tf.float32),
            "offsets": tf.where(single[..., None], offsets, 0.0),
            "offset_weights": tf.cast(single, tf.float32),
        }

    def _heatmap(
        self, centers: "tf.Tensor", size: base.Size, *, stride: int
    ) -> "tf.Tensor":
        """Of centers `[K, 2]`; only places within a window around each are touched."""
        import tensorflow as tf

        reach = math.ceil(_REACH * self.sigma / stride)
        steps = tf.range(-reach, reach + 1)
        window = tf.stack(tf.meshgrid(steps, steps, indexing="ij"), axis=-1)
        nearest = tf.cast(tf.floor(centers / stride), tf.int32)
        places = nearest[:, None, None] + window
        away = (tf.cast(places, tf.float32) + 0.5) * stride - centers[:, None, None]
        squared = tf.reduce_sum(away**2, axis=-1)
        heights = tf.exp(-squared / (2 * self.sigma**2))
        inside = tf.reduce_all(
            (places >= 0) & (places < tf.constant(tuple(size))), axis=-1
        )
        return tf.tensor_scatter_nd_max(
            tf.zeros(size),
            tf.boolean_mask(places, inside),
            tf.boolean_mask(heights, inside),
        )

    def losses(self, head: heads_base.PanopticHead) -> dict[str, keras.losses.Loss]:
        del head
        return {
            "cross_entropy": cross_entropy.PixelCrossEntropy(
                ignore_label=data_base.IGNORE_LABEL,
                hardest_fraction=self.hardest_fraction,
            ),
            "centers": center_offsets.CenterLoss(weight=self.center_weight),
            "offsets": center_offsets.OffsetLoss(weight=self.offset_weight),
        }

    def finish(self, network: keras.Model, *, output: str) -> keras.Model:
        del output  # there is one form
        return keras.Model(network.input, dict(network.output), name="network")


def _centers(instance: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor"]:
    """The center of mass of each instance by its number, and whether it is there.

    float32 `[K + 1, 2]`, y and x in pixels, and bool `[K + 1]`; 0 is none.
    """
    import tensorflow as tf

    count = tf.reduce_max(instance) + 1
    axes = [tf.range(side, dtype=tf.int64) for side in instance.shape]
    points = tf.stack(tf.meshgrid(*axes, indexing="ij"), axis=-1)
    # In integers: a float32 loses pixels of the sum over a large thing.
    sums = tf.math.unsorted_segment_sum(points, instance, count)
    areas = tf.math.unsorted_segment_sum(tf.ones_like(instance), instance, count)
    # Pixels' centers are at half integers.
    centers = sums / tf.cast(tf.maximum(areas, 1), tf.int64)[:, None] + 0.5
    return tf.cast(centers, tf.float32), (areas > 0) & (tf.range(count) > 0)


def _places(size: base.Size, stride: int) -> "tf.Tensor":
    """Where the cells of a map have their centers, in pixels, float32 `[h, w, 2]`."""
    import tensorflow as tf

    axes = [(tf.range(side, dtype=tf.float32) + 0.5) * stride for side in size]
    return tf.stack(tf.meshgrid(*axes, indexing="ij"), axis=-1)
