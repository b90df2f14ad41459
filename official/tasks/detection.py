"""Detection of objects: boxes with classes and scores."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from official import failures
from official.data import base as data_base
from official.data import box_transforms, transforms
from official.data import mosaic as mosaic_lib
from official.heads import base as heads_base
from official.losses import detection as losses_lib
from official.metrics import calibration as calibration_lib
from official.metrics import detection as metrics_lib
from official.metrics import detections as overlaps_lib
from official.ops import box_kinds, matching
from official.ops import boxes as boxes_lib
from official.tasks import base, detection_agreement
from official.tasks import detections as detections_lib
from official.tasks import detector as detector_lib
from official.tasks import outputs as outputs_lib

if TYPE_CHECKING:
    import tensorflow as tf

CLASS_LOSSES = ("focal", "hard_negatives")

_METRICS = "detection"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Detection(base.Task):
    """Boxes around objects, by anchors.

    Examples hold "boxes", "box_classes", "box_kinds" and "box_areas" (see
    `official.data.base`). Crowds and difficult objects are not learned, and what lies
    on them is no mistake.

    Attributes:
        head: Makes "box_encodings" `[B, A, 4]` and "logits" `[B, A, C]` of features.
        scores: "sigmoid": each class is a question of its own, as in TensorFlow's
            detectors; "softmax": one class or none, as in torchvision's.
        class_loss: "focal" (Lin et al., 2017, https://arxiv.org/abs/1708.02002), or
            "hard_negatives" (Liu et al., 2015, https://arxiv.org/abs/1512.02325).
        focal_alpha: Weight of the objects in the focal loss; the rest has one less it.
        focal_gamma: Exponent of the focal loss.
        negative_ratio: Negatives for each object among "hard_negatives".
        class_weight: Factor of the loss of classes.
        box_weight: Factor of the loss of boxes.
        matching_iou: Least overlap of an anchor and the object it stands for; an
            object without any gets the anchor that overlaps it most.
        max_boxes: Objects of a training image that are learned; of more, the first.
        train_size: Height and width of a training image; None is `image_size`.
        flip: Mirror half of the training images.
        photometric: Change brightness, contrast, saturation and hue of training
            images as SSD does.
        zoom_out: Half of the training images are put into a canvas up to so many times
            their size, which is how SSD learns small objects; 1 does nothing.
        random_crop: Cut training images as SSD does.
        scale_range: Things in a training image look larger by a factor drawn from this
            range: below 1 the image is padded, above it is cut. None does nothing.
        mosaic: Makes training images of four, or None.
        score_threshold: Detections below it are dropped.
        file_score_threshold: The same inside of an exported file with detections: what
            evaluation counts below it no app shows, and to choose among it takes a
            phone many times as long as the network (docs/detection.md).
        iou_threshold: Of two detections of a class that overlap more, the one with the
            lower score is dropped.
        detections_per_class: At most so many of one class.
        max_detections: At most so many.
        judged_by: The figure that decides which checkpoint is best; one of
            `official.metrics.detection.FIGURES`.
    """

    head: heads_base.DetectionHead
    scores: str = "sigmoid"
    class_loss: str = "focal"
    focal_alpha: float = 0.75
    focal_gamma: float = 2.0
    negative_ratio: float = 3.0
    class_weight: float = 1.0
    box_weight: float = 1.0
    matching_iou: float = 0.5
    max_boxes: int = 100
    train_size: base.Size | None = None
    flip: bool = True
    photometric: bool = False
    zoom_out: float = 1.0
    random_crop: bool = False
    scale_range: tuple[float, float] | None = None
    mosaic: mosaic_lib.Mosaic | None = None
    score_threshold: float = 0.001
    file_score_threshold: float = 0.05
    iou_threshold: float = 0.6
    detections_per_class: int = 100
    max_detections: int = 100
    judged_by: str = "ap"

    def __post_init__(self):
        super().__post_init__()
        for name, known in (
            ("scores", losses_lib.SCORES),
            ("class_loss", CLASS_LOSSES),
            ("judged_by", metrics_lib.FIGURES),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} {getattr(self, name)!r}: want one of {', '.join(known)}"
                )
        if self.scores == "softmax" and self.class_loss == "focal":
            raise ValueError(
                "class_loss 'focal' judges each class for itself: want "
                "scores 'sigmoid', or class_loss 'hard_negatives'"
            )
        if self.scale_range is not None and not (
            0 < self.scale_range[0] <= self.scale_range[1]
        ):
            raise ValueError(f"scale_range {self.scale_range}: want 0 < low <= high")
        if self.zoom_out < 1:
            raise ValueError(f"zoom_out {self.zoom_out}: want 1 or more")
        for name in ("max_boxes", "max_detections", "detections_per_class"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: want 1 or more")

    @property
    def metric(self) -> str:
        return self.judged_by

    @property
    def score_activation(self) -> str:
        return self.scores

    def anchors(self, *, training: bool = False) -> np.ndarray:
        """Of the network: float32 `[A, 4]`, in shares of its input's sides."""
        return self.head.anchor_boxes(self._size(training))

    @property
    def detector(self) -> detector_lib.Detector:
        return detector_lib.Detector(
            anchors=self.anchors(),
            score_threshold=self.score_threshold,
            file_score_threshold=self.file_score_threshold,
            iou_threshold=self.iou_threshold,
            per_class=self.detections_per_class,
            total=self.max_detections,
        )

    @property
    def most_boxes(self) -> int:
        return self.max_boxes

    @property
    def output_forms(self) -> tuple[str, ...]:
        return ("detections", "raw", "decoded")

    def finish(self, network: keras.Model, *, output: str, size: str) -> keras.Model:
        del size  # boxes have none
        self.require_form(output)
        return outputs_lib.of_boxes(
            network, self.detector, output=output, activation=self.scores
        )

    def _size(self, training: bool) -> base.Size:
        chosen = self.train_size if training else None
        return self.scaled(chosen or self.image_size)

    def build(self, *, num_classes: int, training: bool) -> keras.Model:
        images = keras.Input((*self._size(training), 3), name="images", dtype="float32")
        features = self.backbone(self.normalized(images))
        background = int(self.scores == "softmax")
        outputs = self.head(features, num_classes + background)
        anchors, answers = len(self.anchors(training=training)), outputs["logits"].shape
        if answers[1] != anchors:
            raise ValueError(
                f"the head answers for {answers[1]} anchors, {self._size(training)} "
                f"pixels have {anchors}: the backbone's strides are not those that its "
                "features are named by (stem_stride = 2?)"
            )
        return keras.Model(images, outputs, name="detector")

    def preprocess(
        self, example: data_base.Example, *, training: bool, seed: Any = None
    ) -> tuple["tf.Tensor", base.Targets]:
        """As `base.Task.preprocess`.

        The targets of training are "boxes" `[max_boxes, 4]` in shares and "box_classes"
        `[max_boxes]`, as `official.ops.matching` has them; those of evaluation are the
        example's, with "box_count", "size" and "image_id".

        Raises:
            RequestError: If the examples have no boxes.
        """
        import tensorflow as tf

        if "boxes" not in example:
            raise failures.RequestError(
                "the examples of the data set have no boxes: choose a data set for "
                "detection"
            )
        if training:
            return self._augment(example, seed)
        image = transforms.resize(example["image"], self._size(training=False))
        names = ("boxes", "box_classes", "box_kinds", "box_areas")
        targets = {name: example[name] for name in names} | {
            "box_count": tf.shape(example["boxes"])[0],
            "size": tf.shape(example["image"])[:2],
            "image_id": example["image_id"],
        }
        return image, targets

    def _augment(
        self, example: data_base.Example, seed: Any
    ) -> tuple["tf.Tensor", base.Targets]:
        view = box_transforms.boxed(example)
        window = box_transforms.whole(view.image)
        if self.zoom_out > 1:
            window = box_transforms.zoom_out(window, largest=self.zoom_out, seed=seed)
        if self.scale_range is not None:
            window = box_transforms.scale_jitter(
                window, scale_range=self.scale_range, seed=seed
            )
        if self.random_crop:
            window = box_transforms.ssd_crop(view, window, seed=seed)
        view = box_transforms.cut(view, window, size=self._size(training=True))
        if self.flip:
            view = box_transforms.random_flip(view, seed=seed)
        image = view.image
        if self.photometric:
            image = box_transforms.photometric(image, seed=seed)
        return image, self._padded(view)

    def _padded(self, view: box_transforms.Boxed) -> base.Targets:
        """Objects first, so that of too many boxes those stay that are learned."""
        import tensorflow as tf

        order = tf.argsort(view.kinds, stable=True)[: self.max_boxes]
        boxes = tf.gather(view.boxes, order)
        classes = tf.where(
            view.kinds == box_kinds.OBJECT, view.classes, box_kinds.NOT_COUNTED
        )
        classes = tf.gather(classes, order)
        missing = self.max_boxes - tf.shape(order)[0]
        boxes = tf.pad(boxes, [[0, missing], [0, 0]])
        classes = tf.pad(classes, [[0, missing]], constant_values=box_kinds.PADDING)
        return {
            "boxes": tf.ensure_shape(boxes, (self.max_boxes, 4)),
            "box_classes": tf.ensure_shape(classes, (self.max_boxes,)),
        }

    @property
    def mixes(self) -> bool:
        return self.mosaic is not None

    def mix(
        self, images: "tf.Tensor", targets: base.Targets, *, seed: Any
    ) -> tuple["tf.Tensor", base.Targets]:
        if self.mosaic is None:
            return images, targets
        return self.mosaic(images, targets, seed=seed)

    def assign(
        self,
        targets: base.Targets,
        outputs: Mapping[str, Any],
        *,
        mean: Callable[[Any], Any],
    ) -> base.Targets:
        """Adds "anchor_classes", "anchor_boxes" and "positives".

        See `official.losses.detection`. The loss of a batch is divided by its matched
        anchors, those of all replicas: they are averaged over the images of all.
        """
        del outputs
        anchors = ops.convert_to_tensor(self.anchors(training=True))
        matched = matching.match(
            anchors,
            ops.cast(targets["boxes"], "float32"),
            # Keras hands integer targets on as floats.
            ops.cast(ops.round(targets["box_classes"]), "int32"),
            threshold=self.matching_iou,
        )
        images = ops.cast(ops.shape(matched.classes)[0], "float32")
        count = ops.sum(ops.cast(matched.classes > 0, "float32"))
        count, images = ops.unstack(mean(ops.stack([count, images])))
        # Less than one object in a batch is none: it then counts as one an image.
        each = ops.where(count > 0, count / images, 1.0)
        return targets | {
            "anchor_classes": matched.classes,
            "anchor_boxes": boxes_lib.encode(matched.boxes, anchors),
            "positives": ops.broadcast_to(each, ops.shape(matched.classes)[:1]),
        }

    def losses(self) -> dict[str, keras.losses.Loss]:
        of_classes: keras.losses.Loss
        if self.class_loss == "focal":
            of_classes = losses_lib.FocalLoss(
                alpha=self.focal_alpha,
                gamma=self.focal_gamma,
                weight=self.class_weight,
            )
        else:
            of_classes = losses_lib.HardNegativeLoss(
                scores=self.scores,
                ratio=self.negative_ratio,
                weight=self.class_weight,
            )
        return {
            "classes": of_classes,
            "boxes": losses_lib.BoxLoss(weight=self.box_weight),
        }

    def metrics(self, class_names: tuple[str, ...]) -> dict[str, keras.metrics.Metric]:
        metric = metrics_lib.DetectionMetrics(
            class_names=class_names, judged_by=self.judged_by
        )
        return {_METRICS: metric}

    def postprocess(
        self, outputs: dict[str, np.ndarray], targets: base.Targets
    ) -> base.Predictions:
        """The detections, the highest score first.

        "boxes_yxyx" float32 `[B, N, 4]` in shares of the image's sides, "class_ids"
        int32 and "scores" float32 `[B, N]`, "count" int32 `[B]`: how many count.
        """
        del targets
        return detections_lib.read(outputs, self.detector, activation=self.scores)

    def agreement(
        self, ours: base.Predictions, theirs: base.Predictions, targets: base.Targets
    ) -> tuple[int, int]:
        """As `detection_agreement.counts`."""
        del targets
        return detection_agreement.counts(ours, theirs)

    def constant_metric(self, metrics: base.Judges) -> float:
        return metrics[_METRICS].constant(self.metric)

    def confusion(
        self, metrics: base.Judges, class_names: Sequence[str]
    ) -> base.Confusion:
        return base.Confusion(metrics[_METRICS].confusion(), (*class_names, "nothing"))

    def precision_recall(self, metrics: base.Judges) -> dict[str, list[float]]:
        return metrics[_METRICS].precision_recall()

    def calibration(self, metrics: base.Judges) -> calibration_lib.Calibration | None:
        found = metrics[_METRICS].calibration()
        return found if found.count.any() else None

    @property
    def quality_name(self) -> str:
        return "F1 of its boxes with a score of 0.5, at an overlap of 0.5"

    def quality(
        self, predictions: base.Predictions, targets: base.Targets
    ) -> np.ndarray:
        """F1 of the boxes of each image with a score of 0.5, at an overlap of 0.5."""
        images = overlaps_lib.of_batch(targets, predictions)
        return np.array(
            [
                overlaps_lib.f1(image, min_score=metrics_lib.SHOWN_SCORE, min_iou=0.5)
                for image in images
            ]
        )

    def records(self, metrics: base.Judges) -> Iterable[dict[str, Any]]:
        return metrics[_METRICS].records()
