"""The description beside a file: all that an app must know to use it."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from official import failures
from official.data import base as data_base
from official.tasks import base as tasks_base
from official.tasks import segment_reader
from tflite_export import (
    android,
    detector_files,
    flatbuffer,
    inference,
    metadata,
    segment_files,
)


def path_of(model: pathlib.Path) -> pathlib.Path:
    """Where the description of a file lies."""
    return model.with_suffix(".json")


def describe(
    file: flatbuffer.File,
    graph: inference.Graph,
    *,
    task: tasks_base.Task,
    precision: str,
    class_names: Sequence[str],
    palette: Sequence[data_base.Color],
    float_layers: Sequence[str] = (),
) -> dict[str, Any]:
    """The description of a file, to be written as JSON.

    Args:
        file: As it was read back.
        graph: What it was made from.
        task: Says what its outputs are, and what of an image the file is shown.
        precision: One of `official.export_spec.PRECISIONS`.
        float_layers: Of a mixed file.
    """
    fit = android.fit(file, task)
    return {
        "model": file.path.name,
        "size_bytes": file.size,
        "task": type(task).__name__,
        "precision": precision,
        "float_layers": list(float_layers),
        "inputs": tensors(file.inputs),
        "outputs": tensors(file.outputs),
        "preprocessing": _preprocessing(file, graph, task.shown_share),
        "score_activation": task.score_activation,
        "postprocessing": {
            name: _meaning(file, name, task.score_activation) for name in file.outputs
        },
        "detector": detector_files.settings(task.detector),
        "mediapipe": {
            "task": fit.task,
            "warning": fit.warning,
            "notes": list(fit.notes),
        },
        "labels": metadata.LABELS,
        "class_names": list(class_names),
        "palette": [list(color) for color in palette],
    }


def tensors(named: Mapping[str, flatbuffer.Tensor]) -> list[dict[str, Any]]:
    """Inputs or outputs as the description has them."""
    return [_tensor(name, tensor) for name, tensor in named.items()]


def read(model: pathlib.Path) -> dict[str, Any]:
    """The description beside a file, empty if there is none.

    Raises:
        RequestError: If it is there but is not one.
    """
    path = path_of(model)
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        names, palette = content["class_names"], content["palette"]
        colors = all(len(c) == 3 and all(0 <= v <= 255 for v in c) for c in palette)
        if not (colors and len(names) == len(palette) and all(map(str, names))):
            raise ValueError("class_names and palette do not fit")
        layers = content.get("float_layers", [])
        if not (isinstance(layers, list) and all(isinstance(x, str) for x in layers)):
            raise ValueError("float_layers: want a list of names")
        share = content.get("preprocessing", {}).get("shown_share")
        if not (share is None or 0 < share <= 1):
            raise ValueError(f"shown_share {share}: want (0, 1]")
        if content.get("segments") is not None:
            segment_reader.of_settings(content["segments"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise failures.RequestError(
            f"{path}: not the description of a model ({type(error).__name__}: "
            f"{error}); export again, or move it away to go on without names"
        ) from error
    return content


def _meaning(file: flatbuffer.File, name: str, activation: str) -> str:
    """What an output is, and what an app does with it."""
    if detector_files.holds(file):
        return detector_files.meaning(file, name)
    tensor = file.outputs[name]
    real = "real value = scale * (stored - zero_point); " if tensor.scales else ""
    if segment := segment_files.meaning(file.outputs, name):
        return f"{real}{segment}"
    pixels = len(tensor.shape) > (1 if name == "class_ids" else 2)
    if name == "class_ids":
        return f"index into class_names, for {'each pixel' if pixels else 'the image'}"
    if pixels:
        return (
            f"{real}the class of a pixel is the channel with the largest value; to "
            "enlarge, interpolate the channels (bilinear, half-pixel centers) before "
            "that"
        )
    if activation == "sigmoid":
        score = "scores, 0..1" if name == "scores" else "score = 1 / (1 + exp(-value))"
        return f"{real}{score}; each class with a score of 0.5 or more is in the image"
    score = "scores, 0..1, that add up to 1"
    if name != "scores":
        score = "the softmax of all values is the scores"
    return f"{real}{score}; the class of the image is the one with the largest value"


def _tensor(name: str, tensor: flatbuffer.Tensor) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": name,
        "dtype": tensor.dtype.lower(),
        "shape": list(tensor.shape),
    }
    if tensor.scales:
        described["scale"] = tensor.scales[0]
        described["zero_point"] = tensor.zero_points[0]
    return described


def _preprocessing(
    file: flatbuffer.File, graph: inference.Graph, share: float | None
) -> dict[str, Any]:
    (tensor,) = file.inputs.values()
    height, width = tensor.shape[1:3]
    stored = {
        "UINT8": "pixels 0..255, rounded after the resize",
        "INT8": "pixels 0..255, rounded after the resize, less 128",
        "INT16": "pixels 0..255, rounded after the resize, divided by the scale of the "
        "input and rounded again",
        "FLOAT32": "pixels 0..255, not divided by anything",
    }[tensor.dtype]
    return {
        "image": "RGB, upright: any EXIF orientation is applied first",
        "shown_share": share,
        "resize": f"{_window(height, width, share)} to {height} x {width} (height x "
        "width), bilinear, half-pixel centers, no antialiasing"
        + ("; the aspect ratio is not kept" if share is None else ""),
        "values": f"{tensor.dtype.lower()} {stored}",
        "normalization": _normalization(tensor, graph),
        "metadata_normalization": _metadata_normalization(tensor),
    }


def _window(height: int, width: int, share: float | None) -> str:
    if share is None:
        return "the whole image"
    return (
        f"first cut out the central window of the shape {height} : {width} (height : "
        f"width) whose sides are {share:g} of the largest such window's, in whole "
        "pixels; the window"
    )


def _normalization(tensor: flatbuffer.Tensor, graph: inference.Graph) -> str:
    if not tensor.scales or tensor.dtype == "INT16":
        return "part of the file; feed the values as they are"
    zero_point = tensor.zero_points[0] + (128 if tensor.dtype == "INT8" else 0)
    half = zero_point * graph.scale + graph.offset
    read = (
        "part of the file, as the quantisation of its input; feed the values as they "
        f"are. A pixel is read as (pixel - {zero_point}) * {graph.scale:.8f}"
    )
    if abs(half) < 1e-3 * graph.scale:
        return f"{read}, as in training"
    return (
        f"{read}; training "
        f"had pixel * {graph.scale:.8f} {graph.offset:+g}. The difference of "
        f"{-half:+.5f} (half a level) comes of the zero point being an integer"
    )


def _metadata_normalization(tensor: flatbuffer.Tensor) -> dict[str, Any]:
    """What the file's own metadata says, which readers of it apply by themselves."""
    mean, std = android.normalization(tensor)
    then = ", then by the scale and zero point of the input" if tensor.scales else ""
    return {
        "mean": mean,
        "std": std,
        "meaning": f"for readers of metadata: (pixel - mean) / std{then}; comes to the "
        "values above, do not apply both",
    }
