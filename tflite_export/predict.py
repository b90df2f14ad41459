"""Draws what a .tflite file makes of images."""

import io
import pathlib
from collections.abc import Sequence

import numpy as np

from official import atomic, failures
from official.data import decoding, palettes, transforms
from official.report import pictures, terminal
from tflite_export import interpreter, probe, sidecar


def run(
    model: pathlib.Path, images: Sequence[pathlib.Path], *, out: pathlib.Path
) -> None:
    """Writes a picture for each image to the folder `out` and prints its path.

    Names and colors of classes come from the description beside the file; without one
    they are numbers and made up.

    Raises:
        RequestError: If the file is not a model for segmentation, or a picture would
            overwrite an image.
        DataError: If an image cannot be read.
    """
    files = _files(images, out)
    _require_kept(images, files)
    probe.run(model)
    runner = interpreter.Runner(model)
    classes = _class_count(runner)
    description = sidecar.read(model)
    names = description.get("class_names", [f"class {i}" for i in range(classes)])
    palette = description.get("palette", palettes.distinct(classes))
    for path, file in zip(images, files, strict=True):
        image = decoding.image(path)
        panel = pictures.segmentation_panel(
            image,
            {model.name: class_ids(runner, image)},
            class_names=names,
            palette=[tuple(color) for color in palette],
        )
        content = io.BytesIO()
        panel.save(content, "PNG")
        atomic.write(file, content.getvalue())
        terminal.console.print(str(file))


def class_ids(runner: interpreter.Runner, image: np.ndarray) -> np.ndarray:
    """int32 `[H, W]`, the class of each pixel of a uint8 image `[H, W, 3]`."""
    height, width = image.shape[:2]
    pixels = np.asarray(transforms.resize(image, runner.image_size))
    outputs = runner(pixels[None])
    if "class_ids" in outputs:
        ids = outputs["class_ids"][0].astype(np.int32)
        return np.asarray(transforms.resize_labels(ids, (height, width)))
    logits = np.asarray(transforms.resize(outputs["logits"][0], (height, width)))
    return logits.argmax(axis=-1).astype(np.int32)


def _class_count(runner: interpreter.Runner) -> int:
    outputs = runner.file.outputs
    shapes = {name: tensor.shape for name, tensor in outputs.items()}
    if len(shapes) == 1:
        (shape,) = shapes.values()
        if len(shape) == 4 and shape[3] > 1:
            return shape[3]
        if len(shape) == 3:
            return 256
    raise failures.RequestError(
        f"{runner.file.path}: gives {shapes}, want class scores [1, h, w, C] or class "
        "ids [1, h, w]: only segmentation is drawn"
    )


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
