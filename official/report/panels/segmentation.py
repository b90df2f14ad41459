"""Class maps laid over the image."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from official.data import base as data_base
from official.data import transforms
from official.report import text
from official.report.panels import base
from official.tasks import detector as tasks_detector

_WIDTH = 480
_MARGIN = 6
_CAPTION = 18
_BLEND = 0.65
_UNLABELLED = (0, 0, 0)


class Segmentation(base.Panel):
    """The image, each class map laid over it, and a legend of the classes that occur.

    Up to three tiles stand in one row, more in rows of two. Unlabelled is black.
    """

    def truth(self, example: data_base.Example) -> base.Predictions:
        return {"class_ids": np.asarray(example["semantic"])}

    def draw(
        self,
        image: np.ndarray,
        truth: base.Predictions,
        predictions: Mapping[str, base.Predictions],
        *,
        class_names: Sequence[str],
        palette: Sequence[data_base.Color],
    ) -> Image.Image:
        shown = ({"truth": truth} if truth else {}) | dict(predictions)
        maps = {caption: each["class_ids"] for caption, each in shown.items()}
        size = base.fitted(image, _WIDTH)
        ground = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
        tiles = {"input": ground}
        for caption, ids in maps.items():
            tiles[caption] = Image.blend(ground, _colored(ids, palette, size), _BLEND)
        classes = sorted({int(c) for ids in maps.values() for c in np.unique(ids)})
        classes = [c for c in classes if 0 <= c < len(class_names)]
        columns = len(tiles) if len(tiles) <= 3 else 2
        legend = _legend(classes, class_names, palette, columns * (_WIDTH + _MARGIN))
        return _arranged(tiles, legend, columns)

    def classes(self, outputs: base.Shapes) -> int | None:
        if len(outputs) != 1:
            return None
        (shape,) = outputs.values()
        if len(shape) == 4 and shape[3] > 1:
            return shape[3]
        return 256 if len(shape) == 3 else None

    def decide(
        self,
        outputs: Mapping[str, np.ndarray],
        size: tuple[int, int],
        *,
        scores: str,
        detector: tasks_detector.Detector | None = None,
    ) -> base.Predictions:
        del detector  # of other tasks
        del scores  # the largest logit is the largest score
        if "class_ids" in outputs:
            ids = outputs["class_ids"][0].astype(np.int32)
            return {"class_ids": np.asarray(transforms.resize_labels(ids, size))}
        (values,) = outputs.values()
        enlarged = np.asarray(transforms.resize(values[0], size))
        return {"class_ids": enlarged.argmax(axis=-1).astype(np.int32)}


def _arranged(
    tiles: Mapping[str, Image.Image], legend: Image.Image, columns: int
) -> Image.Image:
    width, height = next(iter(tiles.values())).size
    rows = -(-len(tiles) // columns)
    row_height = height + _CAPTION + _MARGIN
    size = (legend.width + _MARGIN, rows * row_height + legend.height + _MARGIN)
    panel = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(panel)
    for number, (caption, tile) in enumerate(tiles.items()):
        left = _MARGIN + number % columns * (width + _MARGIN)
        top = number // columns * row_height
        draw.text((left, top + 3), caption, fill="black", font=text.font())
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
    font = text.font()
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
