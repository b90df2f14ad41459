"""Pictures beside each other with a legend."""

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw

from official.data import base as data_base
from official.report import text

MARGIN = 6
CAPTION = 18


def arranged(
    tiles: Mapping[str, Image.Image], legend: Image.Image, columns: int
) -> Image.Image:
    """Tiles of one size in rows, each below its caption, and the legend below all."""
    width, height = next(iter(tiles.values())).size
    rows = -(-len(tiles) // columns)
    row_height = height + CAPTION + MARGIN
    size = (legend.width + MARGIN, rows * row_height + legend.height + MARGIN)
    panel = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(panel)
    for number, (caption, tile) in enumerate(tiles.items()):
        left = MARGIN + number % columns * (width + MARGIN)
        top = number // columns * row_height
        draw.text((left, top + 3), caption, fill="black", font=text.font())
        panel.paste(tile, (left, top + CAPTION))
    panel.paste(legend, (0, rows * row_height))
    return panel


def legend(
    classes: Sequence[int],
    class_names: Sequence[str],
    palette: Sequence[data_base.Color],
    width: int,
) -> Image.Image:
    """Colors and names of classes, in as many rows as they take.

    Args:
        classes: Ids of those to name.
        width: Pixels.
    """
    font = text.font()
    places, left, top = [], MARGIN, 0
    for class_id in classes:
        needed = 18 + int(font.getlength(class_names[class_id])) + 14
        if left + needed > width and left > MARGIN:
            left, top = MARGIN, top + CAPTION
        places.append((class_id, left, top))
        left += needed
    picture = Image.new("RGB", (width, top + CAPTION), "white")
    draw = ImageDraw.Draw(picture)
    for class_id, x, y in places:
        box = (x, y + 2, x + 12, y + 14)
        draw.rectangle(box, fill=tuple(palette[class_id]), outline="gray")
        draw.text((x + 18, y + 1), class_names[class_id], fill="black", font=font)
    return picture
