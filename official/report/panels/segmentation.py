"""Class maps laid over the image."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from official.data import base as data_base
from official.data import transforms
from official.report import tiles as tiles_lib
from official.report.panels import base
from official.tasks import detector as tasks_detector
from official.tasks import segment_reader

_WIDTH = 480
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
        legend = tiles_lib.legend(
            classes, class_names, palette, columns * (_WIDTH + tiles_lib.MARGIN)
        )
        return tiles_lib.arranged(tiles, legend, columns)

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
        reader: segment_reader.SegmentReader | None = None,
    ) -> base.Predictions:
        del detector, reader  # of other tasks
        del scores  # the largest logit is the largest score
        if "class_ids" in outputs:
            ids = outputs["class_ids"][0].astype(np.int32)
            return {"class_ids": np.asarray(transforms.resize_labels(ids, size))}
        (values,) = outputs.values()
        enlarged = np.asarray(transforms.resize(values[0], size))
        return {"class_ids": enlarged.argmax(axis=-1).astype(np.int32)}


def _colored(
    ids: np.ndarray, palette: Sequence[data_base.Color], size: tuple[int, int]
) -> Image.Image:
    table = np.full((256, 3), _UNLABELLED, np.uint8)
    table[: len(palette)] = palette
    colors = Image.fromarray(table[np.asarray(ids, np.uint8)])
    return colors.resize(size, Image.Resampling.NEAREST)
