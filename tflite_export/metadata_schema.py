"""Tables of TFLite metadata as dictionaries, packed and read with `flatbuffers`.

The public schemas are TensorFlow Lite's metadata_schema.fbs (version 1.5.0) and
MediaPipe's image_segmenter_metadata_schema.fbs and object_detector_metadata_schema.fbs
(both version 1.0.0). Of each table there is what is used here. A field that is absent
is left out, in both directions.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import flatbuffers
from flatbuffers import number_types, table

Record = dict[str, Any]
"""A table: values by the names of its fields. A union is `(name of the table, it)`."""


@dataclasses.dataclass(frozen=True)
class Field:
    """A field of a table.

    Attributes:
        slot: Its place in the table. The type of a union stands in the slot before.
        kind: Of its value.
        of: Table or tables by name; of a union, the table of type 1, 2, ...
    """

    slot: int
    kind: Literal[
        "string",
        "byte",
        "int",
        "float",
        "bytes",
        "ints",
        "floats",
        "strings",
        "one",
        "many",
        "union",
    ]
    of: tuple[str, ...] = ()


TABLES: dict[str, dict[str, Field]] = {
    "ModelMetadata": {
        "name": Field(0, "string"),
        "description": Field(1, "string"),
        "subgraph_metadata": Field(3, "many", ("SubGraphMetadata",)),
        "min_parser_version": Field(7, "string"),
    },
    "SubGraphMetadata": {
        "input_tensor_metadata": Field(2, "many", ("TensorMetadata",)),
        "output_tensor_metadata": Field(3, "many", ("TensorMetadata",)),
        "output_tensor_groups": Field(8, "many", ("TensorGroup",)),
        "custom_metadata": Field(9, "many", ("CustomMetadata",)),
    },
    "TensorGroup": {
        "name": Field(0, "string"),
        "tensor_names": Field(1, "strings"),
    },
    "TensorMetadata": {
        "name": Field(0, "string"),
        "description": Field(1, "string"),
        "content": Field(3, "one", ("Content",)),
        "process_units": Field(4, "many", ("ProcessUnit",)),
        "associated_files": Field(6, "many", ("AssociatedFile",)),
    },
    "Content": {
        "content_properties": Field(
            1,
            "union",
            ("FeatureProperties", "ImageProperties", "BoundingBoxProperties"),
        ),
        "range": Field(2, "one", ("ValueRange",)),
    },
    "FeatureProperties": {},
    "ImageProperties": {
        "color_space": Field(0, "byte"),
        "default_size": Field(1, "one", ("ImageSize",)),
    },
    "BoundingBoxProperties": {
        "index": Field(0, "ints"),
        "type": Field(1, "byte"),
        "coordinate_type": Field(2, "byte"),
    },
    "ImageSize": {"width": Field(0, "int"), "height": Field(1, "int")},
    "ValueRange": {"min": Field(0, "int"), "max": Field(1, "int")},
    "ProcessUnit": {"options": Field(1, "union", ("NormalizationOptions",))},
    "NormalizationOptions": {"mean": Field(0, "floats"), "std": Field(1, "floats")},
    "AssociatedFile": {
        "name": Field(0, "string"),
        "description": Field(1, "string"),
        "type": Field(2, "byte"),
    },
    "CustomMetadata": {"name": Field(0, "string"), "data": Field(1, "bytes")},
    "ImageSegmenterOptions": {
        "activation": Field(0, "byte"),
        "min_parser_version": Field(1, "string"),
    },
    "ObjectDetectorOptions": {
        "min_parser_version": Field(0, "string"),
        "ssd_anchors_options": Field(1, "one", ("SsdAnchorsOptions",)),
        "tensors_decoding_options": Field(2, "one", ("TensorsDecodingOptions",)),
    },
    "SsdAnchorsOptions": {
        "fixed_anchors_schema": Field(0, "one", ("FixedAnchorsSchema",)),
    },
    "FixedAnchorsSchema": {"anchors": Field(0, "many", ("FixedAnchor",))},
    "FixedAnchor": {
        "x_center": Field(0, "float"),
        "y_center": Field(1, "float"),
        "width": Field(2, "float"),
        "height": Field(3, "float"),
    },
    "TensorsDecodingOptions": {
        "num_classes": Field(0, "int"),
        "num_boxes": Field(1, "int"),
        "num_coords": Field(2, "int"),
        "num_values_per_keypoint": Field(5, "int"),
        "x_scale": Field(6, "float"),
        "y_scale": Field(7, "float"),
        "w_scale": Field(8, "float"),
        "h_scale": Field(9, "float"),
        "apply_exponential_on_box_size": Field(10, "byte"),
        "sigmoid_score": Field(11, "byte"),
    },
}

IDENTIFIERS = {
    "ModelMetadata": b"M001",
    "ImageSegmenterOptions": b"V001",
    "ObjectDetectorOptions": b"V001",
}

RGB, GRAYSCALE = 1, 2  # ColorSpaceType
BOUNDARIES = 1  # BoundingBoxType
RATIO = 0  # CoordinateType
TENSOR_AXIS_LABELS, TENSOR_VALUE_LABELS = 2, 3  # AssociatedFileType

# Metadata of a model is some kB. A forged count or offset, and tables that share their
# parts, must not keep the reader busy.
_MOST = 1 << 20


def pack(name: str, record: Mapping[str, Any]) -> bytes:
    """A buffer whose root is the table `name`."""
    builder = flatbuffers.Builder(1024)
    root = _add_table(builder, name, record)
    builder.Finish(root, IDENTIFIERS[name])
    return bytes(builder.Output())


def unpack(name: str, content: bytes) -> Record:
    """The root of a buffer, which may come from anyone.

    Raises:
        ValueError: If it is another buffer, or larger than any metadata.
        LookupError, struct.error, TypeError, ArithmeticError: If it is damaged.
    """
    if content[4:8] != IDENTIFIERS[name]:
        raise ValueError(f"identifier {content[4:8]!r}, want {IDENTIFIERS[name]!r}")
    root = flatbuffers.encode.Get(number_types.UOffsetTFlags.packer_type, content, 0)
    return _Reader(content).table(name, root)


def _add_table(builder: Any, name: str, record: Mapping[str, Any]) -> int:
    fields = TABLES[name]
    # What a table points to has to be in the buffer before it.
    parts = {
        key: _add_part(builder, fields[key], value) for key, value in record.items()
    }
    builder.StartObject(1 + max((field.slot for field in fields.values()), default=0))
    for key, part in parts.items():
        slot = fields[key].slot
        if fields[key].kind == "byte":
            builder.PrependInt8Slot(slot, part, 0)
        elif fields[key].kind == "int":
            builder.PrependInt32Slot(slot, part, 0)
        elif fields[key].kind == "float":
            builder.PrependFloat32Slot(slot, part, 0.0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, part, 0)
        if fields[key].kind == "union":
            type_of = 1 + fields[key].of.index(record[key][0])
            builder.PrependUint8Slot(slot - 1, type_of, 0)
    return builder.EndObject()


def _add_part(builder: Any, field: Field, value: Any) -> int:
    """Adds what stands outside of the table; gives the offset, or a plain number."""
    if field.kind in ("byte", "int", "float"):
        return value
    if field.kind == "string":
        return builder.CreateString(value)
    if field.kind == "one":
        return _add_table(builder, field.of[0], value)
    if field.kind == "union":
        return _add_table(builder, *value)
    if field.kind == "bytes":
        # The schema aligns the data of custom metadata to 16 bytes.
        return _add_vector(builder, value, size=1, align=16, put=builder.PrependByte)
    if field.kind == "floats":
        return _add_vector(builder, value, size=4, align=4, put=builder.PrependFloat32)
    if field.kind == "ints":
        return _add_vector(builder, value, size=4, align=4, put=builder.PrependUint32)
    if field.kind == "strings":
        offsets = [builder.CreateString(each) for each in value]
    else:
        offsets = [_add_table(builder, field.of[0], each) for each in value]
    put = builder.PrependUOffsetTRelative
    return _add_vector(builder, offsets, size=4, align=4, put=put)


def _add_vector(
    builder: Any, values: Any, *, size: int, align: int, put: Callable[[Any], None]
) -> int:
    builder.StartVector(size, len(values), align)
    for value in reversed(values):
        put(value)
    return builder.EndVector()


class _Reader:
    """Reads tables of one buffer, and no more than any metadata has of them."""

    def __init__(self, content: bytes):
        self._content = content
        self._left = _MOST

    def table(self, name: str, position: int) -> Record:
        self._spend(16)
        view = table.Table(self._content, position)
        record: Record = {}
        for key, field in TABLES[name].items():
            offset = view.Offset(4 + 2 * field.slot)
            if offset:
                value = self._value(view, field, position + offset)
                if value is not None:
                    record[key] = value
        return record

    def _value(self, view: Any, field: Field, at: int) -> Any:
        if field.kind == "byte":
            return view.Get(number_types.Int8Flags, at)
        if field.kind == "int":
            return view.Get(number_types.Int32Flags, at)
        if field.kind == "float":
            return view.Get(number_types.Float32Flags, at)
        if field.kind == "one":
            return self.table(field.of[0], view.Indirect(at))
        if field.kind == "union":
            return self._union(view, field, at)
        if field.kind == "string":
            return self._string(view, at)
        start, count = self._vector(view, at)
        if field.kind == "bytes":
            return bytes(self._within(start, count))
        places = range(start, start + 4 * count, 4)
        if field.kind in ("floats", "ints"):
            self._within(start, 4 * count)
            flags = {
                "floats": number_types.Float32Flags,
                "ints": number_types.Uint32Flags,
            }[field.kind]
            return tuple(view.Get(flags, place) for place in places)
        if field.kind == "strings":
            return tuple(self._string(view, place) for place in places)
        return [self.table(field.of[0], view.Indirect(place)) for place in places]

    def _union(self, view: Any, field: Field, at: int) -> tuple[str, Record] | None:
        """None for a type that is not among those read here."""
        offset = view.Offset(4 + 2 * (field.slot - 1))
        type_of = view.Get(number_types.Uint8Flags, view.Pos + offset) if offset else 0
        if not 1 <= type_of <= len(field.of):
            return None
        name = field.of[type_of - 1]
        return name, self.table(name, view.Indirect(at))

    def _vector(self, view: Any, at: int) -> tuple[int, int]:
        """Where its values start, and how many there are."""
        start = view.Indirect(at)
        count = view.Get(number_types.UOffsetTFlags, start)
        self._spend(count)
        return start + 4, count

    def _string(self, view: Any, at: int) -> str:
        start, count = self._vector(view, at)
        return bytes(self._within(start, count)).decode(errors="replace")

    def _within(self, start: int, size: int) -> bytes:
        found = self._content[start : start + size]
        if len(found) != size:
            raise ValueError(f"{size} bytes at {start} of {len(self._content)}")
        return found

    def _spend(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise ValueError("more than any metadata has")
