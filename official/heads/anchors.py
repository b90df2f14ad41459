"""Anchors: the boxes from which a detector measures."""

import abc
import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np

from official.backbones import fields


@dataclasses.dataclass(frozen=True, kw_only=True)
class Anchors(abc.ABC):
    """Shapes of boxes that are laid around the middle of each cell of each level.

    The cells of a level divide the image evenly, also where a stride does not divide
    its sides.
    """

    @abc.abstractmethod
    def cell_shapes(
        self, strides: Sequence[int], image_size: tuple[int, int]
    ) -> list[np.ndarray]:
        """Heights and widths `[n, 2]` for each level, in shares of the image's sides.

        Args:
            strides: Of the levels, in pixels, from the finest.
            image_size: Height and width in pixels.
        """

    def counts(self, strides: Sequence[int]) -> list[int]:
        """How many there are in a cell of each level; the same for all images."""
        side = max(strides)
        return [len(shapes) for shapes in self.cell_shapes(strides, (side, side))]

    def boxes(self, strides: Sequence[int], image_size: tuple[int, int]) -> np.ndarray:
        """All anchors of an image, `[A, 4]`, as `base.DetectionHead.anchor_boxes`."""
        levels = []
        shapes = self.cell_shapes(strides, image_size)
        for stride, sizes in zip(strides, shapes, strict=True):
            rows, columns = (math.ceil(side / stride) for side in image_size)
            y = (np.arange(rows) + 0.5) / rows
            x = (np.arange(columns) + 0.5) / columns
            centres = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1)
            halves = np.broadcast_to(sizes / 2, (rows, columns, *sizes.shape))
            centres = centres[:, :, None]
            levels.append(np.concatenate([centres - halves, centres + halves], axis=-1))
        flat = [level.reshape(-1, 4) for level in levels]
        return np.concatenate(flat).astype("float32")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SSDAnchors(Anchors):
    """The anchors of SSD as in TensorFlow's Object Detection API.

    Liu et al., 2015, https://arxiv.org/abs/1512.02325, section 2.2. The scales of the
    levels grow linearly. A cell has a box of each aspect ratio (width by height; the
    area is the square of the scale) and a square between its level's scale and the
    next one's, which after the last is 1. Scales are shares of the image's *shorter*
    side: in images that are not square, squares stay squares in pixels.

    2034 anchors on six levels from stride 16 at 320 pixels; 1917 at 300.

    Attributes:
        min_scale: Of the finest level.
        max_scale: Of the coarsest level.
        aspect_ratios: Of every level but the finest, if that is reduced.
        reduced_finest: Give the finest level three shapes: a square of half the
            smallest scale (0.1, whatever `min_scale` is), and at `min_scale` the aspect
            ratios 2 and 1/2.
    """

    min_scale: float = 0.2
    max_scale: float = 0.95
    aspect_ratios: tuple[float, ...] = (1.0, 2.0, 0.5, 3.0, 0.3333)
    reduced_finest: bool = True

    def __post_init__(self) -> None:
        _check_scales(self)
        _check_ratios(self)

    def cell_shapes(
        self, strides: Sequence[int], image_size: tuple[int, int]
    ) -> list[np.ndarray]:
        shorter = min(image_size) / np.array(image_size)
        scales = [*_scales(self.min_scale, self.max_scale, len(strides)), 1.0]
        levels = []
        for number, scale in enumerate(scales[:-1]):
            pairs = [(scale, ratio) for ratio in self.aspect_ratios]
            pairs.append((math.sqrt(scale * scales[number + 1]), 1.0))
            if number == 0 and self.reduced_finest:
                pairs = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
            levels.append(np.array([_shape(*pair) for pair in pairs]) * shorter)
        return levels


