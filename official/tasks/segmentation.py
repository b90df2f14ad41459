"""Semantic segmentation."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from official import failures
from official.data import base as data_base
from official.data import transforms
from official.heads import base as heads_base
from official.losses import cross_entropy
from official.metrics import mean_iou
from official.tasks import base, dense

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segmentation(dense.Dense):
    """A class for each pixel.

    Attributes:
        head: Makes "logits" from features.
        loss_stride: Labels are subsampled by this for the loss, which saves the
            resize of the logits to full resolution.
        class_weights: A factor for each class in the loss, or None.
        hardest_fraction: Share of the pixels of an image that the loss counts.
    """

    head: heads_base.Head
    loss_stride: int = 1
    class_weights: tuple[float, ...] | None = None
    hardest_fraction: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        if not 0 < self.hardest_fraction <= 1:
            raise ValueError(f"hardest_fraction {self.hardest_fraction}: want (0, 1]")
        if self.loss_stride < 1:
            raise ValueError(f"loss_stride {self.loss_stride}: want 1 or more")

    @property
    def metric(self) -> str:
        return "mean_iou"

    def build(self, *, num_classes: int, training: bool) -> keras.Model:
        if self.class_weights is not None and len(self.class_weights) != num_classes:
            raise failures.RequestError(
                f"task.class_weights has {len(self.class_weights)} values, "
                f"the data set has {num_classes} classes"
            )
        size = self.input_size(training=training)
        images = keras.Input((*size, 3), name="images", dtype="float32")
        features = self.backbone(self.normalized(images))
        outputs = self.head(features, num_classes)
        return keras.Model(images, outputs, name="segmenter")

    def preprocess(
        self, example: data_base.Example, *, training: bool, seed: Any = None
    ) -> tuple["tf.Tensor", base.Targets]:
        if training:
            return self._augment(example, seed)
        image = transforms.resize(example["image"], self.input_size(training=False))
        return image, {"semantic": example["semantic"], "size": _size(example)}

    def _augment(
        self, example: data_base.Example, seed: Any
    ) -> tuple["tf.Tensor", base.Targets]:
        image, labels = self.augmented(example["image"], example["semantic"], seed=seed)
        stride = self.loss_stride
        return image, {"semantic": labels[stride // 2 :: stride, stride // 2 :: stride]}

    def losses(self) -> dict[str, keras.losses.Loss]:
        loss = cross_entropy.PixelCrossEntropy(
            ignore_label=data_base.IGNORE_LABEL,
            class_weights=self.class_weights,
            hardest_fraction=self.hardest_fraction,
        )
        return {"cross_entropy": loss}

    def metrics(self, class_names: tuple[str, ...]) -> dict[str, keras.metrics.Metric]:
        metric = mean_iou.SegmentationMetrics(
            class_names=class_names, ignore_label=data_base.IGNORE_LABEL
        )
        return {"segmentation": metric}

    def postprocess(
        self, outputs: dict[str, np.ndarray], targets: base.Targets
    ) -> base.Predictions:
        """ "class_ids", int32 `[B, H, W]`, at the size of the original images.

        Images of a batch may differ in size: the target "size" `[B, 2]` says what part
        of each padded map is image; the rest is zero.
        """
        sizes = np.asarray(targets["size"])
        class_ids = np.zeros((len(sizes), *sizes.max(axis=0)), np.int32)
        for size in np.unique(sizes, axis=0):
            rows = np.flatnonzero((sizes == size).all(axis=1))
            height, width = (int(side) for side in size)
            class_ids[rows, :height, :width] = _class_ids(
                outputs, rows, (height, width)
            )
        return {"class_ids": class_ids}

    def agreement(
        self, ours: base.Predictions, theirs: base.Predictions, targets: base.Targets
    ) -> tuple[int, int]:
        """Pixels with the same class, and all pixels."""
        equal = total = 0
        pairs = zip(ours["class_ids"], theirs["class_ids"], strict=True)
        for (height, width), (mine, other) in zip(targets["size"], pairs, strict=True):
            equal += int((mine[:height, :width] == other[:height, :width]).sum())
            total += int(height) * int(width)
        return equal, total

    def constant_metric(self, metrics: base.Judges) -> float:
        return metrics["segmentation"].constant_mean_iou()

    def confusion(
        self, metrics: base.Judges, class_names: Sequence[str]
    ) -> base.Confusion:
        return base.Confusion(metrics["segmentation"].confusion, class_names)

    @property
    def quality_name(self) -> str:
        return "mean IoU of the image"

    def quality(
        self, predictions: base.Predictions, targets: base.Targets
    ) -> np.ndarray:
        """Mean IoU over the classes that an image has; NaN where it has none."""
        pairs = zip(targets["semantic"], predictions["class_ids"], strict=True)
        return np.array([mean_iou.of_image(*pair) for pair in pairs])


def _class_ids(
    outputs: dict[str, np.ndarray], rows: np.ndarray, size: base.Size
) -> np.ndarray:
    if "class_ids" in outputs:
        ids = ops.cast(outputs["class_ids"][rows][..., None], "float32")
        ids = ops.image.resize(ids, size, interpolation="nearest")
        return ops.convert_to_numpy(ids)[..., 0].astype(np.int32)
    values = outputs["scores" if "scores" in outputs else "logits"][rows]
    enlarged = ops.image.resize(values, size, interpolation="bilinear")
    return ops.convert_to_numpy(ops.argmax(enlarged, axis=-1)).astype(np.int32)


def _size(example: data_base.Example) -> "tf.Tensor":
    import tensorflow as tf

    return tf.shape(example["semantic"])
