"""Panoptic segmentation."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from official import failures
from official.data import base as data_base
from official.data import copy_paste as copy_paste_lib
from official.data import panoptic_transforms, transforms
from official.data.augmentation import color_policy as color_policy_lib
from official.heads import base as heads_base
from official.metrics import panoptic as metrics_lib
from official.metrics import panoptic_quality
from official.ops import panoptic as panoptic_ids
from official.tasks import base, dense, panoptic_method
from official.tasks import segment_reader as segment_reader_lib

if TYPE_CHECKING:
    import tensorflow as tf

FIGURES = ("pq", "pq_things", "pq_stuff", "mean_iou")
_METRICS = "panoptic"
_COARSEST = 32
"""Stride of the coarsest maps; all strides have to fit into the sides of an image."""
_CHANCE = 200
"""Keeps this draw apart from those of the augmentations, which fold in others."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panoptic(dense.Dense):
    """A segment for each pixel: a thing of its own, or the stuff of a class.

    Kirillov et al., 2019, https://arxiv.org/abs/1801.00868.

    Attributes:
        head: Makes what the method reads.
        method: How the head is taught and read.
        color_policy: What kMaX-DeepLab does to colors, or None.
        copy_paste: Puts segments of one training image into another, or None; only for
            the method of mask slots.
        judged_by: The figure that decides which checkpoint is best; one of `FIGURES`.
    """

    head: heads_base.PanopticHead
    method: panoptic_method.Method
    color_policy: color_policy_lib.ColorPolicy | None = None
    copy_paste: copy_paste_lib.CopyPaste | None = None
    judged_by: str = "pq"

    def __post_init__(self):
        super().__post_init__()
        if self.judged_by not in FIGURES:
            raise ValueError(
                f"judged_by {self.judged_by!r}: want one of {', '.join(FIGURES)}"
            )
        self.method.require(self.head)
        for name in ("image_size", "crop_size"):
            size = getattr(self, name)
            if size is not None and any(s % _COARSEST not in (0, 1) for s in size):
                raise ValueError(
                    f"{name} {size}: want sides that are multiples of {_COARSEST}, or "
                    "one more"
                )
        if self.copy_paste is not None and "mask_logits" not in self.head.needed:
            raise ValueError("copy_paste: only for mask slots, want None here")

    @property
    def metric(self) -> str:
        return self.judged_by

    @property
    def segment_limits(self) -> base.SegmentLimits:
        return base.SegmentLimits(
            most=self.method.most_segments,
            stride=self.head.stride,
            size=self.input_size(training=False),
        )

    @property
    def output_forms(self) -> tuple[str, ...]:
        return self.method.output_forms

    def finish(self, network: keras.Model, *, output: str, size: str) -> keras.Model:
        del size  # segments are made of the head's maps in the app
        self.require_form(output)
        return self.method.finish(network, output=output)

    def build(self, *, num_classes: int, training: bool) -> keras.Model:
        size = self.input_size(training=training)
        images = keras.Input((*size, 3), name="images", dtype="float32")
        features = self.backbone(self.normalized(images))
        outputs = self.head(features, num_classes)
        # What nothing reads is not in the graph.
        left_out = self.method.unread(self.head)
        if not training:
            left_out = set(outputs) - set(self.head.needed)
        outputs = {n: value for n, value in outputs.items() if n not in left_out}
        return keras.Model(images, outputs, name="panoptic")

    def preprocess(
        self, example: data_base.Example, *, training: bool, seed: Any = None
    ) -> tuple["tf.Tensor", base.Targets]:
        """As `base.Task.preprocess`.

        Raises:
            RequestError: If the examples have no instances.
        """
        import tensorflow as tf

        if "instance" not in example or "semantic" not in example:
            raise failures.RequestError(
                "the examples of the data set have no instances of things: choose a "
                "data set for panoptic segmentation"
            )
        if self.judged_by == "pq_things" and "thing_ids" not in example:
            raise failures.RequestError(
                "task.judged_by = 'pq_things', but no class of the data is a thing: "
                "say which are (dataset.things, or isthing in the file), or set "
                "task.judged_by = 'pq'"
            )
        # Without any things all classes are stuff.
        things = example.get("thing_ids", np.zeros((0,), np.int32))
        if training:
            return self._augment(example, things, seed)
        image = transforms.resize(example["image"], self.input_size(training=False))
        targets = {name: example[name] for name in ("semantic", "instance")} | {
            "size": tf.shape(example["semantic"]),
            "thing_ids": tf.convert_to_tensor(things),
            "image_id": example["image_id"],
        }
        return image, targets

    def _augment(
        self, example: data_base.Example, things: Any, seed: Any
    ) -> tuple["tf.Tensor", base.Targets]:
        import tensorflow as tf

        image, labels = self.augmented(
            example["image"],
            panoptic_transforms.pack(example["semantic"], example["instance"]),
            seed=seed,
        )
        if self.color_policy is not None:
            image = self.color_policy(image, seed=seed)
        semantic, instance = panoptic_transforms.unpack(labels)
        targets = self.method.targets(
            semantic, instance, things, stride=self.head.stride
        )
        seed = tf.random.experimental.stateless_fold_in(seed, _CHANCE)
        return image, targets | {
            "thing_ids": tf.convert_to_tensor(things),
            # For what losses draw: the same wherever this example is trained on.
            "chance": tf.random.stateless_uniform([], seed),
        }

    @property
    def mixes(self) -> bool:
        return self.copy_paste is not None

    def mix(
        self, images: "tf.Tensor", targets: base.Targets, *, seed: Any
    ) -> tuple["tf.Tensor", base.Targets]:
        things = targets.pop("thing_ids")
        if self.copy_paste is None:
            return images, targets
        return self.copy_paste(images, targets, thing_ids=things[0], seed=seed)

    def assign(
        self,
        targets: base.Targets,
        outputs: Mapping[str, Any],
        *,
        mean: Callable[[Any], Any],
    ) -> base.Targets:
        return self.method.assign(targets, outputs, mean=mean)

    def losses(self) -> dict[str, keras.losses.Loss]:
        return self.method.losses(self.head)

    def metrics(self, class_names: tuple[str, ...]) -> dict[str, keras.metrics.Metric]:
        return {_METRICS: metrics_lib.PanopticMetrics(class_names=class_names)}

    def postprocess(
        self, outputs: dict[str, np.ndarray], targets: base.Targets
    ) -> base.Predictions:
        """The segments, in the frame of the original images.

        "panoptic" int32 `[B, H, W]`, panoptic ids (`official.ops.panoptic`), `VOID`
        beyond an image that is smaller than others of the batch; "segment_ids" int32
        `[B, S]`, padded with -1, and "segment_scores" float32 `[B, S]`.
        """
        sizes = np.asarray(targets["size"])
        found = []
        for row, size in enumerate(sizes):
            reader = self.segment_reader(tuple(targets["thing_ids"][row].tolist()))
            of_row = {name: np.asarray(value)[row] for name, value in outputs.items()}
            found.append(reader(of_row, (int(size[0]), int(size[1]))))
        most = max(1, *(len(each.ids) for each in found))
        shape = (len(sizes), *sizes.max(axis=0))
        panoptic = np.full(shape, panoptic_ids.VOID, np.int32)
        ids = np.full((len(sizes), most), -1, np.int32)
        scores = np.zeros((len(sizes), most), np.float32)
        for row, each in enumerate(found):
            height, width = each.panoptic.shape
            panoptic[row, :height, :width] = each.panoptic
            ids[row, : len(each.ids)] = each.ids
            scores[row, : len(each.ids)] = each.scores
        return {"panoptic": panoptic, "segment_ids": ids, "segment_scores": scores}

    def agreement(
        self, ours: base.Predictions, theirs: base.Predictions, targets: base.Targets
    ) -> tuple[int, int]:
        """Pixels in segments that both have, and all pixels.

        A segment of one side is one of the other's if the class is the same and they
        overlap by more than a half; then the pixels of both count. Void is equal to
        void.
        """
        equal = total = 0
        pairs = zip(ours["panoptic"], theirs["panoptic"], strict=True)
        for (height, width), (mine, other) in zip(targets["size"], pairs, strict=True):
            equal += _shared(mine[:height, :width], other[:height, :width])
            total += int(height) * int(width)
        return equal, total

    def segment_reader(
        self, thing_ids: tuple[int, ...]
    ) -> segment_reader_lib.SegmentReader:
        return self.method.reader(thing_ids)

    def confusion(
        self, metrics: base.Judges, class_names: Sequence[str]
    ) -> base.Confusion:
        return base.Confusion(metrics[_METRICS].confusion(), (*class_names, "void"))

    @property
    def quality_name(self) -> str:
        return "panoptic quality of the image"

    def quality(
        self, predictions: base.Predictions, targets: base.Targets
    ) -> np.ndarray:
        """Panoptic quality of each image, over the classes that it has or is said to.

        NaN where there are none.
        """
        found = []
        ignored = data_base.IGNORE_LABEL
        truths = panoptic_ids.of_batch(targets, ignore_label=ignored)
        for row, (window, truth) in enumerate(truths):
            prediction = np.asarray(predictions["panoptic"])[window]
            things = np.asarray(targets["thing_ids"])[row].tolist()
            shared = panoptic_quality.overlaps(truth, prediction, thing_ids=things)
            classes = [*shared.true_classes, *shared.predicted_classes]
            counts = panoptic_quality.count(shared, classes=1 + max(classes, default=0))
            of_class = counts.quality()[0][counts.occurring]
            found.append(of_class.mean() if of_class.size else np.nan)
        return np.array(found)

    def records(self, metrics: base.Judges) -> Iterable[dict[str, Any]]:
        return metrics[_METRICS].records()

    def constant_metric(self, metrics: base.Judges) -> float:
        return metrics[_METRICS].constant(self.metric)


def _shared(mine: np.ndarray, other: np.ndarray) -> int:
    ids, others, areas = panoptic_ids.shared_areas(mine, other)
    union = areas.sum(axis=1)[:, None] + areas.sum(axis=0)[None] - areas
    divisor = panoptic_ids.LABEL_DIVISOR
    same_class = ids[:, None] // divisor == others[None] // divisor
    void = (ids[:, None] == panoptic_ids.VOID) & (others[None] == panoptic_ids.VOID)
    one = same_class & (2 * areas > union)
    return int(areas[one | void].sum())
