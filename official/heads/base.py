"""What a head is."""

import abc
import dataclasses

import keras
import numpy as np

from official.backbones import base as backbones_base
from official.heads import anchors as anchor_kinds

Outputs = dict[str, keras.KerasTensor]
"""Named output tensors: "logits", "box_encodings", "mask_logits"."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head(abc.ABC):
    """Maps features to raw outputs; called on Keras tensors, it adds layers."""

    @abc.abstractmethod
    def __call__(
        self, features: backbones_base.Features, num_classes: int
    ) -> Outputs: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionHead(Head):
    """A head that answers for every one of its anchors.

    Outputs: "box_encodings" `[B, A, 4]` (ty, tx, th, tw, see `official.ops.boxes`) and
    "logits" `[B, A, num_classes]`. Anchors run over the levels from the finest, then
    rows, columns, and the shapes of a cell.

    Attributes:
        anchors: What the boxes are measured from.
    """

    anchors: anchor_kinds.Anchors

    @property
    @abc.abstractmethod
    def strides(self) -> tuple[int, ...]:
        """Of the levels, in pixels."""

    def anchor_boxes(self, image_size: tuple[int, int]) -> np.ndarray:
        """The anchors of images of a height and width: `[A, 4]`, float32.

        `ymin, xmin, ymax, xmax` in shares of the image's sides; not clipped to it. A
        level has `ceil(side / stride)` cells a side.
        """
        return self.anchors.boxes(self.strides, image_size)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PanopticHead(Head):
    """A head for things and stuff, some of whose outputs are for losses alone."""

    @property
    @abc.abstractmethod
    def needed(self) -> tuple[str, ...]:
        """Names of the outputs that segments are made of."""

    @property
    @abc.abstractmethod
    def stride(self) -> int:
        """Of those outputs that are maps, in pixels."""

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Of the outputs that losses count, see `official.losses.panoptic`."""
        return ("",)

    @property
    def semantic_prefixes(self) -> tuple[str, ...]:
        """Of those among them that have "semantic_logits"."""
        return ("",)
