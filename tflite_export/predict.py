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
        RequestError: If the file is not a model for segmentation.
        DataError: If an image cannot be read.
    """
    probe.run(model)
    runner = interpreter.Runner(model)
    classes = _class_count(runner)
    description = sidecar.read(model)
    names = description.get("class_names", [f"class {i}" for i in range(classes)])
    palette = description.get("palette", palettes.distinct(classes))
    for path, file in zip(images, _files(images, out), strict=True):
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
    """A file for each image; images of one name in several folders are numbered."""
    seen: dict[str, int] = {}
    files = []
    for path in images:
        number = seen[path.stem] = seen.get(path.stem, 0) + 1
        suffix = f"_{number}" if number > 1 else ""
        files.append(out / f"{path.stem}{suffix}.png")
    return files
