"""TFLite metadata: what a file says of itself to Android Studio and MediaPipe Tasks.

A model holds it in a buffer of the name "TFLITE_METADATA", and the labels in a file
that is attached to it.
"""

import dataclasses
import pathlib
import struct
from collections.abc import Mapping

from official import failures
from tflite_export import attachments, metadata_schema

LABELS = "labels.txt"
ACTIVATIONS = ("none", "sigmoid", "softmax")

Record = metadata_schema.Record

_NONE: tuple[str, Record] = ("", {})

_BUFFER = "TFLITE_METADATA"
_SEGMENTER = "SEGMENTER_METADATA"
_DETECTOR = "DETECTOR_METADATA"
_GROUP = "detection_result"

# The schema's version that first had all that is used: custom metadata came with 1.5.
_PARSER = "1.5.0"
_CUSTOM_PARSER = "1.0.0"

# Of ymin, xmin, ymax, xmax: where left, top, right and bottom stand.
_CORNERS = (1, 0, 3, 2)

# What reading forged bytes can raise.
_DAMAGE = (
    struct.error,
    ArithmeticError,
    AttributeError,
    MemoryError,
    TypeError,
    *attachments.DAMAGE,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Image:
    """An input.

    Attributes:
        name: What the reader calls it.
        description: For people.
        size: Height and width.
        mean: A pixel 0..255 less this,
        std: by this, is what is fed or, if the input is quantized, then quantized.
    """

    name: str
    description: str = ""
    size: tuple[int, int] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
    """An output.

    Attributes:
        name: What the reader calls it.
        description: For people.
        labels: Name of the packed file with a label for each place of the last axis,
        ids: or for each value: it holds class ids.
        pixels: It has values for places of the image, not for the image.
        boxes: It holds ymin, xmin, ymax, xmax, in shares of the image's sides.
        entries: It has a value for each of the detected objects.
    """

    name: str
    description: str = ""
    labels: str = ""
    ids: bool = False
    pixels: bool = False
    boxes: bool = False
    entries: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decoding:
    """How the reader of a detector has to decode boxes.

    Attributes:
        classes: That there are scores of, 0..1.
        anchors: y and x of the center, height, width, in shares of the image's sides.
        scales: What ty, tx, th, tw are divided by; th and tw are logarithms.
    """

    classes: int
    anchors: tuple[tuple[float, float, float, float], ...]
    scales: tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metadata:
    """Of a file.

    Attributes:
        name: Of the model.
        description: For people.
        inputs: In the order of the graph.
        outputs: Likewise.
        activation: One of `ACTIVATIONS`, that the reader of a segmentation has to apply
            to get scores; None for other models.
        decoding: That the reader of a detection has to do; None for other models.
        labels: Lines of the label files, by name of the file.
    """

    name: str
    description: str = ""
    inputs: tuple[Image, ...]
    outputs: tuple[Output, ...]
    activation: str | None = None
    decoding: Decoding | None = None
    labels: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


def attach(content: bytes, metadata: Metadata) -> bytes:
    """A model, as the converter writes it, that says so of itself.

    Raises:
        ValueError: If it has metadata already.
    """
    return attachments.attach(
        content,
        name=_BUFFER,
        buffer=metadata_schema.pack("ModelMetadata", _record(metadata)),
        files={name: _text(lines) for name, lines in metadata.labels.items()},
    )


def read(path: pathlib.Path) -> Metadata | None:
    """The metadata of a file, which may come from anyone; None if it has none.

    Raises:
        RequestError: If it cannot be read, or its metadata is damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise failures.RequestError(f"{path}: cannot be read: {reason}") from error
    return parse(content, path)


def parse(content: bytes, path: pathlib.Path) -> Metadata | None:
    """As `read`, of bytes already in memory; `path` names them in errors."""
    try:
        packed = attachments.buffer(content, _BUFFER)
        if packed is None:
            return None
        record = metadata_schema.unpack("ModelMetadata", packed)
        return _metadata(record, content)
    except _DAMAGE as error:
        raise failures.RequestError(
            f"{path}: damaged TFLite metadata ({type(error).__name__}: "
            f"{str(error)[:100]}); export or download it again"
        ) from error


def _text(lines: tuple[str, ...]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _record(metadata: Metadata) -> Record:
    graph: Record = {
        "input_tensor_metadata": [_image_record(image) for image in metadata.inputs],
        "output_tensor_metadata": [_output_record(each) for each in metadata.outputs],
    }
    if metadata.activation is not None:
        options = {
            "activation": ACTIVATIONS.index(metadata.activation),
            "min_parser_version": _CUSTOM_PARSER,
        }
        data = metadata_schema.pack("ImageSegmenterOptions", options)
        graph["custom_metadata"] = [{"name": _SEGMENTER, "data": data}]
    if metadata.decoding is not None:
        data = metadata_schema.pack(
            "ObjectDetectorOptions", _decoding_record(metadata.decoding)
        )
        graph["custom_metadata"] = [{"name": _DETECTOR, "data": data}]
    grouped = [output.name for output in metadata.outputs if output.entries]
    if grouped:
        graph["output_tensor_groups"] = [{"name": _GROUP, "tensor_names": grouped}]
    return {
        "name": metadata.name,
        "description": metadata.description,
        "subgraph_metadata": [graph],
        "min_parser_version": _PARSER,
    }


def _decoding_record(decoding: Decoding) -> Record:
    y_scale, x_scale, h_scale, w_scale = decoding.scales
    anchors = [
        {"x_center": x, "y_center": y, "width": width, "height": height}
        for y, x, height, width in decoding.anchors
    ]
    return {
        "min_parser_version": _CUSTOM_PARSER,
        "ssd_anchors_options": {"fixed_anchors_schema": {"anchors": anchors}},
        "tensors_decoding_options": {
            "num_classes": decoding.classes,
            "num_boxes": len(anchors),
            "num_coords": 4,
            "num_values_per_keypoint": 2,  # MediaPipe ends the process without it
            "x_scale": x_scale,
            "y_scale": y_scale,
            "w_scale": w_scale,
            "h_scale": h_scale,
            "apply_exponential_on_box_size": 1,
            "sigmoid_score": 0,
        },
    }


def _image_record(image: Image) -> Record:
    properties: Record = {"color_space": metadata_schema.RGB}
    if image.size:
        height, width = image.size
        properties["default_size"] = {"width": width, "height": height}
    record: Record = {
        "name": image.name,
        "description": image.description,
        "content": {"content_properties": ("ImageProperties", properties)},
    }
    if image.std:
        options = {"mean": image.mean, "std": image.std}
        record["process_units"] = [{"options": ("NormalizationOptions", options)}]
    return record


def _output_record(output: Output) -> Record:
    content: Record = {"content_properties": ("FeatureProperties", {})}
    if output.pixels:
        properties = {"color_space": metadata_schema.GRAYSCALE}
        content = {
            "content_properties": ("ImageProperties", properties),
            "range": {"min": 1, "max": 2},
        }
    if output.boxes:
        corners = {
            "index": _CORNERS,
            "type": metadata_schema.BOUNDARIES,
            "coordinate_type": metadata_schema.RATIO,
        }
        content = {"content_properties": ("BoundingBoxProperties", corners)}
    if output.entries:
        content["range"] = {"min": 2, "max": 2}
    record: Record = {
        "name": output.name,
        "description": output.description,
        "content": content,
    }
    if output.labels:
        record["associated_files"] = [
            {
                "name": output.labels,
                "description": "the name of a class a line",
                "type": metadata_schema.TENSOR_VALUE_LABELS
                if output.ids
                else metadata_schema.TENSOR_AXIS_LABELS,
            }
        ]
    return record


def _metadata(record: Record, content: bytes) -> Metadata:
    graphs: list[Record] = record.get("subgraph_metadata", [])
    graph = graphs[0] if graphs else {}
    outputs = tuple(_output(each) for each in graph.get("output_tensor_metadata", []))
    names = tuple(dict.fromkeys(output.labels for output in outputs if output.labels))
    labels = attachments.files(content, names)
    return Metadata(
        name=record.get("name", ""),
        description=record.get("description", ""),
        inputs=tuple(_image(each) for each in graph.get("input_tensor_metadata", [])),
        outputs=outputs,
        activation=_activation(graph.get("custom_metadata", [])),
        decoding=_decoding(graph.get("custom_metadata", [])),
        labels={name: _lines(text) for name, text in labels.items()},
    )


def _image(record: Record) -> Image:
    units = [unit["options"] for unit in record.get("process_units", []) if unit]
    normalization: Record = units[0][1] if units else {}
    properties: Record = record.get("content", {}).get("content_properties", _NONE)[1]
    size = properties.get("default_size")
    return Image(
        name=record.get("name", ""),
        description=record.get("description", ""),
        size=(size.get("height", 0), size.get("width", 0)) if size else None,
        mean=normalization.get("mean", ()),
        std=normalization.get("std", ()),
    )


def _output(record: Record) -> Output:
    kinds = (metadata_schema.TENSOR_AXIS_LABELS, metadata_schema.TENSOR_VALUE_LABELS)
    labels = [
        (file.get("name", ""), file["type"] == metadata_schema.TENSOR_VALUE_LABELS)
        for file in record.get("associated_files", [])
        if file.get("type") in kinds
    ]
    file, ids = next(iter(labels), ("", False))
    content = record.get("content", {})
    properties = content.get("content_properties", _NONE)[0]
    return Output(
        name=record.get("name", ""),
        description=record.get("description", ""),
        labels=file,
        ids=ids,
        pixels=properties == "ImageProperties",
        boxes=properties == "BoundingBoxProperties",
        entries=content.get("range", {}).get("min") == 2,
    )


def _activation(custom: list[Record]) -> str | None:
    data = [each.get("data", b"") for each in custom if each.get("name") == _SEGMENTER]
    if not data:
        return None
    options = metadata_schema.unpack("ImageSegmenterOptions", data[0])
    number = options.get("activation", 0)
    if not 0 <= number < len(ACTIVATIONS):
        raise ValueError(f"activation {number}")
    return ACTIVATIONS[number]


def _decoding(custom: list[Record]) -> Decoding | None:
    data = [each.get("data", b"") for each in custom if each.get("name") == _DETECTOR]
    if not data:
        return None
    options = metadata_schema.unpack("ObjectDetectorOptions", data[0])
    schema = options.get("ssd_anchors_options", {}).get("fixed_anchors_schema", {})
    told = options.get("tensors_decoding_options", {})
    names = ("y_center", "x_center", "height", "width")
    return Decoding(
        classes=told.get("num_classes", 0),
        anchors=tuple(
            tuple(anchor.get(name, 0.0) for name in names)  # type: ignore[misc]
            for anchor in schema.get("anchors", [])
        ),
        scales=tuple(told.get(f"{axis}_scale", 0.0) for axis in "yxhw"),  # type: ignore[arg-type]
    )


def _lines(text: bytes) -> tuple[str, ...]:
    return tuple(text.decode().removesuffix("\n").split("\n"))
