"""A photograph and the classes that it is said to show."""

import dataclasses
import heapq
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from official.data import base as data_base
from official.report import text
from official.report.panels import base
from official.tasks import base as tasks_base
from official.tasks import detector as tasks_detector
from official.tasks import segment_reader

_PHOTO = 300
_COLUMN = 330
_MARGIN = 10
_LINE = 20
_SHOWN = 3
_LISTED = 5

_RIGHT = "#1a7f37"
_WRONG = "#cf222e"
_PLAIN = "#57606a"

_TILE = 180
_COLUMNS = 6
_KEPT = 24


class Classification(base.Panel):
    """The photograph, the truth, and each predictor's first classes with bars.

    With one label an answer is right or wrong by its first class; with several, each
    class that is shown is.
    """

    def truth(self, example: data_base.Example) -> base.Predictions:
        if "labels" in example:
            return {"labels": np.asarray(example["labels"])}
        label = int(example["label"])
        return {"class_ids": np.asarray(label)} if label >= 0 else {}

    def draw(
        self,
        image: np.ndarray,
        truth: base.Predictions,
        predictions: Mapping[str, base.Predictions],
        *,
        class_names: Sequence[str],
        palette: Sequence[data_base.Color],
    ) -> Image.Image:
        del palette
        photo = Image.fromarray(image)
        photo.thumbnail((_PHOTO, 2 * _PHOTO))
        columns = 1 if len(predictions) < 3 else 2
        rows = -(-len(predictions) // columns)
        count = _SHOWN if truth else _LISTED
        block = (count + 1) * _LINE + _MARGIN
        height = max(photo.height, 2 * _LINE + rows * block) + 2 * _MARGIN
        left = _PHOTO + 2 * _MARGIN
        panel = Image.new("RGB", (left + columns * _COLUMN, height), "white")
        panel.paste(photo, (_MARGIN, _MARGIN))
        pen = ImageDraw.Draw(panel)
        line = _true_line(truth, class_names)
        line = text.shortened(line, columns * _COLUMN - _MARGIN, text.font(14))
        pen.text((left, _MARGIN), line, fill="black", font=text.font(14))
        for number, (caption, each) in enumerate(predictions.items()):
            x = left + number % columns * _COLUMN
            y = _MARGIN + 2 * _LINE + number // columns * block
            _heading(pen, (x, y), caption, _verdict(each, truth))
            for rank, (class_id, score) in enumerate(_first(each, count)):
                place = (x, y + (rank + 1) * _LINE)
                color = _color(class_id, rank, score, truth)
                _bar(pen, place, _name(class_id, class_names), score, color)
        return panel

    def classes(self, outputs: base.Shapes) -> int | None:
        if len(outputs) != 1:
            return None
        ((name, shape),) = outputs.items()
        if name == "class_ids":
            return 1 if len(shape) == 1 else None
        return shape[1] if len(shape) == 2 and shape[1] > 1 else None

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
        del size  # the image has one class, whatever its size
        if "class_ids" in outputs:
            return {"class_ids": np.asarray(outputs["class_ids"][0])}
        if "scores" in outputs:
            found = outputs["scores"][0].astype(np.float32)
        else:
            found = _scores(outputs["logits"][0].astype(np.float32), scores)
        return {"scores": found, "class_ids": np.asarray(found.argmax())}

    def lines(
        self, predictions: base.Predictions, class_names: Sequence[str]
    ) -> tuple[str, ...]:
        return tuple(
            ("" if score is None else f"{100 * score:5.1f} %  ") + _name(c, class_names)
            for c, score in _first(predictions, _LISTED)
        )

    def mistakes(self) -> "Mistakes":
        return Mistakes()


@dataclasses.dataclass(frozen=True, order=True)
class _Mistake:
    """Ordered by confidence, then by its place in the evaluation."""

    confidence: float
    place: int
    image: np.ndarray = dataclasses.field(compare=False)
    said: str = dataclasses.field(compare=False)
    class_id: int = dataclasses.field(compare=False)
    true_id: int | None = dataclasses.field(compare=False)


class Mistakes(base.Mistakes):
    """The mistakes that were made with the highest scores."""

    def __init__(self):
        self._worst: list[_Mistake] = []
        self._seen = 0

    def watch(
        self,
        images: np.ndarray,
        targets: tasks_base.Targets,
        predictions: tasks_base.Predictions,
    ) -> None:
        for row, image in enumerate(images):
            self._seen += 1
            of_row = {name: value[row] for name, value in predictions.items()}
            if "labels" in targets:
                found = _multi_label_mistake(targets["labels"][row], of_row["scores"])
            else:
                found = _mistake(int(targets["label"][row]), of_row)
            if found is None:
                continue
            # Among equals the first one stays.
            said, confidence, class_id, true_id = found
            pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
            one = _Mistake(confidence, -self._seen, pixels, said, class_id, true_id)
            keep = heapq.heappush if len(self._worst) < _KEPT else heapq.heappushpop
            keep(self._worst, one)

    def sheet(self, class_names: Sequence[str]) -> Image.Image | None:
        if not self._worst:
            return None
        ordered = sorted(self._worst, reverse=True)
        columns = min(_COLUMNS, len(ordered))
        rows = -(-len(ordered) // columns)
        step = (_TILE + _MARGIN, _TILE + 2 * _LINE + _MARGIN)
        size = (columns * step[0] + _MARGIN, rows * step[1] + _MARGIN)
        sheet = Image.new("RGB", size, "white")
        pen, font = ImageDraw.Draw(sheet), text.font()
        for number, mistake in enumerate(ordered):
            x = _MARGIN + number % columns * step[0]
            y = _MARGIN + number // columns * step[1]
            photo = Image.fromarray(mistake.image)
            photo = ImageOps.contain(photo, (_TILE, _TILE))
            sheet.paste(photo, (x, y))
            first, second = _captions(mistake, class_names)
            lines = ((first, _WRONG), (second, "black"))
            for line, (words, color) in enumerate(lines):
                place = (x, y + _TILE + 2 + line * (_LINE - 3))
                words = text.shortened(words, _TILE, font)
                pen.text(place, words, fill=color, font=font)
        return sheet


def _captions(mistake: _Mistake, class_names: Sequence[str]) -> tuple[str, str]:
    share = f"{100 * mistake.confidence:.0f} %"
    name = class_names[mistake.class_id]
    if mistake.true_id is not None:
        return f"{mistake.said} {name} {share}", f"is {class_names[mistake.true_id]}"
    if mistake.said == "missed":
        return f"missed {name}", f"{share} sure that it is not there"
    return f"said {name} {share}", "is not there"


def _mistake(
    label: int, predictions: base.Predictions
) -> tuple[str, float, int, int | None] | None:
    said = int(predictions["class_ids"])
    if label < 0 or said == label:
        return None
    return "said", float(predictions["scores"][said]), said, label


def _multi_label_mistake(
    labels: np.ndarray, scores: np.ndarray
) -> tuple[str, float, int, int | None] | None:
    """The class whose score is farthest from the truth, if on the wrong side of 0.5."""
    error = np.abs(np.asarray(scores, np.float64) - labels) * (labels >= 0)
    worst = int(error.argmax())
    if error[worst] <= 0.5:
        return None
    said = "missed" if labels[worst] else "said"
    return said, float(error[worst]), worst, None


def _scores(logits: np.ndarray, activation: str) -> np.ndarray:
    if activation == "sigmoid":
        return 1 / (1 + np.exp(-logits))
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def _first(predictions: base.Predictions, count: int) -> list[tuple[int, float | None]]:
    """Classes with the highest scores, or the one class of a file without scores."""
    if "scores" not in predictions:
        return [(int(predictions["class_ids"]), None)]
    scores = np.asarray(predictions["scores"])
    order = np.argsort(-scores, kind="stable")[:count]
    return [(int(c), float(scores[c])) for c in order]


def _name(class_id: int, class_names: Sequence[str]) -> str:
    """A file from anyone may know more classes than there are names."""
    known = class_id < len(class_names)
    return class_names[class_id] if known else f"class {class_id}"


def _true_line(truth: base.Predictions, class_names: Sequence[str]) -> str:
    if "labels" in truth:
        present = [class_names[int(c)] for c in np.flatnonzero(truth["labels"] > 0)]
        return f"truth: {', '.join(present) or 'none of the classes'}"
    if "class_ids" in truth:
        return f"truth: {class_names[int(truth['class_ids'])]}"
    return ""


def _heading(
    pen: ImageDraw.ImageDraw, place: tuple[int, int], caption: str, verdict: str
) -> None:
    x, y = place
    font = text.font(13)
    line = text.shortened(caption, _COLUMN - 2 * _MARGIN - 60, font)
    pen.text((x, y), line, fill="black", font=font)
    color = _RIGHT if verdict == "right" else _WRONG
    pen.text((x + _COLUMN - 60, y), verdict, fill=color, font=font)


def _bar(
    pen: ImageDraw.ImageDraw,
    place: tuple[int, int],
    name: str,
    score: float | None,
    color: str,
) -> None:
    """A bar and the share that it stands for, if there is one, and the name."""
    x, y = place
    font = text.font()
    if score is not None:
        pen.rectangle((x, y + 2, x + 100, y + 14), fill="#eaeef2")
        pen.rectangle((x, y + 2, x + max(1, round(100 * score)), y + 14), fill=color)
        pen.text((x + 106, y), f"{100 * score:.1f} %", fill="black", font=font)
        x += 156
    width = place[0] + _COLUMN - _MARGIN - x
    pen.text((x, y), text.shortened(name, width, font), fill=color, font=font)


def _verdict(predictions: base.Predictions, truth: base.Predictions) -> str:
    if "labels" in truth:
        said, labels = np.asarray(predictions["scores"]) >= 0.5, truth["labels"]
        same = (said == (labels > 0.5)) | (labels < 0)  # negative: not known
        return "right" if same.all() else "wrong"
    if "class_ids" in truth:
        same = int(truth["class_ids"]) == int(predictions["class_ids"])
        return "right" if same else "wrong"
    return ""


def _color(
    class_id: int, rank: int, score: float | None, truth: base.Predictions
) -> str:
    """Of a class that is there, is said to be there and is not, or neither."""
    if "labels" in truth:
        there = truth["labels"][class_id] > 0
        known = truth["labels"][class_id] >= 0
        claimed = known and (score is None or score >= 0.5)
    else:
        there = bool(truth) and int(truth["class_ids"]) == class_id
        claimed = rank == 0 and bool(truth)
    if there:
        return _RIGHT
    return _WRONG if claimed else _PLAIN