@dataclasses.dataclass(frozen=True, kw_only=True)
class TorchvisionAnchors(Anchors):
    """The anchors of torchvision's SSDLite: `DefaultBoxGenerator([[2, 3]] * 6)`.

    As SSD's, with six shapes on every level, no side of which is longer than that of
    the image. Scales are shares of *both* sides: in images that are not square, anchors
    are stretched with them.

    3234 anchors on six levels from stride 16 at 320 pixels.

    Attributes:
        min_scale: Of the finest level.
        max_scale: Of the coarsest level.
        aspect_ratios: Each stands for itself and its inverse, besides two squares.
    """

    min_scale: float = 0.2
    max_scale: float = 0.95
    aspect_ratios: tuple[float, ...] = (2.0, 3.0)

    def __post_init__(self) -> None:
        _check_scales(self)
        _check_ratios(self)

    def cell_shapes(
        self, strides: Sequence[int], image_size: tuple[int, int]
    ) -> list[np.ndarray]:
        del image_size
        scales = [*_scales(self.min_scale, self.max_scale, len(strides)), 1.0]
        levels = []
        for scale, following in itertools.pairwise(scales):
            pairs = [(scale, 1.0), (math.sqrt(scale * following), 1.0)]
            for ratio in self.aspect_ratios:
                pairs += [(scale, ratio), (scale, 1 / ratio)]
            sides = np.array([_shape(*pair) for pair in pairs])
            levels.append(np.minimum(sides, 1.0))
        return levels


@dataclasses.dataclass(frozen=True, kw_only=True)
class PyramidAnchors(Anchors):
    """The anchors of RetinaNet, in proportion to the stride of their level.

    Lin et al., 2017, https://arxiv.org/abs/1708.02002, section 4, with the numbers of
    the FPN-lite detectors of TensorFlow's Object Detection API. Where a stride does not
    divide a side, that code lays the first anchor around the corner of the image, here
    cells divide the image evenly.

    Attributes:
        anchor_scale: Side of a level's smallest square by its stride.
        scales_per_octave: Sizes between a level's stride and the next one's.
        aspect_ratios: Width by height.
    """

    anchor_scale: float = 4.0
    scales_per_octave: int = 2
    aspect_ratios: tuple[float, ...] = (1.0, 2.0, 0.5)

    def __post_init__(self) -> None:
        fields.check_positive(self, "anchor_scale")
        fields.check_positive(self, "scales_per_octave")
        _check_ratios(self)

    def cell_shapes(
        self, strides: Sequence[int], image_size: tuple[int, int]
    ) -> list[np.ndarray]:
        octaves = [
            2 ** (number / self.scales_per_octave)
            for number in range(self.scales_per_octave)
        ]
        unit = [
            _shape(octave, ratio) for ratio in self.aspect_ratios for octave in octaves
        ]
        pixels = self.anchor_scale * np.array(unit)
        return [stride * pixels / np.array(image_size) for stride in strides]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FittedAnchors(Anchors):
    """Anchors of given shapes, such as `scripts/fit_anchors.py` finds for a dataset.

    Attributes:
        shapes: For each level from the finest, height and width of each
            shape, in shares of the image's sides.
    """

    shapes: tuple[tuple[tuple[float, float], ...], ...]

    def __post_init__(self) -> None:
        levels = self.shapes
        sides = [side for level in levels for shape in level for side in shape]
        if not levels or not all(levels) or not all(side > 0 for side in sides):
            raise ValueError(
                f"FittedAnchors.shapes = {levels!r}: must give each level at "
                "least one shape, (height, width), both above 0"
            )

    def cell_shapes(
        self, strides: Sequence[int], image_size: tuple[int, int]
    ) -> list[np.ndarray]:
        """As every `Anchors`.

        Raises:
            ValueError: If these are not as many levels.
        """
        del image_size
        if len(strides) != len(self.shapes):
            raise ValueError(
                f"FittedAnchors.shapes has {len(self.shapes)} "
                f"levels, the head {len(strides)}: fit them to this head"
            )
        return [np.array(level) for level in self.shapes]


def _scales(smallest: float, largest: float, levels: int) -> list[float]:
    steps = max(levels - 1, 1)
    return [smallest + (largest - smallest) * n / steps for n in range(levels)]


def _shape(scale: float, ratio: float) -> tuple[float, float]:
    """Height and width."""
    return scale / math.sqrt(ratio), scale * math.sqrt(ratio)


def _check_scales(anchors: SSDAnchors | TorchvisionAnchors) -> None:
    low, high = anchors.min_scale, anchors.max_scale
    if not 0 < low <= high:
        raise ValueError(
            f"{type(anchors).__name__}.min_scale = {low!r}, max_scale = {high!r}: must "
            "be above 0 and in this order"
        )


def _check_ratios(anchors: SSDAnchors | TorchvisionAnchors | PyramidAnchors) -> None:
    ratios = anchors.aspect_ratios
    if not ratios or not all(ratio > 0 for ratio in ratios):
        raise ValueError(
            f"{type(anchors).__name__}.aspect_ratios = {ratios!r}: must be numbers "
            "above 0, at least one"
        )
