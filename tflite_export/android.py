"""What Android's readers of a file are told, and which MediaPipe Task takes it.

What MediaPipe wants of a file is documented only in part; the rest is as its Python
package behaves, which runs the same code (version 1.2.3, tests/test_mediapipe.py).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from official import failures
from official.tasks import base as tasks_base
from tflite_export import detector_files, flatbuffer, metadata

CLASSIFIER = "ImageClassifier"
SEGMENTER = "ImageSegmenter"
DETECTOR = "ObjectDetector"

_READ = ("UINT8", "FLOAT32")

_RESIZE = (
    "MediaPipe resizes without half-pixel centers, a shift of up to half a pixel of "
    "the input; an image of the input's size, resized as preprocessing says, is fed as "
    "it is"
)

_LOGITS = (
    "the output is logits, and MediaPipe's ImageClassifier shows them as they are: the "
    "best class is right, its score is not in 0..1; set export.output = 'scores'"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
    """How a file goes with MediaPipe Tasks.

    Attributes:
        task: The Task that takes it, or None.
        warning: Why none does, or why its answers are not what they seem; "" if they
            are.
        notes: What else an app has to know.
    """

    task: str | None
    warning: str = ""
    notes: tuple[str, ...] = ()


def fit(file: flatbuffer.File, task: tasks_base.Task) -> Fit:
    """Which Task takes a file of ours."""
    problems = _problems(file)
    if problems:
        return Fit(task=None, warning="; ".join(problems))
    notes = [_RESIZE]
    if detector_files.holds(file):
        if set(file.outputs) == detector_files.RAW:
            notes.append(detector_files.MEDIAPIPE_NMS)
        return Fit(task=DETECTOR, notes=tuple(notes))
    ((name, output),) = file.outputs.items()
    if task.shown_share is not None:
        notes.append(
            "MediaPipe shows the file the whole image, its aspect ratio not kept; "
            "evaluation cut out a central window (preprocessing.shown_share): give it "
            "as the region of interest, or train with task.center_share = None"
        )
    if len(output.shape) == 4:
        notes.append(
            "MediaPipe's category mask interpolates corner to corner, which moves "
            "borders by up to half a cell of the output; its confidence masks do not"
        )
        return Fit(task=SEGMENTER, notes=tuple(notes))
    warning = _LOGITS if name == "logits" else ""
    return Fit(task=CLASSIFIER, warning=warning, notes=tuple(notes))


def describe(
    content: bytes,
    file: flatbuffer.File,
    *,
    task: tasks_base.Task,
    class_names: Sequence[str],
) -> metadata.Metadata:
    """The metadata of a file of ours.

    Args:
        content: The file.
        file: The same, read.

    Raises:
        RequestError: If the names cannot be the lines of a file, or are not as many as
            the classes that an output tells apart.
    """
    _require_lines(class_names)
    graph = schema.Model.GetRootAs(content).Subgraphs(0)
    inputs = _ordered(file.inputs, graph.InputsAsNumpy())
    outputs = _ordered(file.outputs, graph.OutputsAsNumpy())
    if detector_files.holds(file):
        described = tuple(
            detector_files.described(file, name, class_names) for name, _ in outputs
        )
    else:
        described = tuple(
            _output(name, tensor, class_names=class_names) for name, tensor in outputs
        )
    segments = fit(file, task).task == SEGMENTER
    labeled = any(output.labels for output in described)
    return metadata.Metadata(
        name=f"{type(task.backbone).__name__} {type(task).__name__}",
        description=f"{type(task).__name__} into {len(class_names)} classes",
        inputs=tuple(_image(name, tensor) for name, tensor in inputs),
        outputs=described,
        activation=_activation(outputs[0][0], task) if segments else None,
        decoding=detector_files.decoding(file, task.detector),
        labels={metadata.LABELS: tuple(class_names)} if labeled else {},
    )


def summary(found: metadata.Metadata | None) -> str:
    """One line on the metadata of a file."""
    if found is None:
        return "metadata: none"
    parts = [f"metadata: {found.name or 'no name'}"]
    for image in found.inputs:
        fed = ", ".join(
            f"(pixel - {mean:g}) / {std:g}"
            for mean, std in dict.fromkeys(zip(image.mean, image.std, strict=False))
        )
        parts.append(f"input {image.name!r}{f' of {fed}' if fed else ''}")
    for output in found.outputs:
        labels = found.labels.get(output.labels, ())
        few = ", ".join(labels[:3]) + (", ..." if len(labels) > 3 else "")
        told = f", {len(labels)} labels ({few})" if labels else ", no labels"
        parts.append(f"output {output.name!r}{told}")
    if found.activation:
        parts.append(f"activation {found.activation}")
    if found.decoding:
        parts.append(f"{len(found.decoding.anchors)} anchors")
    line = "; ".join(parts)
    return "".join(each if each.isprintable() else "?" for each in line)


def _problems(file: flatbuffer.File) -> list[str]:
    """Why no Task takes a file."""
    problems = []
    images = tuple(file.inputs.values())
    if len(images) != 1 or images[0].dtype not in _READ:
        kinds = ", ".join(tensor.dtype.lower() for tensor in images)
        problems.append(
            f"the input is {kinds}, MediaPipe takes uint8 or float32 "
            "(export.input_type)"
        )
    if detector_files.holds(file):
        return problems + _detector_problems(file)
    if len(file.outputs) != 1:
        problems.append(
            f"there are {len(file.outputs)} outputs ({', '.join(file.outputs)}): no "
            "MediaPipe Task takes them"
        )
        return problems
    ((name, output),) = file.outputs.items()
    if name not in ("logits", "scores"):
        problems.append(
            f"the output is {name!r}, MediaPipe wants the values of all classes "
            "(export.output = 'scores' or 'logits')"
        )
    elif output.dtype not in _READ:
        problems.append(
            f"the output is {output.dtype.lower()}, MediaPipe takes uint8 or float32 "
            "(export.output_type)"
        )
    return problems


def _detector_problems(file: flatbuffer.File) -> list[str]:
    if set(file.outputs) == detector_files.DECODED:
        return [
            "the boxes are decoded and overlap, which no MediaPipe Task takes "
            "(export.output = 'detections' or 'raw')"
        ]
    kinds = {tensor.dtype for tensor in file.outputs.values()}
    if not kinds <= set(_READ):
        named = ", ".join(sorted(kind.lower() for kind in kinds))
        return [
            f"the outputs are {named}, MediaPipe takes uint8 or float32 "
            "(export.output_type)"
        ]
    return []


def _require_lines(class_names: Sequence[str]) -> None:
    for number, name in enumerate(class_names):
        if not name.strip() or len(name.splitlines()) != 1:
            raise failures.RequestError(
                f"class {number} is called {name!r}: a name is a line of labels.txt "
                "and cannot be blank or hold a line break; rename it in the data set"
            )


def _ordered(
    tensors: Mapping[str, flatbuffer.Tensor], indices: Any
) -> list[tuple[str, flatbuffer.Tensor]]:
    """In the order of the graph, which metadata follows; a signature has its own."""
    places = {int(index): place for place, index in enumerate(indices)}
    return sorted(tensors.items(), key=lambda entry: places[entry[1].index])


def _image(name: str, tensor: flatbuffer.Tensor) -> metadata.Image:
    height, width = tensor.shape[1:3]
    mean, std = normalization(tensor)
    return metadata.Image(
        name=name,
        description=f"RGB image, {height} x {width} (height x width)",
        size=(height, width),
        mean=(mean,),
        std=(std,),
    )


def normalization(tensor: flatbuffer.Tensor) -> tuple[float, float]:
    """Mean and deviation by which readers normalize pixels 0..255 for an input.

    By the schema a reader normalizes, then quantizes by the parameters of the tensor:
    of a quantized input these are its parameters, so that the pixel itself is fed.
    Readers that feed uint8 pixels as they are, as MediaPipe does, feed the same.
    """
    shift = 128 if tensor.dtype == "INT8" else 0
    if not tensor.scales:
        return float(shift), 1.0
    return float(tensor.zero_points[0] + shift), 1 / tensor.scales[0]


def _output(
    name: str, tensor: flatbuffer.Tensor, *, class_names: Sequence[str]
) -> metadata.Output:
    pixels = len(tensor.shape) > (1 if name == "class_ids" else 2)
    place = "each pixel" if pixels else "the image"
    if name not in ("logits", "scores"):
        meaning = f"class of {place}" if name == "class_ids" else name
        return metadata.Output(name=name, description=meaning, pixels=pixels)
    classes = tensor.shape[-1]
    if classes != len(class_names):
        raise failures.RequestError(
            f"the data set names {len(class_names)} classes, the output {name!r} tells "
            f"{classes} apart; the file would show wrong labels"
        )
    return metadata.Output(
        name=name,
        description=f"{name} of the classes for {place}",
        labels=metadata.LABELS,
        pixels=pixels,
    )


def _activation(output: str, task: tasks_base.Task) -> str:
    return "none" if output == "scores" else task.score_activation
