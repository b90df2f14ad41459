"""What a split holds once every example was read: sizes, classes, equal pictures."""

import collections
import hashlib
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from official.data import base


class LookedOver:
    """Collects examples of a split.

    Attributes:
        count: Examples.
        heights: Of their images, pixels.
        widths: The same.
        classes: Images by the class that they have, for data with one or several
            classes an image; -1 where nobody knows.
        pixels: Pixels by their class, for data with maps of classes.
        pictures: Names of the examples by a digest of their pixels.
    """

    def __init__(self) -> None:
        self.count = 0
        self.heights: list[int] = []
        self.widths: list[int] = []
        self.classes: collections.Counter[int] = collections.Counter()
        self.pixels = np.zeros(base.IGNORE_LABEL + 1, np.int64)
        self.pictures: dict[bytes, list[str]] = {}

    def add(self, example: Mapping[str, Any]) -> None:
        """Takes an example, its values arrays."""
        image = np.asarray(example["image"])
        name = example.get("image_id", b"an example")
        self.count += 1
        self.heights.append(image.shape[0])
        self.widths.append(image.shape[1])
        digest = hashlib.blake2b(image.tobytes(), digest_size=16)
        digest.update(str(image.shape).encode())
        self.pictures.setdefault(digest.digest(), []).append(
            name.decode() if isinstance(name, bytes) else str(name)
        )
        if "label" in example:
            self.classes[int(example["label"])] += 1
        if "labels" in example:
            for number in np.flatnonzero(np.asarray(example["labels"]) == 1):
                self.classes[int(number)] += 1
        if "semantic" in example:
            found = np.bincount(np.asarray(example["semantic"]).ravel(), minlength=256)
            self.pixels += found[: len(self.pixels)]

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
