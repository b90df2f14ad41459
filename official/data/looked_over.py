"""What a split holds, its examples read: sizes, classes, equal pictures."""

import collections
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from official import failures
from official.data import base, encoded, faults, pipeline

_SEARCHED = 2000
"""Examples whose heads are read where one is faulty, for others that are."""
_SAMPLED = 3
_MOST_BYTES = 200e6
_MOST_PIXELS = 8e6
"""Of a split, what is read of its images, and of its maps of classes, before a
training: a second or two from a slow disk, and tenths of one from memory."""

Watched = Callable[[Iterable[Any], int], Iterable[Any]]
"""Passes examples on, given how many there are, and shows the progress."""


class LookedOver:
    """Collects examples of a split.

    Attributes:
        total: Examples that the split has; None where all were asked for.
        count: Examples.
        mapped: Those whose map of classes was read.
        heights: Of their images, pixels.
        widths: The same.
        classes: Images by the class that they have, for data with one or several
            classes an image; -1 where nobody knows.
        pixels: Pixels by their class, for data with maps of classes.
        pictures: Names of the examples by a digest of their pixels, or of their files
            where these were not decoded.
    """

    def __init__(self, total: int | None = None) -> None:
        self.total = total
        self.count = self.mapped = 0
        self.heights: list[int] = []
        self.widths: list[int] = []
        self.classes: collections.Counter[int] = collections.Counter()
        self.pixels = np.zeros(base.IGNORE_LABEL + 1, np.int64)
        self.pictures: dict[bytes, list[str]] = {}

    def add(self, example: Mapping[str, Any]) -> None:
        """Takes an example, its values arrays; its image may be an `Encoded`."""
        image = example["image"]
        if not isinstance(image, encoded.Encoded):
            image = np.asarray(image)
        name = example.get("image_id", b"an example")
        self.count += 1
        self.heights.append(image.shape[0])
        self.widths.append(image.shape[1])
        self.pictures.setdefault(_digest(image), []).append(
            name.decode() if isinstance(name, bytes) else str(name)
        )
        if "label" in example:
            self.classes[int(example["label"])] += 1
        if "labels" in example:
            for number in np.flatnonzero(np.asarray(example["labels"]) == 1):
                self.classes[int(number)] += 1
        if "semantic" in example:
            self.add_map(example["semantic"])

    def add_map(self, semantic: np.ndarray) -> None:
        """Takes the map of classes of an example, `[H, W]`."""
        self.mapped += 1
        found = np.bincount(np.asarray(semantic).ravel(), minlength=256)
        self.pixels += found[: len(self.pixels)]

    @property
    def whole(self) -> bool:
        """Whether nothing of the split was passed over."""
        return self.total is None or self.count == self.total

    @property
    def wholly_mapped(self) -> bool:
        """Whether all maps of classes were read, or there are none."""
        return self.whole and self.mapped in (0, self.count)

    @property
    def repeated(self) -> list[list[str]]:
        """Names of examples whose pictures are equal, pixel for pixel."""
        return [names for names in self.pictures.values() if len(names) > 1]

    def shared(self, other: "LookedOver") -> list[tuple[str, str]]:
        """Examples of this split whose picture another has, and what it calls it."""
        both = self.pictures.keys() & other.pictures.keys()
        return sorted((self.pictures[k][0], other.pictures[k][0]) for k in both)

    def unseen(self, class_names: Collection[str]) -> list[str]:
        """Classes that no image has, for data whose examples have classes or maps."""
        if not (self.classes or self.pixels.any()):
            return []
        return [
            name
            for number, name in enumerate(class_names)
            if not self.classes[number] and not self.pixels[number]
        ]


def quickly(
    dataset: base.Dataset, source: pipeline.Input, *, watched: Watched
) -> LookedOver:
    """Looks at what a training starts from without decoding its images.

    At a small split as a whole; of a large one at examples spread evenly over it, the
    same ones each time. Of maps of classes fewer are read, in the same way.

    Raises:
        failures.DataError: If examples are missing or faulty, as far as they were read.
    """
    split = source.split
    size = min(source.count(dataset), dataset.stored_size(split))
    try:
        return _looked(dataset, split, size, watched)
    except failures.DataError as error:
        places = _spread(size, _SEARCHED)
        named = faults.others(
            dataset,
            split,
            places,
            error,
            decoded=False,
            whole=len(places) == size,
            watched=watched,
        )
        if named:
            raise named from error
        raise


def _looked(
    dataset: base.Dataset, split: str, size: int, watched: Watched
) -> LookedOver:
    sampled = _spread(size, _SAMPLED)
    found = LookedOver(size)
    places = _spread(size, _most(dataset.stored(split, sampled, maps=False)))
    for example in watched(dataset.stored(split, places, maps=False), len(places)):
        pipeline.require_labels(example, dataset.num_classes)
        found.add(example)
    whole = list(dataset.stored(split, sampled))
    if found.mapped or not any("semantic" in each for each in whole):
        return found
    places = _spread(size, _most(whole))
    for example in watched(dataset.stored(split, places), len(places)):
        found.add_map(example["semantic"])
    return found


def _most(sampled: Iterable[Mapping[str, Any]]) -> int:
    """How many examples can be read in short time, by what a few of them take."""
    each = list(sampled)
    data = float(np.mean([_bytes(example) for example in each]))
    sizes = [np.size(example.get("semantic", ())) for example in each]
    pixels = float(np.mean(sizes))
    most = min(_MOST_BYTES / max(data, 1), _MOST_PIXELS / max(pixels, 1))
    return max(1, int(most))


def _spread(size: int, count: int) -> Sequence[int]:
    count = min(count, size)
    return [number * size // count for number in range(count)]


def _bytes(example: Mapping[str, Any]) -> int:
    image = example["image"]
    if isinstance(image, encoded.Encoded):
        return len(image.data)
    return np.asarray(image).nbytes


def _digest(image: encoded.Encoded | np.ndarray) -> bytes:
    stored = isinstance(image, encoded.Encoded)
    data = image.data if stored else np.ascontiguousarray(image).data
    digest = hashlib.blake2b(data, digest_size=16)
    digest.update(str(image.shape).encode())
    return digest.digest()
