"""Colors for classes that come without."""

import colorsys

from official.data import base

_GOLDEN_RATIO = 0.618034


def distinct(count: int) -> tuple[base.Color, ...]:
    """`count` RGB colors, neighbors in the list far apart in hue."""
    return tuple(_color(index) for index in range(count))


def _color(index: int) -> base.Color:
    hue = index * _GOLDEN_RATIO % 1.0
    value = (0.95, 0.7, 0.5)[index % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, value)
    return round(red * 255), round(green * 255), round(blue * 255)
