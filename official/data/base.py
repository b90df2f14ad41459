"""What a dataset is, and the canonical keys of an example.

A dataset is a frozen dataclass of plain values. It yields examples, dictionaries with
the keys below; a key that a dataset cannot fill is absent.

| key | dtype, shape | meaning |
|---|---|---|
| `image` | uint8 `[H, W, 3]` | RGB, upright |
| `encoded` | string `[3]` | instead of `image`: a file's content, name and kind |
| `image_size` | int32 `[2]` | H, W; beside `encoded` |
| `semantic` | int32 `[H, W]` | class of each pixel, `IGNORE_LABEL` where unlabelled |
| `instance` | int32 `[H, W]` | from 1: the thing a pixel belongs to; 0: stuff, crowd |
| `thing_ids` | int32 `[T]` | classes that are things, if any; the pipeline adds it |
| `label` | int32 `[]` | class of the whole image, -1 where unlabelled |
| `labels` | float32 `[num_classes]` | 1: the image has the class, 0: not, -1: unknown |
| `boxes` | float32 `[N, 4]` | ymin, xmin, ymax, xmax in pixels |
| `box_classes` | int32 `[N]` | class of what is in each box |
| `box_kinds` | int32 `[N]` | `OBJECT`, `CROWD` or `DIFFICULT` |
| `box_areas` | float32 `[N]` | pixels of each object; what COCO sorts by size |
| `image_id` | string `[]` | names the example in messages and pictures |
| `position` | int64 `[]` | place in the stream; seeds what is random about it |

N may be 0. Boxes lie inside of the image, 0 <= ymin < ymax <= H and the same across;
ymax is where the object ends, as COCO's y + height. Areas are those of the annotation
where it has some, else those of the boxes.

Instances are numbered over all classes: no number stands for two things of an image,
and all pixels of one have one class, of `Dataset.thing_ids`. Where a pixel of such a
class has instance 0 there is a *crowd*, things that nobody told apart: its class counts
as any other's, and what is learned or judged of single things leaves the pixel out.
"""

import abc
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from official import failures

if TYPE_CHECKING:
    import tensorflow as tf

    from official.data import box_summary, segment_summary

IGNORE_LABEL = 255

Example = dict[str, Any]
Color = tuple[int, int, int]
Keep = Callable[["tf.Tensor"], "tf.Tensor"]
"""Of a position (int64) whether it is wanted."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset(abc.ABC):
    """Examples of one source, in splits."""

    @property
    @abc.abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their ids.

        Raises:
            failures.DataError: If the names are kept with the data and cannot be read.
        """

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    @abc.abstractmethod
    def palette(self) -> Sequence[Color]:
        """An RGB color for each class."""

    @property
    def thing_ids(self) -> tuple[int, ...]:
        """Classes whose pixels have an `instance`, increasing; others are stuff."""
        return ()

    @property
    def drawn(self) -> bool:
        """Whether a program makes the examples, all pictures of one size.

        There is nothing to look over then, and one tells what all take in memory.
        """
        return False

    @abc.abstractmethod
    def size(self, split: str) -> int:
        """Number of examples in a split.

        Raises:
            failures.DataError: If the split is unknown, missing or empty.
        """

    @abc.abstractmethod
    def load(
        self,
        split: str,
        *,
        seed: int | None = None,
        start: int = 0,
        cache: bool = False,
        limit: int | None = None,
        keep: Keep | None = None,
        undecoded: bool = False,
    ) -> "tf.data.Dataset":
        """Unbatched examples, decoded.

        Args:
            split: "train", "val", or what else the source has.
            seed: None gives every example once, in the order of the source. A seed
                gives an endless stream, every pass in a fresh order that is a function
                of the seed and the number of the pass alone.
            start: Position in the stream of the first example; lets training resume
                in the middle of a pass.
            cache: Keep decoded examples in memory.
            limit: Use only this many examples, the first in the order of the source.
            keep: Leaves out the positions of the stream for which it is false, if
                possible without reading them.
            undecoded: Give `encoded` and `image_size` instead of `image`, where images
                are files (see `official.data.encoded`) and nothing is to be cached.

        Raises:
            failures.DataError: As `size`.
        """

    def pick(self, split: str, indices: Sequence[int]) -> Iterable[Example]:
        """The examples at some places, one by one, with the keys of `load`.

        All examples up to the last place are read; override it where there is a
        shorter way.

        Args:
            split: As for `load`.
            indices: Places in the order of the source, increasing.

        Raises:
            failures.DataError: As `size`, or if an example is faulty (which may arrive
                wrapped, see `errors.clear`).
        """
        stream = self.load(split, limit=max(indices) + 1).as_numpy_iterator()
        return (example for index, example in enumerate(stream) if index in indices)

    def stored(
        self, split: str, indices: Sequence[int], *, maps: bool = True
    ) -> Iterable[Example]:
        """As `pick`, but an image that is a file is an `encoded.Encoded`.

        Args:
            maps: Read maps of classes, too, where these are files of their own.

        Raises:
            failures.DataError: As `pick`.
        """
        del maps
        return self.pick(split, indices)

    def tried(
        self, split: str, indices: Sequence[int], *, decoded: bool
    ) -> Iterable[Example | failures.DataError]:
        """As `stored`, with its error in the place of an example that is faulty.

        Args:
            decoded: Decode the images, which may be damaged behind their heads, and
                read the maps of classes.

        Returns:
            Nothing, if single examples cannot be read.
        """
        del split, indices, decoded
        return ()

    def stored_size(self, split: str) -> int:
        """Number of examples that `stored` knows: those with labels."""
        return self.size(split)

    def image_numbers(self, split: str) -> Mapping[str, int | str]:
        """The source's own ids of images by `image_id`; empty if it has none.

        Raises:
            failures.DataError: As `size`.
        """
        del split
        return {}

    def category_ids(self, split: str) -> Sequence[int]:
        """The source's own number of each class, -1 for none; empty if it has none.

        Raises:
            failures.DataError: As `size`.
        """
        del split
        return ()

    def summary(self, split: str) -> "box_summary.Summary | None":
        """The boxes of a split, for a person to look at; None if it has none.

        Raises:
            failures.DataError: As `size`.
        """
        del split
        return None

    def segment_counts(self, split: str) -> "segment_summary.Summary | None":
        """The segments of a split, likewise; of the first images where maps are read.

        Raises:
            failures.DataError: As `size`, or if a map is faulty.
        """
        del split
        return None
