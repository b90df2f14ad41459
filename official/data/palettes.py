"""Colors for classes that come without."""

import colorsys
from collections.abc import Sequence

from official.data import base

_GOLDEN_RATIO = 0.618034
_GRAY = (128, 128, 128)
_BACKGROUND = frozenset({"background", "other", "others", "rest"})


def distinct(count: int) -> tuple[base.Color, ...]:
    """`count` RGB colors, neighbors in the list far apart in hue."""
    return tuple(_color(index) for index in range(count))


def named(names: Sequence[str]) -> tuple[base.Color, ...]:
    """A color for each class; gray for what is called background."""
    colors = distinct(len(names))
    return tuple(
        _GRAY if name.casefold() in _BACKGROUND else color
        for name, color in zip(names, colors, strict=True)
    )


def _color(index: int) -> base.Color:
    hue = index * _GOLDEN_RATIO % 1.0
    value = (0.95, 0.7, 0.5)[index % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, value)
    return round(red * 255), round(green * 255), round(blue * 255)
