"""What a task is: the one seam where network, data, losses and metrics meet."""

import abc
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np

from official import failures
from official.backbones import base as backbones_base
from official.data import base as data_base
from official.layers import normalization
from official.metrics import calibration as calibration_lib
from official.tasks import detector as detector_lib
from official.tasks import outputs as outputs_lib
from official.tasks import segment_reader as segment_reader_lib

if TYPE_CHECKING:
    import tensorflow as tf

Size = tuple[int, int]
"""Height and width in pixels."""

Targets = dict[str, Any]
Predictions = dict[str, np.ndarray]

Judges = Mapping[str, keras.metrics.Metric]
"""Metrics of a task, by name, updated with a whole evaluation set."""


class Confusion(NamedTuple):
    """What is taken for what.

    Attributes:
        counts: `[truth, prediction]`.
        names: Of the rows, and of the columns.
    """

    counts: np.ndarray
    names: Sequence[str]


class SegmentLimits(NamedTuple):
    """Of the segments of a training image, which can be learned.

    Attributes:
        most: Segments; None: there is no limit.
        stride: Pixels of the network's input between two places of its maps.
        size: Height and width of that input.
    """

    most: int | None
    stride: int
    size: Size


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task(abc.ABC):
    """Builds the network, prepares its input and judges its output.

    Attributes:
        backbone: Feature extractor.
        image_size: Height and width that a whole image is resized to for evaluation
            and export.
        resolution_multiplier: Scales every size of the task; results are rounded to
            multiples of 32 pixels.
        normalization: What the backbone is fed. "symmetric": pixels scaled to [-1, 1];
            "unit": to [0, 1]; "imagenet": each channel less its mean over ImageNet, by
            its deviation, as the weights of torchvision and most of timm's want it.
    """

    backbone: backbones_base.Backbone
    image_size: Size
    resolution_multiplier: float = 1.0
    normalization: str = "symmetric"

    def __post_init__(self):
        if self.normalization not in normalization.KINDS:
            raise ValueError(
                f"normalization {self.normalization!r}: want one of "
                + ", ".join(normalization.KINDS)
            )

    def scaled(self, size: Size) -> Size:
        """`size` times `resolution_multiplier`, unchanged where that is 1."""
        if self.resolution_multiplier == 1.0:
            return size
        height, width = (
            max(32, round(side * self.resolution_multiplier / 32) * 32) for side in size
        )
        return height, width

    def normalized(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Adds the normalization of pixels 0..255 to the graph.

        The first layer, "normalize", has one factor and one offset for all channels: an
        exported file may hold it as the quantization of its input.
        """
        return normalization.add(images, self.normalization)

    @property
    def shown_share(self) -> float | None:
        """What `preprocess` shows of an image in evaluation, and an app has to show.

        The central window with the aspect of `image_size` whose sides are this share of
        the largest such window's; None: the whole image, its aspect not kept.
        """
        return None

    @property
    def score_activation(self) -> str:
        """ "softmax" or "sigmoid": what makes scores of the logits."""
        return "softmax"

    @property
    def detector(self) -> detector_lib.Detector | None:
        """How boxes are read at `image_size`; None for a task that finds none."""
        return None

    def segment_reader(
        self, thing_ids: tuple[int, ...]
    ) -> segment_reader_lib.SegmentReader | None:
        """How segments are made of the outputs; None for a task that has none.

        Args:
            thing_ids: Classes of the data that are things.
        """
        del thing_ids
        return None

    @property
    def most_boxes(self) -> int | None:
        """Objects of a training image that are learned; None: there is no limit."""
        return None

    @property
    def segment_limits(self) -> SegmentLimits | None:
        """What is too much, or too small; None for a task that learns no segments."""
        return None

    @property
    def output_forms(self) -> tuple[str, ...]:
        """What its files can give; of `official.export_spec.OUTPUTS`."""
        return ("logits", "scores", "class_ids")

    @property
    @abc.abstractmethod
    def metric(self) -> str:
        """Name of the metric that decides which checkpoint is best; more is better."""

    @abc.abstractmethod
    def build(self, *, num_classes: int, training: bool) -> keras.Model:
        """The network: one input "images" (float32, pixels 0..255), a dict of outputs.

        With `training=True` the input has the training size, and there may be outputs
        that only losses use; without, it is the inference form at `image_size`.
        Weights have the same names and shapes in both where both have them.
        """

    @abc.abstractmethod
    def preprocess(
        self, example: data_base.Example, *, training: bool, seed: Any = None
    ) -> tuple["tf.Tensor", Targets]:
        """One example to `(image, targets)`; runs in `tf.data`.

        Args:
            example: As `official.data.base` says.
            training: Augmented and cut to the training size, or the whole image.
            seed: int32 `[2]`, what all that is random depends on; None in evaluation.

        Returns:
            image: float32 `[H, W, 3]`, pixels 0..255, of a static size.
            targets: Tensors; those of evaluation have the size of the original image.
        """

    @property
    def resize_description(self) -> str:
        """What part of a photograph evaluation resizes, in words for apps."""
        return "the whole image, its aspect ratio not kept"

    @property
    def mixes(self) -> bool:
        """Whether `mix` makes an example of several: then it sees a whole batch."""
        return False

    @property
    def decodes(self) -> bool:
        """Whether `preprocess` takes undecoded examples in training."""
        return False

    def mix(
        self, images: "tf.Tensor", targets: Targets, *, seed: Any
    ) -> tuple["tf.Tensor", Targets]:
        """Mixes the examples of a training batch; runs in `tf.data`.

        Args:
            images: float32 `[B, H, W, 3]`, pixels 0..255.
            targets: Of the batch.
            seed: int32 `[2]`, what all that is random depends on.
        """
        del seed
        return images, targets

    def assign(
        self,
        targets: Targets,
        outputs: Mapping[str, Any],
        *,
        mean: Callable[[Any], Any],
    ) -> Targets:
        """The targets as the losses want them; once a step, before the losses.

        Args:
            targets: Of a batch, tensors.
            outputs: Of the network for it.
            mean: Averages a tensor over all replicas, which see a share of the batch
                each.
        """
        del outputs, mean
        return targets

    @abc.abstractmethod
    def losses(self) -> dict[str, keras.losses.Loss]:
        """Each is called with all targets and all outputs; the total is the sum."""

    @abc.abstractmethod
    def metrics(self, class_names: tuple[str, ...]) -> dict[str, keras.metrics.Metric]:
        """Each is updated with targets and predictions of a batch.

        `result()` is a dict of floats, its keys unique over the metrics of the task.
        """

    @abc.abstractmethod
    def postprocess(
        self, outputs: dict[str, np.ndarray], targets: Targets
    ) -> Predictions:
        """Outputs of a batch to predictions in the frame of the targets.

        The outputs come from the Keras network or from a file: all forms that the
        export stage can write are understood.
        """

    def finish(self, network: keras.Model, *, output: str, size: str) -> keras.Model:
        """The network with the outputs that a file has.

        Args:
            network: From `build`, in its inference form; of floats, or on the grids
                of integers (`official.quantization.rewrite`), where what is added
                has its ranges, too.
            output: One of `output_forms`.
            size: One of `official.export_spec.SIZES`.

        Raises:
            RequestError: If the task has no such form.
        """
        self.require_form(output)
        return outputs_lib.of_logits(
            network, output=output, size=size, activation=self.score_activation
        )

    def require_form(self, output: str) -> None:
        """Raises a RequestError if no file of the task can give this."""
        if output not in self.output_forms:
            forms = ", ".join(map(repr, self.output_forms))
            raise failures.RequestError(
                f"export.output = {output!r}: what a file of {type(self).__name__} can "
                f"give here is one of {forms}; set export.output = "
                f"{self.output_forms[0]!r}"
            )

    @abc.abstractmethod
    def agreement(
        self, ours: Predictions, theirs: Predictions, targets: Targets
    ) -> tuple[int, int]:
        """How many decisions of two predictions are equal, and of how many."""

    @abc.abstractmethod
    def constant_metric(self, metrics: Judges) -> float:
        """Value of `metric` for the best prediction that ignores the image."""

    def confusion(
        self, metrics: Judges, class_names: Sequence[str]
    ) -> Confusion | None:
        """Which classes are taken for which, where the task can tell."""
        del metrics, class_names
        return None

    def precision_recall(self, metrics: Judges) -> dict[str, list[float]]:
        """By class, the precision at evenly spaced recalls from 0 to 1; or nothing."""
        del metrics
        return {}

    def calibration(self, metrics: Judges) -> calibration_lib.Calibration | None:
        """How often scores are right, where the predictions have some."""
        del metrics
        return None

    @property
    def quality_name(self) -> str:
        """What `quality` is, in words; empty where there is none."""
        return ""

    def quality(self, predictions: Predictions, targets: Targets) -> np.ndarray | None:
        """How good the prediction for each image of a batch is, float `[B]`.

        More is better; NaN for an image that nobody knows about. None for a task
        without a figure of single images.
        """
        del predictions, targets
        return None

    def records(self, metrics: Judges) -> Iterable[dict[str, Any]] | None:
        """The predictions in the exchange format of the task, where it has one."""
        del metrics
        return None
