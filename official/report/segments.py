"""Segments laid over an image: a shade for each thing, outlines, names."""

import colorsys
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from official.data import base as data_base
from official.data import palettes
from official.ops import panoptic
from official.report import text

Color = data_base.Color

_BLEND = 0.6
VOID = (0, 0, 0)
"""The color of void, which has lines besides."""

_LINES = (120, 120, 120)
_HATCH = 10  # pixels from line to line
_COARSE = 4  # pixels; how exactly the middle of a segment is sought
_FONT = 11
_LEAST_NAMED = 0.002  # of the picture
_MATCH = 0.5
_GOLDEN_RATIO = 0.618034

# For classes that a palette does not know.
_COLORS = palettes.distinct(256)


def colors(
    pixels: np.ndarray,
    palette: Sequence[Color],
    *,
    like: tuple[np.ndarray, Mapping[int, Color]] | None = None,
) -> dict[int, Color]:
    """A color for each segment of a panoptic map.

    Stuff has that of its class. Things have shades around that of theirs, the largest
    first.

    Args:
        like: Another map of the same image and its colors: a segment that is one of
            those there (its class, an intersection over union above a half) has the
            same.
    """
    ids, place = panoptic.segments(pixels)
    areas = np.bincount(place.ravel(), minlength=len(ids))
    found = _inherited(pixels, *like) if like else {}
    taken: dict[int, int] = {}
    used = set(like[1].values()) if like else set()
    for row in np.argsort(-areas, kind="stable"):
        segment = int(ids[row])
        class_id, instance = divmod(segment, panoptic.LABEL_DIVISOR)
        if segment == panoptic.VOID:
            found[segment] = VOID
        elif instance == 0:
            found[segment] = _of_class(class_id, palette)
        elif segment not in found:
            number = taken.get(class_id, 0)
            shade = _shade(_of_class(class_id, palette), number)
            while shade in used and number < panoptic.LABEL_DIVISOR:
                number += 1
                shade = _shade(_of_class(class_id, palette), number)
            found[segment], taken[class_id] = shade, number + 1
    return found


def drawn(
    ground: Image.Image,
    pixels: np.ndarray,
    shades: Mapping[int, Color],
    *,
    names: Mapping[int, str],
) -> Image.Image:
    """The segments over a picture, with a line around each and a name on some.

    Args:
        ground: The image in the size of the picture.
        pixels: Panoptic map of the image, of any size.
        shades: A color for each segment.
        names: What is written on segments, where there is room.
    """
    width, height = ground.size
    rows = (np.arange(height) * pixels.shape[0]) // height
    columns = (np.arange(width) * pixels.shape[1]) // width
    pixels = pixels[rows][:, columns]
    ids, place = panoptic.segments(pixels)
    table = np.array([shades[segment] for segment in ids.tolist()], np.uint8)
    picture = Image.blend(ground, Image.fromarray(table[place]), _BLEND)
    edges = np.zeros(pixels.shape, bool)
    edges[:, 1:] |= pixels[:, 1:] != pixels[:, :-1]
    edges[1:] |= pixels[1:] != pixels[:-1]
    content = np.asarray(picture).copy()
    _hatched(content, pixels == panoptic.VOID)
    content[edges] = 255
    picture = Image.fromarray(content)
    _write_names(picture, place, [names.get(segment, "") for segment in ids.tolist()])
    return picture


def _write_names(picture: Image.Image, place: np.ndarray, names: list[str]) -> None:
    """On the largest first; where there is no room without hiding another, nowhere."""
    pen, font = ImageDraw.Draw(picture), text.font(_FONT)
    areas = np.bincount(place.ravel(), minlength=len(names))
    boxes: list[tuple[int, int, int, int]] = []
    for row in np.argsort(-areas, kind="stable"):
        if not names[row] or areas[row] < _LEAST_NAMED * place.size:
            continue
        y, x = _middle(place == row)
        wide, high = int(font.getlength(names[row])) + 6, _FONT + 4
        left = min(max(x - wide // 2, 0), max(picture.width - wide, 0))
        for top in (y - high // 2, y - 3 * high // 2 - 1, y + high // 2 + 1):
            top = min(max(top, 0), max(picture.height - high, 0))
            box = (left, top, left + wide, top + high)
            if not any(_meet(box, other) for other in boxes):
                boxes.append(box)
                pen.rounded_rectangle(box, 3, fill=(20, 20, 20))
                pen.text((left + 3, top + 1), names[row], fill="white", font=font)
                break


def _meet(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return (
        one[0] <= other[2]
        and other[0] <= one[2]
        and one[1] <= other[3]
        and other[1] <= one[3]
    )


def _middle(mask: np.ndarray) -> tuple[int, int]:
    """A pixel deep inside a mask: of those that erosion leaves last the middle one."""
    step = _COARSE if mask[::_COARSE, ::_COARSE].any() else 1
    left = np.pad(mask[::step, ::step], 1)
    while True:
        places = np.argwhere(left)
        left = left & np.roll(left, 1, 0) & np.roll(left, -1, 0)
        left = left & np.roll(left, 1, 1) & np.roll(left, -1, 1)
        if not left.any():
            break
    nearest = ((places - places.mean(axis=0)) ** 2).sum(axis=1).argmin()
    y, x = (step * (places[nearest] - 1)).tolist()
    return y, x


def _hatched(picture: np.ndarray, void: np.ndarray) -> None:
    """Lines over what is void, which would pass for a dark photograph else."""
    rows, columns = np.indices(void.shape)
    picture[void & ((rows + columns) % _HATCH < 2)] = _LINES


def _inherited(
    pixels: np.ndarray, other: np.ndarray, shades: Mapping[int, Color]
) -> dict[int, Color]:
    """The colors of things that the other map has, too."""
    ids, others, shared = panoptic.shared_areas(pixels, other)
    union = shared.sum(axis=1)[:, None] + shared.sum(axis=0) - shared
    classes = ids[:, None] // panoptic.LABEL_DIVISOR
    same = (classes == others // panoptic.LABEL_DIVISOR) & (shared > _MATCH * union)
    pairs = zip(*np.nonzero(same), strict=True)
    return {int(ids[row]): shades[int(others[column])] for row, column in pairs}


def _of_class(class_id: int, palette: Sequence[Color]) -> Color:
    if class_id < len(palette):
        red, green, blue = palette[class_id]
        return red, green, blue
    return _COLORS[class_id % len(_COLORS)]


def _shade(color: Color, number: int) -> Color:
    """The color itself, then others near it in hue, lighter and darker in turn."""
    if number == 0:
        return color
    hue, saturation, value = colorsys.rgb_to_hsv(*(part / 255 for part in color))
    hue += 0.24 * (number * _GOLDEN_RATIO % 1 - 0.5)
    saturation *= (1.0, 0.55, 0.8)[number % 3]
    value = max(value, 0.7) * (1.0, 0.75, 0.9, 0.6)[number % 4]
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, min(value, 1.0))
    return round(red * 255), round(green * 255), round(blue * 255)
