"""Boxes around the objects of a photograph."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from official.data import base as data_base
from official.data import palettes
from official.ops import box_kinds
from official.report import text
from official.report.panels import base
from official.tasks import detections, segment_reader
from official.tasks import detector as tasks_detector

_WIDTH = 640
_CAPTION = 20
_MARGIN = 6
_COLUMNS = 2
_SHOWN_SCORE = 0.3
_SAMPLE = 320
_LISTED = 10

_DETECTIONS = {"boxes_yxyx", "class_ids", "scores", "count"}
_CANDIDATES = ({"boxes_yxyx", "scores"}, {"box_encodings", "scores"})

_NOT_COUNTED = (140, 140, 140)

# For classes that a palette does not know.
_COLORS = palettes.distinct(256)


class Detection(base.Panel):
    """The photograph once for each predictor, with boxes, names and scores.

    Predictions are "boxes_yxyx" `[N, 4]` in shares of the image's sides, "class_ids"
    `[N]` and "scores" `[N]`, the highest score first. Scores below 0.3 are not shown.
    The truth has no scores, and is drawn first. What does not count is gray.
    """

    draws_samples = True

    def truth(self, example: data_base.Example) -> base.Predictions:
        """Boxes without scores; crowds and difficult objects have the class -1."""
        if "boxes" not in example:
            return {}
        height, width = np.asarray(example["image"]).shape[:2]
        boxes = np.asarray(example["boxes"], np.float32)
        kinds = np.asarray(example["box_kinds"])
        return {
            "boxes_yxyx": boxes / np.array([height, width, height, width], np.float32),
            "class_ids": np.where(kinds > 0, -1, np.asarray(example["box_classes"])),
        }

    def sample(
        self,
        image: np.ndarray,
        targets: Mapping[str, np.ndarray],
        *,
        class_names: Sequence[str],
        palette: Sequence[data_base.Color],
    ) -> Image.Image:
        width, height = base.fitted(image, _SAMPLE)
        photo = Image.fromarray(image).resize((width, height), Image.Resampling.BOX)
        classes = np.asarray(targets["box_classes"], np.int32)
        there = classes != box_kinds.PADDING
        boxes = {
            "boxes_yxyx": np.asarray(targets["boxes"])[there],
            "class_ids": classes[there],
        }
        return _boxed(photo, boxes, class_names, palette)

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
        width, height = base.fitted(image, _WIDTH)
        photo = Image.fromarray(image).resize((width, height), Image.Resampling.BOX)
        columns = min(_COLUMNS, len(shown))
        # Float and integer stand beside each other, not across a corner.
        alone = 1 if truth and len(predictions) == _COLUMNS else 0
        rows = -(-(len(shown) + alone) // columns)
        step = (width + _MARGIN, height + _CAPTION + _MARGIN)
        sheet = Image.new("RGB", (columns * step[0] + _MARGIN, rows * step[1]), "white")
        pen = ImageDraw.Draw(sheet)
        for place, (caption, each) in enumerate(shown.items()):
            number = place + (alone if place else 0)
            left = _MARGIN + number % columns * step[0]
            top = number // columns * step[1]
            pen.text((left, top + 3), caption, fill="black", font=text.font())
            sheet.paste(
                _boxed(photo, each, class_names, palette), (left, top + _CAPTION)
            )
        return sheet

    def classes(self, outputs: base.Shapes) -> int | None:
        if set(outputs) == _DETECTIONS:
            return 1  # how many a detector knows, its detections do not tell
        if set(outputs) in _CANDIDATES and len(outputs["scores"]) == 3:
            return outputs["scores"][2]
        return None

    def decide(
        self,
        outputs: Mapping[str, np.ndarray],
        size: tuple[int, int],
        *,
        scores: str,
        detector: tasks_detector.Detector | None = None,
        reader: segment_reader.SegmentReader | None = None,
    ) -> base.Predictions:
        """As `Panel.decide`; candidates of an app's own choice want a `detector`."""
        del size  # boxes are shares of the sides
        del reader  # of segments
        if detector is None:
            detector = tasks_detector.Detector(anchors=np.zeros((0, 4), np.float32))
        found = detections.read(outputs, detector, activation=scores)
        count = int(found["count"][0])
        return {
            name: found[name][0][:count]
            for name in ("boxes_yxyx", "class_ids", "scores")
        }

    def lines(
        self, predictions: base.Predictions, class_names: Sequence[str]
    ) -> tuple[str, ...]:
        shown = _shown(predictions)[:_LISTED]
        if not shown:
            return (f"nothing with a score of {100 * _SHOWN_SCORE:.0f} % or more",)
        return tuple(
            f"{100 * score:5.1f} %  {_name(class_id, class_names)}"
            for _, class_id, score in shown
            if score is not None
        )


def _shown(
    predictions: base.Predictions,
) -> list[tuple[tuple[float, ...], int, float | None]]:
    """Boxes, class ids and scores of what is drawn."""
    classes = predictions["class_ids"].tolist()
    scores: list[float | None] = [None] * len(classes)  # of the truth
    if "scores" in predictions:
        scores = predictions["scores"].tolist()
    count = int(predictions.get("count", len(classes)))
    rows = zip(predictions["boxes_yxyx"].tolist(), classes, scores, strict=True)
    return [
        (tuple(box), class_id, score)
        for box, class_id, score in itertools.islice(rows, count)
        if (score is None or score >= _SHOWN_SCORE) and np.isfinite(box).all()
    ]


def _boxed(
    photo: Image.Image,
    predictions: base.Predictions,
    class_names: Sequence[str],
    palette: Sequence[data_base.Color],
) -> Image.Image:
    picture, font = photo.copy(), text.font()
    pen = ImageDraw.Draw(picture)
    for box, class_id, score in reversed(_shown(predictions)):  # the surest on top
        color = _color(class_id, palette)
        top, left, bottom, right = _pixels(box, picture.size)
        pen.rectangle((left, top, right, bottom), outline=color, width=3)
        line = _name(class_id, class_names)
        if score is not None:
            line = f"{line} {100 * score:.0f} %"
        wide = font.getlength(line) + 6
        x = max(0, min(left, picture.width - wide))
        y = top - 16 if top >= 16 else top
        pen.rectangle((x, y, x + wide, y + 16), fill=color)
        ink = "black" if sum(color) > 380 else "white"
        pen.text((x + 3, y + 1), line, fill=ink, font=font)
    return picture


def _pixels(box: tuple[float, ...], size: tuple[int, int]) -> tuple[float, ...]:
    """Corners within the picture, the lower one not before the upper one."""
    width, height = size
    top, left, bottom, right = (min(max(side, 0.0), 1.0) for side in box)
    bottom, right = max(top, bottom), max(left, right)
    return (
        top * (height - 1),
        left * (width - 1),
        bottom * (height - 1),
        right * (width - 1),
    )


def _color(class_id: int, palette: Sequence[data_base.Color]) -> data_base.Color:
    if class_id < 0:
        return _NOT_COUNTED
    if class_id < len(palette):
        red, green, blue = palette[class_id]
        return red, green, blue
    return _COLORS[class_id % len(_COLORS)]


def _name(class_id: int, class_names: Sequence[str]) -> str:
    """A file from anyone may know more classes than there are names."""
    if class_id < 0:
        return "not counted"
    known = class_id < len(class_names)
    return class_names[class_id] if known else f"class {class_id}"
