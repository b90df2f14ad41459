"""What stands in the files beside TFRecord shards: how many, where, and checksums.

`SPLIT.json` is written last and says what the split is; `NAME.tfrecord.json` says of
each record of a shard how long it is, and its CRC-32.
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from official import atomic, failures
from official.data import base

SUFFIX = ".tfrecord"
_BEFORE, _AFTER = 12, 4  # bytes of a TFRecord around its content: length, checksums
_JSON = ".json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shard:
    """A file of records.

    Attributes:
        source: Tells what it was written from from other things.
        sha256: Of the file.
        sizes: Bytes of each record.
        checksums: CRC-32 of each record.
    """

    source: str
    sha256: str
    sizes: Sequence[int]
    checksums: Sequence[int]

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return sum(self.sizes) + (_BEFORE + _AFTER) * len(self.sizes)

    def places(self) -> np.ndarray:
        """Where the content of each record begins."""
        ends = np.cumsum(np.array(self.sizes, np.int64) + _BEFORE + _AFTER)
        return ends - np.array(self.sizes, np.int64) - _AFTER

    def save(self, file: pathlib.Path) -> None:
        """Beside the file of records."""
        atomic.write(pathlib.Path(f"{file}{_JSON}"), json.dumps(vars(self)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Index:
    """A split.

    Attributes:
        source: As that of each shard.
        dataset: What was written, for people to read.
        class_names: Of the data set.
        palette: Of the data set.
        thing_ids: Of the data set.
        image_numbers: Of the data set and split.
        category_ids: Of the data set and split.
        examples: How many there are.
        shards: Name, examples, bytes and SHA-256 of each file.
    """

    source: str
    dataset: str
    class_names: Sequence[str]
    palette: Sequence[base.Color]
    thing_ids: Sequence[int]
    image_numbers: dict[str, int | str]
    category_ids: Sequence[int]
    examples: int
    shards: Sequence[dict[str, Any]]

    def save(self, folder: pathlib.Path, split: str) -> None:
        atomic.write(folder / f"{split}{_JSON}", json.dumps(vars(self)))


def name(split: str, number: int, shards: int) -> str:
    """Of a file of records."""
    return f"{split}-{number:05d}-of-{shards:05d}{SUFFIX}"


def kept(file: pathlib.Path, source: str) -> Shard | None:
    """What stands beside a shard, if it is whole and of a source.

    Every byte of the shard is read.
    """
    beside = pathlib.Path(f"{file}{_JSON}")
    if not (file.exists() and beside.exists()):
        return None
    try:
        shard = Shard(**json.loads(beside.read_text()))
    except (ValueError, TypeError):
        return None
    if shard.source != source or digest(file) != shard.sha256:
        return None
    return shard


def digest(file: pathlib.Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def splits(data_dir: str) -> tuple[str, ...]:
    """Names of the splits in a folder, at least one.

    Raises:
        failures.DataError: If there is none.
    """
    import tensorflow as tf

    try:
        files = tf.io.gfile.listdir(data_dir)
    except tf.errors.OpError:
        files = []
    ends = (_JSON, f"{SUFFIX}{_JSON}")
    found = [f for f in files if f.endswith(ends[0]) and not f.endswith(ends[1])]
    if not found:
        begun = any(file.endswith(SUFFIX) for file in files)
        raise failures.DataError(
            f"{data_dir} holds "
            + ("shards whose writing has not ended" if begun else "no shards")
            + "; write them with scripts/shard_dataset.py --experiment=NAME "
            f"--split=train --shards=N --out={data_dir}"
            + (", which goes on where it stopped" if begun else "")
        )
    return tuple(sorted(file.removesuffix(_JSON) for file in found))


def read(data_dir: str, split: str) -> Index:
    """The index of a split.

    Raises:
        failures.DataError: If there is none, or it is damaged.
    """
    known = splits(data_dir)
    if split not in known:
        raise failures.DataError(
            f"{data_dir} has no split {split!r}; it has {', '.join(known)}"
        )
    return _parsed(Index, f"{data_dir}/{split}{_JSON}")


def shards(data_dir: str, index: Index) -> list[tuple[str, Shard]]:
    """The files of a split and what stands beside each; their sizes are looked at.

    Raises:
        failures.DataError: If one is missing or damaged.
    """
    import tensorflow as tf

    found = []
    for entry in index.shards:
        file = f"{data_dir}/{entry['file']}"
        shard = _parsed(Shard, f"{file}{_JSON}")
        try:
            size = tf.io.gfile.stat(file).length
        except tf.errors.OpError as error:
            raise _damaged(file, "is missing or cannot be read") from error
        if size != entry["bytes"] or size != shard.size:
            raise _damaged(file, f"has {size} bytes, not {entry['bytes']}")
        if shard.sha256 != entry["sha256"] or shard.source != index.source:
            raise _damaged(file, f"is not the one of {data_dir}'s index")
        found.append((file, shard))
    return found


def part(file: str, place: int, size: int) -> bytes:
    """Bytes of a file from a place on; fewer where it ends.

    Raises:
        failures.DataError: If it cannot be read.
    """
    import tensorflow as tf

    try:
        if "://" not in file:  # several times as fast
            with open(file, "rb") as content:
                content.seek(place)
                return content.read(size)
        with tf.io.gfile.GFile(file, "rb") as content:
            content.seek(place)
            return content.read(size)
    except (OSError, tf.errors.OpError) as error:
        raise _damaged(file, f"cannot be read ({_reason(error)})") from error


def _parsed(kind: Any, file: str) -> Any:
    import tensorflow as tf

    try:
        with tf.io.gfile.GFile(file, "r") as content:
            return kind(**json.loads(content.read()))
    except tf.errors.OpError as error:
        raise _damaged(file, f"cannot be read ({_reason(error)})") from error
    except (ValueError, TypeError) as error:
        raise _damaged(file, "is damaged") from error


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or getattr(error, "message", None) or error
    return " ".join(str(text).split())[:120]


def _damaged(file: str, what: str) -> failures.DataError:
    return failures.DataError(
        f"{file} {what}: copy it again, or give the command that wrote it once more: "
        "it keeps the shards that are whole"
    )
