"""The tables of a .tflite file, taken apart to be changed and put together again.

`flatbuffer` reads; this is for files that are written anew.
"""

from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

# By the schema the data of a buffer begins at a multiple of this. The generated code,
# which calls the method below, does not know.
_ALIGNMENT = 16


class _Builder(flatbuffers.Builder):
    def StartVector(self, size: int, count: int, alignment: int) -> Any:
        if size == 1:
            alignment = _ALIGNMENT
        return super().StartVector(size, count, alignment)


def unpacked(content: bytes) -> Any:
    """The model as a `ModelT` of the schema; what is attached to the file is not in it.

    A file from anyone is to be run first (`probe`): LiteRT verifies its offsets.
    """
    # Not to be aliased: the object API gives views of what it reads.
    return schema.ModelT.InitFromPackedBuf(bytearray(content), 0)


def packed(model: Any) -> bytes:
    """The file of a `ModelT`."""
    builder = _Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def named(name: str, index: int) -> Any:
    """An input or output of a signature.

    Args:
        index: Of the tensor.
    """
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, index
    return entry


def text(name: bytes | str) -> str:
    """A name as the object API gives it, or as it was set."""
    return name.decode(errors="replace") if isinstance(name, bytes) else name
