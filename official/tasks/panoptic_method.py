"""How a panoptic network is taught, and how its outputs are read."""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import keras

from official.heads import base as heads_base
from official.tasks import base, center_grouping, panoptic_merging, segment_reader

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method(abc.ABC):
    """What is particular to the outputs of a kind of head.

    Attributes:
        merging: How these become segments.
    """

    merging: panoptic_merging.Merging | center_grouping.CenterGrouping

    @property
    @abc.abstractmethod
    def output_forms(self) -> tuple[str, ...]:
        """What a file can give; of `official.export_spec.OUTPUTS`."""

    @property
    def most_segments(self) -> int | None:
        """Of an image, that are learned; None: there is no limit."""
        return None

    def unread(self, head: heads_base.PanopticHead) -> set[str]:
        """Names of outputs that neither losses nor files read."""
        del head
        return set()

    @abc.abstractmethod
    def require(self, head: heads_base.PanopticHead) -> None:
        """Raises a ValueError if this is not the method for a head."""

    @abc.abstractmethod
    def targets(
        self,
        semantic: "tf.Tensor",
        instance: "tf.Tensor",
        thing_ids: "tf.Tensor",
        *,
        stride: int,
    ) -> base.Targets:
        """Training targets of an image; runs in `tf.data`.

        Args:
            semantic: int32 `[H, W]`, class ids.
            instance: int32 `[H, W]`, from 1; 0 for stuff and crowds.
            thing_ids: int32 `[T]`.
            stride: Of the outputs of the head.
        """

    def assign(
        self,
        targets: base.Targets,
        outputs: Mapping[str, Any],
        *,
        mean: Callable[[Any], Any],
    ) -> base.Targets:
        """See `base.Task.assign`."""
        del outputs, mean
        return targets

    @abc.abstractmethod
    def losses(self, head: heads_base.PanopticHead) -> dict[str, keras.losses.Loss]:
        """See `base.Task.losses`."""

    @abc.abstractmethod
    def finish(self, network: keras.Model, *, output: str) -> keras.Model:
        """See `base.Task.finish`; the form is one of `output_forms`."""

    def reader(self, thing_ids: tuple[int, ...]) -> segment_reader.SegmentReader:
        """What makes segments of the outputs, for classes that are things."""
        return segment_reader.SegmentReader(merging=self.merging, thing_ids=thing_ids)


def subsampled(labels: "tf.Tensor", stride: int) -> "tf.Tensor":
    """A label map on the grid of maps at a stride, see `official.ops.segments`.

    Of sides that are multiples the pixel in the middle of each cell; of those that are
    one more than a multiple every so many-th from the first.
    """
    rows, columns = (0 if side % stride == 1 else stride // 2 for side in labels.shape)
    return labels[rows::stride, columns::stride]
