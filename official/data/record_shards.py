"""Data sets kept in a few large files, for disks and networks that dislike many."""

import dataclasses
import functools
import os
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, overload

import numpy as np

from official import failures
from official.data import base, indexed, record_examples, record_index


class Record(NamedTuple):
    """Where the content of record `number` of a file is, its length and CRC-32."""

    file: str
    number: int
    place: int
    size: int
    checksum: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordShards(indexed.IndexedDataset):
    """What `scripts/shard_dataset.py` wrote: TFRecord files with an index.

    Serves the examples of the data set that was written, in its order, under the names
    of its splits, with its classes and colors. An example is read by its place in a
    file: the orders of training are those of the data set itself, training goes on at
    any position, and each of several hosts reads its own examples and no others.

    Attributes:
        data_dir: Folder of the shards; may be a path of `tf.io.gfile`, such as gs://...
    """

    data_dir: str

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(_any(self).class_names)

    @property
    def palette(self) -> Sequence[base.Color]:
        return [(red, green, blue) for red, green, blue in _any(self).palette]

    @property
    def thing_ids(self) -> tuple[int, ...]:
        return tuple(_any(self).thing_ids)

    def records(self, split: str) -> "Records":
        index = _index(self, split)
        return Records.of(record_index.shards(_folder(self), index))

    def read(self, record: Record) -> dict[str, Any]:
        data = record_index.part(record.file, record.place, record.size)
        name = f"{record.file}: record {record.number}"
        if zlib.crc32(data) != record.checksum:
            raise failures.DataError(
                f"{name} is damaged (its checksum is another): copy the file again, or "
                "give the command that wrote it once more: it keeps the shards that "
                "are whole"
            )
        return record_examples.from_bytes(data, name=name)

    def image_numbers(self, split: str) -> Mapping[str, int | str]:
        return _index(self, split).image_numbers

    def category_ids(self, split: str) -> Sequence[int]:
        return _index(self, split).category_ids


@functools.lru_cache(maxsize=16)
def _index(dataset: RecordShards, split: str) -> record_index.Index:
    return record_index.read(_folder(dataset), split)


@functools.lru_cache(maxsize=16)
def _any(dataset: RecordShards) -> record_index.Index:
    """That of a split; classes are those of all."""
    return _index(dataset, record_index.splits(_folder(dataset))[0])


def _folder(dataset: RecordShards) -> str:
    return os.path.expanduser(dataset.data_dir).rstrip("/") or "/"


class Records(Sequence[Record]):
    """The records of a split, as arrays: there may be millions."""

    def __init__(self, files: Sequence[str], table: Mapping[str, np.ndarray]):
        self._files = files
        self._table = table

    @classmethod
    def of(cls, shards: Sequence[tuple[str, record_index.Shard]]) -> "Records":
        """All records of some shards."""
        counts = [len(shard.sizes) for _, shard in shards]

        def joined(parts: list[Any], dtype: type) -> np.ndarray:
            return np.concatenate([np.array(part, dtype) for part in parts])

        columns = {
            "file": np.repeat(np.arange(len(shards)), counts),
            "number": joined([range(count) for count in counts], np.int64),
            "place": joined([shard.places() for _, shard in shards], np.int64),
            "size": joined([shard.sizes for _, shard in shards], np.int64),
            "checksum": joined([shard.checksums for _, shard in shards], np.int64),
        }
        return cls([file for file, _ in shards], columns)

    def __len__(self) -> int:
        return len(self._table["size"])

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> "Records": ...

    def __getitem__(self, index: int | slice) -> "Record | Records":
        found = {key: column[index] for key, column in self._table.items()}
        if isinstance(index, slice):
            return Records(self._files, found)
        whole = {key: int(value) for key, value in found.items()}
        return Record(self._files[whole.pop("file")], **whole)
