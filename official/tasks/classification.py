"""Classification of whole images."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from official import failures
from official.data import base as data_base
from official.data import crops, transforms
from official.data import mixing as mixing_lib
from official.data.augmentation import base as augmentation_base
from official.heads import base as heads_base
from official.losses import classification as losses_lib
from official.losses import distillation
from official.metrics import calibration as calibration_lib
from official.metrics import classification as metrics_lib
from official.tasks import base

if TYPE_CHECKING:
    import tensorflow as tf

_METRICS = "classification"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classification(base.Task):
    """One class for each image, or several.

    Examples hold "label" or, for `multi_label`, "labels" (see `official.data.base`).

    Attributes:
        head: Makes "logits" `[B, num_classes]` from features.
        multi_label: Each class is a question of its own (sigmoid); otherwise an image
            has one class (softmax).
        train_size: Height and width of a training image; None is `image_size`.
        crop_area: A training image shows a window of this share of the photograph's
            area, drawn from the range.
        crop_aspect: Range of the window's width by its height.
        center_share: Evaluation and apps see the central window with the aspect of
            `image_size` whose sides are this share of the largest such window's. None:
            the whole photograph, its aspect not kept, as MediaPipe feeds images.
        flip: Mirror half of the training images.
        brightness: Largest change, as a share of the range of pixel values.
        contrast: Largest change of the factor 1.
        saturation: Largest change of the factor 1.
        hue: Largest turn, as a share of the circle.
        augmentations: What else is done to a training image, in this order.
        mixing: Mixes the images of a training batch, or None.
        label_smoothing: Share of the target that is spread over all classes.
        class_weights: A factor for each class in the loss, or None.
        label_weight: Factor of the loss that compares with the labels; at 0 the
            network learns from its teacher alone.
        distillation_weight: Factor of the loss that compares with the teacher's
            logits; above 0 it wants the experiment's `teacher`.
        temperature: Divides both logits in that loss.
    """

    head: heads_base.Head
    multi_label: bool = False
    train_size: base.Size | None = None
    crop_area: tuple[float, float] = (0.08, 1.0)
    crop_aspect: tuple[float, float] = (3 / 4, 4 / 3)
    center_share: float | None = 0.875
    flip: bool = True
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    augmentations: tuple[augmentation_base.Augmentation, ...] = ()
    mixing: mixing_lib.Mixing | None = None
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None
    label_weight: float = 1.0
    distillation_weight: float = 0.0
    temperature: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        for name, most in (("crop_area", 1.0), ("crop_aspect", np.inf)):
            low, high = getattr(self, name)
            if not 0 < low <= high <= most:
                raise ValueError(
                    f"{name} {(low, high)}: want 0 < low <= high"
                    + (f" <= {most:g}" if np.isfinite(most) else "")
                )
        if self.center_share is not None and not 0 < self.center_share <= 1:
            raise ValueError(f"center_share {self.center_share}: want (0, 1] or None")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing {self.label_smoothing}: want [0, 1)")
        if not self.temperature > 0:
            raise ValueError(f"temperature {self.temperature}: want more than 0")
        weights = (self.label_weight, self.distillation_weight)
        if min(weights) < 0 or max(weights) == 0:
            raise ValueError(
                f"label_weight {weights[0]} and distillation_weight {weights[1]}: want "
                "0 or more, and one above 0"
            )

    @property
    def metric(self) -> str:
        return "mean_average_precision" if self.multi_label else "top1"

    @property
    def shown_share(self) -> float | None:
        return self.center_share

    @property
    def score_activation(self) -> str:
        return "sigmoid" if self.multi_label else "softmax"

    @property
    def output_forms(self) -> tuple[str, ...]:
        # Where there may be several classes, the largest is not the answer.
        every = super().output_forms
        return tuple(x for x in every if not (self.multi_label and x == "class_ids"))

    def build(self, *, num_classes: int, training: bool) -> keras.Model:
        self._require_classes(num_classes)
        size = self._training_size() if training else self.scaled(self.image_size)
        images = keras.Input((*size, 3), name="images", dtype="float32")
        outputs = self.head(self.backbone(self.normalized(images)), num_classes)
        return keras.Model(images, outputs, name="classifier")

    def _require_classes(self, num_classes: int) -> None:
        if num_classes < 2 and not self.multi_label:
            raise failures.RequestError(
                f"the data set has {num_classes} class, and among one there is nothing "
                "to tell apart: add a class for all else, or set "
                "task.multi_label = True for data with 'labels'"
            )
        if self.class_weights is not None and len(self.class_weights) != num_classes:
            raise failures.RequestError(
                f"task.class_weights has {len(self.class_weights)} values, "
                f"the data set has {num_classes} classes"
            )

    def _training_size(self) -> base.Size:
        return self.scaled(self.train_size or self.image_size)

    def preprocess(
        self, example: data_base.Example, *, training: bool, seed: Any = None
    ) -> tuple["tf.Tensor", base.Targets]:
        """As `base.Task.preprocess`; the targets are "label" or "labels" alone.

        Raises:
            RequestError: If the example has the other of the two.
        """
        targets = self._targets(example)
        if training:
            return self._augment(example, seed), targets
        size = self.scaled(self.image_size)
        if self.center_share is None:
            return transforms.resize(example["image"], size), targets
        image = crops.center_crop(example["image"], size=size, share=self.center_share)
        return image, targets

    @property
    def resize_description(self) -> str:
        if self.center_share is None:
            return super().resize_description
        return (
            "the window in the middle of the image that has the aspect ratio of the "
            f"input and {self.center_share:g} times the sides of the largest such "
            "window"
        )

    def _targets(self, example: data_base.Example) -> base.Targets:
        wanted, other = "label", "labels"
        if self.multi_label:
            wanted, other = other, wanted
        if wanted in example:
            return {wanted: example[wanted]}
        there = f"{other!r}" if other in example else "neither"
        way_out = (
            f"set task.multi_label = {not self.multi_label}"
            if other in example
            else "choose a data set for classification"
        )
        raise failures.RequestError(
            f"task.multi_label = {self.multi_label} learns from {wanted!r}, and the "
            f"examples of the data set have {there}: {way_out}"
        )

    def _augment(self, example: data_base.Example, seed: Any) -> "tf.Tensor":
        image = crops.inception_crop(
            example,
            size=self._training_size(),
            area_range=self.crop_area,
            aspect_range=self.crop_aspect,
            seed=seed,
        )
        if self.flip:
            image = crops.random_flip(image, seed=seed)
        image = transforms.color_jitter(
            image,
            brightness=self.brightness,
            contrast=self.contrast,
            saturation=self.saturation,
            hue=self.hue,
            seed=seed,
        )
        return augmentation_base.apply(self.augmentations, image, seed=seed)

    @property
    def mixes(self) -> bool:
        return self.mixing is not None

    @property
    def decodes(self) -> bool:
        return True

    def mix(
        self, images: "tf.Tensor", targets: base.Targets, *, seed: Any
    ) -> tuple["tf.Tensor", base.Targets]:
        if self.mixing is None:
            return images, targets
        if not self.multi_label:
            return self.mixing(images, targets, seed=seed)
        # Whether a label is known is mixed along, as further labels: where an image
        # has any part of one whose label is not known, its own is not known either.
        import tensorflow as tf

        labels = targets["labels"]
        known = tf.cast(labels >= 0, labels.dtype)
        together = tf.concat([tf.maximum(labels, 0), known], axis=-1)
        images, mixed = self.mixing(images, {"labels": together}, seed=seed)
        labels, known = tf.split(mixed["labels"], 2, axis=-1)
        return images, {"labels": tf.where(known > 0.999, labels, -1)}

    def losses(self) -> dict[str, keras.losses.Loss]:
        losses: dict[str, keras.losses.Loss] = {}
        if self.label_weight:
            kind = losses_lib.SoftmaxCrossEntropy
            if self.multi_label:
                kind = losses_lib.SigmoidCrossEntropy
            losses["cross_entropy"] = kind(
                label_smoothing=self.label_smoothing,
                class_weights=self.class_weights,
                weight=self.label_weight,
            )
        if self.distillation_weight:
            losses["distillation"] = distillation.Distillation(
                temperature=self.temperature,
                weight=self.distillation_weight,
                multi_label=self.multi_label,
            )
        return losses

    def metrics(self, class_names: tuple[str, ...]) -> dict[str, keras.metrics.Metric]:
        kind = metrics_lib.ClassificationMetrics
        if self.multi_label:
            kind = metrics_lib.MultiLabelMetrics
        return {_METRICS: kind(class_names=class_names)}

    def postprocess(
        self, outputs: dict[str, np.ndarray], targets: base.Targets
    ) -> base.Predictions:
        """ "class_ids", int32 `[B]`, and "scores", float32 `[B, C]`, in 0..1.

        A file of "class_ids" has no scores to give; one of "scores" gives its own.

        Raises:
            RequestError: For `multi_label`, if there are class ids alone.
        """
        del targets
        if "class_ids" in outputs:
            if self.multi_label:
                raise failures.RequestError(
                    "task.multi_label = True asks for each class, and class ids name "
                    'one for each image: set export.output = "logits"'
                )
            return {"class_ids": np.asarray(outputs["class_ids"], np.int32)}
        if "scores" in outputs:
            scores = found = np.asarray(outputs["scores"], np.float32)
        else:
            # The largest logit: large ones have scores that round to the same number.
            found = np.asarray(outputs["logits"], np.float32)
            scores = self._scores(found)
        return {"class_ids": found.argmax(axis=-1).astype(np.int32), "scores": scores}

    def _scores(self, logits: np.ndarray) -> np.ndarray:
        if self.multi_label:
            return 0.5 + 0.5 * np.tanh(0.5 * logits)  # the sigmoid, without overflow
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    def agreement(
        self, ours: base.Predictions, theirs: base.Predictions, targets: base.Targets
    ) -> tuple[int, int]:
        """Images with the same class; for several, classes on the same side of 0.5."""
        del targets
        mine, other = ours["class_ids"], theirs["class_ids"]
        if self.multi_label:
            mine, other = ours["scores"] >= 0.5, theirs["scores"] >= 0.5
        return int((mine == other).sum()), mine.size

    def constant_metric(self, metrics: base.Judges) -> float:
        metric = metrics[_METRICS]
        if self.multi_label:
            return metric.constant_mean_average_precision()
        return metric.constant_top1()

    def confusion(
        self, metrics: base.Judges, class_names: Sequence[str]
    ) -> base.Confusion | None:
        if self.multi_label:
            return None
        return base.Confusion(metrics[_METRICS].confusion, class_names)

    def calibration(self, metrics: base.Judges) -> calibration_lib.Calibration | None:
        """Of the class that is said; for several labels there is no such class."""
        if self.multi_label:
            return None
        found = metrics[_METRICS].calibration
        return found if found.count.any() else None

    @property
    def quality_name(self) -> str:
        if self.multi_label:
            return "0.5 less how far the worst score is from the truth"
        return "confidence of the answer, below 0 if it is wrong"

    def quality(
        self, predictions: base.Predictions, targets: base.Targets
    ) -> np.ndarray | None:
        """The confidence of a right answer, less than 0 that of a wrong one.

        With several labels, 0.5 less the distance of the worst score from the truth.
        Where nothing is known it is not a number.
        """
        if "scores" not in predictions:
            return None
        scores = np.asarray(predictions["scores"], np.float64)
        if self.multi_label:
            labels = np.asarray(targets["labels"])
            known = labels >= 0
            distance = (np.abs(scores - labels) * known).max(axis=-1)
            return np.where(known.any(axis=-1), 0.5 - distance, np.nan)
        labels, said = np.asarray(targets["label"]), predictions["class_ids"]
        confidence = np.take_along_axis(scores, said[:, None], axis=1)[:, 0]
        signed = np.where(said == labels, confidence, -confidence)
        return np.where(labels < 0, np.nan, signed)
