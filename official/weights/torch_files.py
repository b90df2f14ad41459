"""Weight files of PyTorch, read without it."""

import collections
import dataclasses
import io
import pathlib
import pickle
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Literal

import numpy as np
import safetensors

from official import failures

SUFFIXES = (".safetensors", ".pth", ".pt")

_Order = Literal["little", "big"]

Tensors = dict[str, np.ndarray]
"""By name, in the order and axes of PyTorch."""

# Marks the stream format that torch.save wrote before 1.6.
_STREAM_MAGIC = 0x1950A86A20F9469CFC6C
_BFLOAT16 = "bfloat16"
_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": _BFLOAT16,
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


def read(file: pathlib.Path) -> Tensors:
    """Tensors of a state dict; bfloat16 becomes float32.

    Understands `.safetensors` and what `torch.save` writes. Nothing in a file is ever
    executed: a pickle may name the few things that a state dict is made of.

    Raises:
        RequestError: If it is something else, damaged, or names anything else.
    """
    try:
        if file.suffix == ".safetensors":
            return _safetensors(file)
        return _state_dict(_saved(file), file)
    except (
        safetensors.SafetensorError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        ValueError,
        KeyError,
        IndexError,
        EOFError,
        TypeError,
        AttributeError,
    ) as error:
        if isinstance(error, failures.Failure):
            raise
        raise failures.RequestError(
            f"{file}: not a readable PyTorch file ({_line(error)})"
        ) from error


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _safetensors(file: pathlib.Path) -> Tensors:
    tensors = {}
    # The library's own numpy loader does not know bfloat16.
    for name, entry in safetensors.deserialize(file.read_bytes()):
        kind = {"BF16": _BFLOAT16, "BOOL": "bool"}.get(entry["dtype"])
        letter, bits = entry["dtype"][0], entry["dtype"][1:]
        kind = kind or f"{letter.lower()}{int(bits) // 8}"
        tensors[name] = _array(entry["data"], kind).reshape(entry["shape"])
    return tensors


def _array(data: bytes, kind: str, order: _Order = "little") -> np.ndarray:
    """Numbers of a flat buffer."""
    if kind == _BFLOAT16:
        halves = np.frombuffer(data, np.dtype("uint16").newbyteorder(order))
        return (halves.astype(np.uint32) << 16).view(np.float32)
    numbers = np.frombuffer(data, np.dtype(kind).newbyteorder(order))
    return numbers.astype(np.dtype(kind))


def _saved(file: pathlib.Path) -> Any:
    """What `torch.save` was given."""
    if zipfile.is_zipfile(file):
        return _from_zip(file)
    if tarfile.is_tarfile(file):
        raise failures.RequestError(
            f"{file}: in the tar format of PyTorch before 0.1.10; load it there and "
            "save it anew"
        )
    with file.open("rb") as content:
        return _from_stream(content)


def _from_zip(file: pathlib.Path) -> Any:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        pickled = next((n for n in names if n.endswith("/data.pkl")), None)
        if pickled is None:
            raise ValueError("an archive without data.pkl")
        if any(name.endswith("/constants.pkl") for name in names):
            raise ValueError("a TorchScript program, not a state dict")
        folder = pickled.removesuffix("data.pkl")
        order: _Order = "little"
        if f"{folder}byteorder" in names:
            big = archive.read(f"{folder}byteorder").strip() == b"big"
            order = "big" if big else "little"

        def storage(kind: str, key: str, count: int) -> np.ndarray:
            del count
            return _array(archive.read(f"{folder}data/{key}"), kind, order)

        return _Unpickler(io.BytesIO(archive.read(pickled)), storage).load()


def _from_stream(content: BinaryIO) -> Any:
    """The format before PyTorch 1.6: pickles, then the storages one after the other."""
    storages: dict[str, np.ndarray] = {}
    kinds: dict[str, str] = {}

    def storage(kind: str, key: str, count: int) -> np.ndarray:
        kinds[key] = kind
        return storages.setdefault(key, np.zeros(count, _in_memory(kind)))

    def load() -> Any:
        return _Unpickler(content, storage).load()

    if load() != _STREAM_MAGIC:
        raise ValueError("not a file of torch.save")
    load()  # version of the protocol
    order: _Order = "little" if load().get("little_endian", True) else "big"
    saved = load()
    for key in load():
        target = storages[key]
        if int.from_bytes(content.read(8), order) != target.size:
            raise ValueError(f"storage {key} has another size than its tensors")
        width = 2 if kinds[key] == _BFLOAT16 else target.itemsize
        # In place: the tensors are views of their storages.
        target[:] = _array(content.read(target.size * width), kinds[key], order)
    return saved


def _in_memory(kind: str) -> str:
    return "float32" if kind == _BFLOAT16 else kind


@dataclasses.dataclass(frozen=True)
class _StorageType:
    kind: str


class _Unpickler(pickle.Unpickler):
    """Builds state dicts and nothing else.

    Args:
        storage: Gives the flat array of a storage, by kind, key and count.
    """

    def __init__(
        self, content: BinaryIO, storage: Callable[[str, str, int], np.ndarray]
    ) -> None:
        super().__init__(content, encoding="utf-8")
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_tensor"): _tensor,
            ("torch._utils", "_rebuild_parameter"): _parameter,
        }
        if module == "torch" and name in _STORAGES:
            return _StorageType(_STORAGES[name])
        if (module, name) in known:
            return known[module, name]
        raise pickle.UnpicklingError(
            f"it names {module}.{name}, which no state dict needs; load it in PyTorch "
            "if you trust it, and save model.state_dict()"
        )

    def persistent_load(self, pid: Any) -> np.ndarray:
        tag, storage_type, key, _, count = pid[:5]
        if tag != "storage":
            raise pickle.UnpicklingError(f"unknown kind of reference {tag!r}")
        return self._storage(storage_type.kind, key, count)


def _tensor(
    storage: np.ndarray,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    *metadata: Any,
) -> np.ndarray:
    """A view of a storage; whether it needs gradients and hooks is left out."""
    del metadata
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min(offset, *stride, 0) < 0 or (0 not in size and last >= storage.size):
        raise ValueError("a tensor reaches outside its storage")
    return np.lib.stride_tricks.as_strided(
        storage[offset:],
        shape=size,
        strides=[step * storage.itemsize for step in stride],
        writeable=False,
    )


def _parameter(data: np.ndarray, *metadata: Any) -> np.ndarray:
    del metadata
    return data


def _state_dict(saved: Any, file: pathlib.Path) -> Tensors:
    """The tensors, also where a checkpoint holds them among other things."""
    while isinstance(saved, Mapping):
        inner = next(
            (k for k in ("state_dict_ema", "state_dict", "model") if k in saved), None
        )
        if inner is None:
            break
        saved = saved[inner]
    tensors = {
        str(name).removeprefix("module."): value
        for name, value in (saved.items() if isinstance(saved, Mapping) else ())
        if isinstance(value, np.ndarray)
    }
    if not tensors:
        raise failures.RequestError(
            f"{file}: holds no state dict; save model.state_dict()"
        )
    return tensors
