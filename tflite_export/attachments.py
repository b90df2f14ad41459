"""What is put into a .tflite file besides its graph: a named buffer, and files.

A model's `metadata` names buffers. Files are a zip archive behind the model, not
compressed, as readers expect it.
"""

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

# What is larger is not a list of names, and no model has many.
_MOST_BYTES = 1 << 22
_MOST_FILES = 16
_MOST_ENTRIES = 100

DAMAGE = (
    EOFError,
    LookupError,
    NotImplementedError,  # a method of compression that there is not
    OSError,
    RuntimeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What `zipfile` raises of an archive that is absent, or whose offsets or names
are forged."""


def attach(
    content: bytes, *, name: str, buffer: bytes, files: Mapping[str, bytes]
) -> bytes:
    """The model with a buffer of that name, and with files behind it.

    All bytes of the model stay as they are, in their order and on their alignment: in
    front of them is put a new root, which points into them.

    Args:
        content: A model as the converter writes it.

    Raises:
        ValueError: If it has such a buffer, or weights outside of its flatbuffer.
    """
    content += bytes(-len(content) % 16)
    model = schema.Model.GetRootAs(content)
    _require_plain(model, name)
    builder = flatbuffers.Builder(len(content) + 2 * len(buffer) + 4096)
    builder.CreateByteVector(content)
    old = _Old(model, len(content))
    buffers = [old.table(model.Buffers(i)) for i in range(model.BuffersLength())]
    entries = [old.table(model.Metadata(i)) for i in range(model.MetadataLength())]
    buffers.append(_add_buffer(builder, buffer))
    entries.append(_add_entry(builder, name, index=len(buffers) - 1))
    root = _add_root(builder, old, buffers, entries)
    builder.Finish(root, b"TFL3")
    return _with_files(bytes(builder.Output()), files)


def buffer(content: bytes, name: str) -> bytes | None:
    """The buffer of a name in a model, which may come from anyone.

    Raises:
        LookupError, struct.error, TypeError, ValueError: If the model is damaged.
    """
    model = schema.Model.GetRootAs(content)
    for number in range(min(model.MetadataLength(), _MOST_ENTRIES)):
        entry = model.Metadata(number)
        if entry.Name() == name.encode():
            found = model.Buffers(entry.Buffer())
            return found.DataAsNumpy().tobytes() if found.DataLength() else b""
    return None


def files(content: bytes, names: Sequence[str]) -> dict[str, bytes]:
    """Files of these names behind a model, which may come from anyone.

    Raises:
        One of `DAMAGE`: If they are many or large, one is not there, or the archive is
            damaged or absent.
    """
    if not names:
        return {}
    if len(names) > _MOST_FILES:
        raise ValueError(f"{len(names)} files")
    found = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in names:
            with archive.open(name) as file:
                found[name] = file.read(_MOST_BYTES + 1)
            if len(found[name]) > _MOST_BYTES:
                raise ValueError(f"{name} has more than {_MOST_BYTES} bytes")
    return found


def texts(content: bytes) -> list[bytes]:
    """What is behind a model, which may come from anyone, under names in ".txt".

    Of many the first; what is large is left out.

    Raises:
        One of `DAMAGE`: If the archive is damaged or absent.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = [x for x in archive.infolist() if x.filename.lower().endswith(".txt")]
        found = []
        for entry in entries[:_MOST_FILES]:
            if entry.file_size <= _MOST_BYTES:
                # The size that an entry claims is forged in a bomb: no more is read.
                with archive.open(entry) as file:
                    found.append(file.read(_MOST_BYTES))
    return found


class _Old:
    """Offsets, as a builder counts them, of what the builder was begun with."""

    def __init__(self, model: Any, length: int):
        self._view = model._tab
        self._length = length

    def table(self, entry: Any) -> int:
        return self._length - entry._tab.Pos

    def field(self, slot: int) -> int:
        """What a field of the model points to, 0 if it has none."""
        offset = self._view.Offset(4 + 2 * slot)
        if not offset:
            return 0
        return self._length - self._view.Indirect(self._view.Pos + offset)


def _require_plain(model: Any, name: str) -> None:
    names = [model.Metadata(i).Name() for i in range(model.MetadataLength())]
    if name.encode() in names:
        raise ValueError(f"the model has a buffer {name!r} already")
    if any(model.Buffers(i).Offset() > 1 for i in range(model.BuffersLength())):
        raise ValueError("a model with weights outside of its flatbuffer")


def _add_buffer(builder: Any, data: bytes) -> int:
    # The schema wants 16; so the model behind it, of a size that 16 divides, stays on
    # its alignment, too.
    builder.StartVector(1, len(data), 16)
    for value in reversed(data):
        builder.PrependByte(value)
    vector = builder.EndVector()
    schema.BufferStart(builder)
    schema.BufferAddData(builder, vector)
    return schema.BufferEnd(builder)


def _add_entry(builder: Any, name: str, *, index: int) -> int:
    text = builder.CreateString(name)
    schema.MetadataStart(builder)
    schema.MetadataAddName(builder, text)
    schema.MetadataAddBuffer(builder, index)
    return schema.MetadataEnd(builder)


def _add_root(builder: Any, old: _Old, buffers: list[int], entries: list[int]) -> int:
    vectors = []
    for offsets in (buffers, entries):
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        vectors.append(builder.EndVector())
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    schema.ModelAddOperatorCodes(builder, old.field(1))
    schema.ModelAddSubgraphs(builder, old.field(2))
    schema.ModelAddDescription(builder, old.field(3))
    schema.ModelAddBuffers(builder, vectors[0])
    schema.ModelAddMetadataBuffer(builder, old.field(5))
    schema.ModelAddMetadata(builder, vectors[1])
    schema.ModelAddSignatureDefs(builder, old.field(7))
    return schema.ModelEnd(builder)


def _with_files(content: bytes, files: Mapping[str, bytes]) -> bytes:
    if not files:
        return content
    # Zeros stand for the model, as its weights might look like the end of an archive.
    stream = io.BytesIO(bytes(len(content)))
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return content + stream.getvalue()[len(content) :]
