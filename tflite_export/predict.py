"""Draws what a .tflite file makes of images, and prints what can be said in words."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from official import failures
from official.data import crops, decoding, image_files, palettes, transforms
from official.report import predictions, terminal
from official.report.panels import base as panels
from official.tasks import detector as detector_lib
from official.tasks import segment_reader
from tflite_export import detector_files, interpreter, labels, probe, sidecar, split

_STRANGER = detector_lib.Detector(anchors=np.zeros((0, 4), np.float32))
"""How the boxes of a file are read that does not say."""


def run(
    model: pathlib.Path, images: Sequence[pathlib.Path], *, out: pathlib.Path
) -> None:
    """Writes a picture for each image to the folder `out` and prints its path.

    A folder among the images stands for all images in it.

    What the outputs are, the names and colors of classes, and what of an image the file
    is shown come from the description beside the file. Without one the form of the
    output tells, names come from the file's metadata or are numbers, colors are made
    up, and the whole image is shown.

    Raises:
        RequestError: If the outputs are not those of a task that can be drawn, or a
            picture would overwrite an image.
        DataError: If an image cannot be read.
    """
    images = _unfolded(images)
    files = _files(images, out)
    _require_kept(images, files)
    probe.run(model)
    runner = interpreter.Runner(model)
    description = sidecar.read(model)
    panel, classes = _panel(runner, description)
    names = description.get("class_names") or _names(runner, classes)
    palette = description.get("palette", palettes.distinct(max(classes, len(names))))
    if not description and runner.input_dtype.kind == "f":
        terminal.console.print(
            f"{model.name} takes floats and does not say which: it is fed pixels 0..255"
        )
    for path, file in zip(images, files, strict=True):
        image = decoding.image(path)
        found = predict(runner, image, panel=panel, description=description)
        picture = panel.draw(
            image,
            {},
            {model.name: found},
            class_names=names,
            palette=[tuple(color) for color in palette],
        )
        predictions.write(picture, file)
        terminal.console.print(str(file))
        for line in panel.lines(found, names):
            terminal.console.print(f"  {line}")


def predict(
    runner: interpreter.Runner,
    image: np.ndarray,
    *,
    panel: panels.Panel,
    description: Mapping[str, Any],
) -> panels.Predictions:
    """What a file makes of one image, uint8 `[H, W, 3]`."""
    share = description.get("preprocessing", {}).get("shown_share")
    if share is None:
        pixels = transforms.resize(image, runner.image_size)
    else:
        pixels = crops.center_crop(image, size=runner.image_size, share=share)
    outputs = runner(np.asarray(pixels)[None])
    height, width = image.shape[:2]
    activation = description.get("score_activation", "softmax")
    segments = description.get("segments")
    return panel.decide(
        outputs,
        (height, width),
        scores=activation,
        detector=detector_files.detector(
            runner.file.path, description, usual=_STRANGER
        ),
        reader=segment_reader.of_settings(segments) if segments else None,
    )


def _panel(
    runner: interpreter.Runner, description: Mapping[str, Any]
) -> tuple[panels.Panel, int]:
    """What draws the outputs of a file, and how many classes it knows."""
    shapes = runner.shapes
    panel = panels.of_outputs(shapes, task=description.get("task"))
    classes = panel.classes(shapes) if panel else None
    whole = split.whole_of(runner.file.path)
    if panel is None and whole:
        raise failures.RequestError(
            f"{runner.file.path}: one of two parts of a model; give the whole, {whole}"
        )
    if panel is None or classes is None:
        raise failures.RequestError(
            f"{runner.file.path}: gives {shapes}, want class scores of the image "
            "[1, C] or of its pixels [1, h, w, C], class ids [1] or [1, h, w], the "
            "four outputs of TFLite_Detection_PostProcess, boxes with scores, masks or "
            "slots with class logits, or classes with centers and offsets: nothing "
            "else is drawn"
        )
    return panel, classes


def _names(runner: interpreter.Runner, classes: int) -> list[str]:
    """A name for each class of a file that has no description beside it."""
    numbers = [f"class {i}" for i in range(classes)]
    found = labels.read(runner.file.path, classes=classes)
    if not found or (len(found) != classes and "class_ids" not in runner.shapes):
        return numbers
    return [*found, *numbers[len(found) :]]


def _unfolded(paths: Sequence[pathlib.Path]) -> list[pathlib.Path]:
    """The images, those in folders included.

    Raises:
        DataError: If a folder has none.
    """
    images: list[pathlib.Path] = []
    for path in paths:
        if not path.is_dir():
            images.append(path)
            continue
        found, others = image_files.within(path)
        if not found:
            raise failures.DataError(f"{path}: no image in this folder")
        if others:
            terminal.console.print(f"{path}: {len(others)} other files left out")
        images += [path / name for name in found]
    return images


def _files(images: Sequence[pathlib.Path], out: pathlib.Path) -> list[pathlib.Path]:
    """A file for each image; a name that is taken gets a number."""
    taken: set[str] = set()
    files = []
    for path in images:
        name, number = path.stem, 1
        while name.casefold() in taken:  # some file systems know no case
            number += 1
            name = f"{path.stem}_{number}"
        taken.add(name.casefold())
        files.append(out / f"{name}.png")
    return files


def _require_kept(
    images: Sequence[pathlib.Path], files: Sequence[pathlib.Path]
) -> None:
    given = {path.resolve() for path in images}
    lost = next((file for file in files if file.resolve() in given), None)
    if lost:
        raise failures.RequestError(
            f"{lost} is one of the images and would be overwritten; choose another "
            "--out"
        )
