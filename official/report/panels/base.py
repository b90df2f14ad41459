"""How the predictions of a task are drawn, and the panels there are."""

import abc
import functools
import importlib
import inspect
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from official.data import base as data_base
from official.tasks import base as tasks_base
from official.tasks import detector as tasks_detector
from official.tasks import segment_reader

Predictions = Mapping[str, np.ndarray]
"""As `Task.postprocess` gives them, but of one image: without the batch axis."""

Shapes = Mapping[str, tuple[int, ...]]
"""Of the raw outputs of a predictor, by name, batch axis included."""

_HIGHEST = 4


class Panel(abc.ABC):
    """Draws one image and what predictors make of it.

    One module of this package holds one panel; module and class are named as those of
    the task whose predictions it draws.
    """

    @abc.abstractmethod
    def truth(self, example: data_base.Example) -> Predictions:
        """The labels of an example in the form of predictions; empty if it has none."""

    @abc.abstractmethod
    def draw(
        self,
        image: np.ndarray,
        truth: Predictions,
        predictions: Mapping[str, Predictions],
        *,
        class_names: Sequence[str],
        palette: Sequence[data_base.Color],
    ) -> Image.Image:
        """The picture.

        Args:
            image: uint8 `[H, W, 3]`.
            truth: From `truth`, or empty.
            predictions: By caption.
        """

    @abc.abstractmethod
    def classes(self, outputs: Shapes) -> int | None:
        """How many classes a file with these outputs knows, at the least.

        None if these are not outputs of this task.
        """

    @abc.abstractmethod
    def decide(
        self,
        outputs: Mapping[str, np.ndarray],
        size: tuple[int, int],
        *,
        scores: str,
        detector: tasks_detector.Detector | None = None,
        reader: segment_reader.SegmentReader | None = None,
    ) -> Predictions:
        """Predictions from the raw outputs for one image, batch axis included.

        Args:
            size: Height and width of the image.
            scores: "softmax" or "sigmoid": what makes scores of logits.
            detector: How boxes are read, for files that leave it to the app.
            reader: How segments are, likewise.
        """

    draws_samples = False
    """Whether there is a `sample`."""

    def sample(
        self,
        image: np.ndarray,
        targets: Mapping[str, np.ndarray],
        *,
        class_names: Sequence[str],
        palette: Sequence[data_base.Color],
    ) -> Image.Image:
        """A training image with its labels, as the network sees both.

        Args:
            image: uint8 `[H, W, 3]`.
            targets: Of `Task.preprocess`, of this image.
        """
        raise TypeError(f"{type(self).__name__} draws no training images")

    def lines(
        self, predictions: Predictions, class_names: Sequence[str]
    ) -> tuple[str, ...]:
        """What a terminal can show of them."""
        del predictions, class_names
        return ()

    def mistakes(self) -> "Mistakes":
        """Collects the worst predictions of an evaluation."""
        return Mistakes()


class Mistakes:
    """The worst predictions of an evaluation; this one keeps none."""

    def watch(
        self,
        images: np.ndarray,
        targets: tasks_base.Targets,
        predictions: tasks_base.Predictions,
    ) -> None:
        """Takes in a batch: images as the network is fed them, pixels 0..255."""

    def sheet(self, class_names: Sequence[str]) -> Image.Image | None:
        """One picture of them, or None if there are none."""
        del class_names
        return None


def fitted(image: np.ndarray, width: int) -> tuple[int, int]:
    """Width and height in which a picture holds an image `[H, W, 3]`.

    At most `width` wide and four times as high, and never without a pixel: images from
    anyone may be strips.
    """
    rows, columns = image.shape[:2]
    scale = min(width / columns, _HIGHEST * width / rows)
    return max(1, round(columns * scale)), max(1, round(rows * scale))


def names() -> tuple[str, ...]:
    """Names of the modules of all panels."""
    files = pathlib.Path(__file__).parent.glob("*.py")
    return tuple(sorted(f.stem for f in files if f.stem not in ("__init__", "base")))


@functools.cache
def find(name: str) -> Panel:
    """The panel of a module of this package."""
    module = importlib.import_module(f"official.report.panels.{name}")
    (kind,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Panel)
        and not inspect.isabstract(value)
        and value.__module__ == module.__name__
    )
    return kind()


def of_task(task: tasks_base.Task) -> Panel | None:
    """By the module that the task, or a task that it extends, is written in.

    None for a task that nobody has made a panel for: nothing is drawn then.
    """
    known = names()
    for kind in type(task).__mro__:
        name = kind.__module__.rpartition(".")[2]
        if name in known:
            return find(name)
    return None


def of_outputs(outputs: Shapes, *, task: str | None = None) -> Panel | None:
    """The panel for a file.

    Args:
        outputs: Of the file.
        task: Name of the task's class, if it is known. Without it, or without a panel
            of that name, the outputs tell.
    """
    panels = [find(name) for name in names()]
    fitting = [panel for panel in panels if panel.classes(outputs) is not None]
    named = [panel for panel in fitting if type(panel).__name__ == task]
    return next(iter(named + fitting), None)
