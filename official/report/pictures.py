"""Drawn predictions."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from official.data import base as data_base

_MARGIN = 6
_CAPTION = 18
_BLEND = 0.65
_UNLABELLED = (0, 0, 0)


def segmentation_panel(
    image: np.ndarray,
    maps: Mapping[str, np.ndarray],
    *,
    class_names: Sequence[str],
    palette: Sequence[data_base.Color],
    width: int = 480,
) -> Image.Image:
    """The image, class maps laid over it, and a legend of the classes that occur.

    Up to three tiles stand in one row, more in rows of two.

    Args:
        image: uint8 `[H, W, 3]`.
        maps: Class ids `[h, w]` by caption; `IGNORE_LABEL` is drawn black.
        class_names: Name of each class.
        palette: Color of each class.
        width: Width in pixels that each tile is drawn at.
    """
    size = (width, round(width * image.shape[0] / image.shape[1]))
    base = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
    tiles = {"input": base}
    for caption, ids in maps.items():
        tiles[caption] = Image.blend(base, _colored(ids, palette, size), _BLEND)
    classes = sorted({int(c) for ids in maps.values() for c in np.unique(ids)})
    classes = [c for c in classes if c < len(class_names)]
    columns = len(tiles) if len(tiles) <= 3 else 2
    rows = -(-len(tiles) // columns)
    legend = _legend(classes, class_names, palette, columns * (width + _MARGIN))
    row_height = size[1] + _CAPTION + _MARGIN
    panel = Image.new(
        "RGB",
        (legend.width + _MARGIN, rows * row_height + legend.height + _MARGIN),
        "white",
    )
    draw = ImageDraw.Draw(panel)
    for number, (caption, tile) in enumerate(tiles.items()):
        left = _MARGIN + number % columns * (width + _MARGIN)
        top = number // columns * row_height
        draw.text((left, top + 3), caption, fill="black", font=_font())
        panel.paste(tile, (left, top + _CAPTION))
    panel.paste(legend, (0, rows * row_height))
    return panel


def _colored(
    ids: np.ndarray, palette: Sequence[data_base.Color], size: tuple[int, int]
) -> Image.Image:
    table = np.full((256, 3), _UNLABELLED, np.uint8)
    table[: len(palette)] = palette
    colors = Image.fromarray(table[np.asarray(ids, np.uint8)])
    return colors.resize(size, Image.Resampling.NEAREST)


def _legend(
    classes: Sequence[int],
    class_names: Sequence[str],
    palette: Sequence[data_base.Color],
    width: int,
) -> Image.Image:
    font = _font()
    places, left, top = [], _MARGIN, 0
    for class_id in classes:
        needed = 18 + int(font.getlength(class_names[class_id])) + 14
        if left + needed > width and left > _MARGIN:
            left, top = _MARGIN, top + _CAPTION
        places.append((class_id, left, top))
        left += needed
    legend = Image.new("RGB", (width, top + _CAPTION), "white")
    draw = ImageDraw.Draw(legend)
    for class_id, x, y in places:
        box = (x, y + 2, x + 12, y + 14)
        draw.rectangle(box, fill=tuple(palette[class_id]), outline="gray")
        draw.text((x + 18, y + 1), class_names[class_id], fill="black", font=font)
    return legend


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(12)
