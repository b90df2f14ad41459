"""Writes a data set as the shards that `record_shards` reads."""

import contextlib
import hashlib
import itertools
import pathlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import Any

from official import atomic, failures
from official.data import indexed, record_examples, record_index

Track = Callable[..., Iterable[Any]]
"""`terminal.track`: `(items, what, total=...)` to the items, shown as they go by."""

_THREADS = 8  # that wait for a disk or a network
_AHEAD = 64  # examples that are read before they are written


def write(
    dataset: indexed.IndexedDataset,
    split: str,
    *,
    folder: pathlib.Path,
    shards: int,
    limit: int | None,
    track: Track,
) -> tuple[record_index.Index, int]:
    """Writes the shards of a split that are not there yet, then its index.

    Args:
        folder: May hold other splits of the same data set.
        shards: Files to divide the examples among, in their order.
        limit: Only so many examples, the first; None takes all.

    Returns:
        The index, and how many shards had been written before.

    Raises:
        failures.DataError: If the data is faulty, or the folder holds another set.
        failures.RunError: If a shard cannot be written; those before it stay.
    """
    records = indexed.kept_records(dataset, split)[:limit]
    if not 1 <= shards <= len(records):
        raise failures.RequestError(
            f"--shards={shards}: want 1 to {len(records)}, the number of examples"
        )
    _require_alike(dataset, folder, but=split)
    source = _digest((dataset, split, tuple(records), shards))
    bounds = [len(records) * number // shards for number in range(shards + 1)]
    files = [folder / record_index.name(split, k, shards) for k in range(shards)]
    found = {file: record_index.kept(file, source) for file in files}
    missing = [k for k, file in enumerate(files) if found[file] is None]
    wanted = [records[bounds[k] : bounds[k + 1]] for k in missing]
    contents = iter(
        track(
            _contents(dataset, wanted), f"writing {split}", total=sum(map(len, wanted))
        )
    )
    folder.mkdir(parents=True, exist_ok=True)
    for k, part in zip(missing, wanted, strict=True):
        own = itertools.islice(contents, len(part))
        found[files[k]] = _write_shard(files[k], own, source)
    for _ in contents:  # none is left: what shows the progress ends
        pass
    index = record_index.Index(
        source=source,
        dataset=repr(dataset),
        class_names=list(dataset.class_names),
        palette=list(dataset.palette),
        thing_ids=list(dataset.thing_ids),
        image_numbers=dict(dataset.image_numbers(split)),
        category_ids=list(dataset.category_ids(split)),
        examples=len(records),
        shards=[
            {
                "file": file.name,
                "examples": len(shard.sizes),
                "bytes": shard.size,
                "sha256": shard.sha256,
            }
            for file, shard in found.items()
            if shard is not None
        ],
    )
    index.save(folder, split)
    return index, shards - len(missing)


def _contents(
    dataset: indexed.IndexedDataset, parts: Iterable[Iterable[Any]]
) -> Iterator[bytes]:
    """The examples of some records as bytes, in order."""

    def content(record: Any) -> bytes:
        return record_examples.to_bytes(dataset.read(record))

    records = itertools.chain.from_iterable(parts)
    with futures.ThreadPoolExecutor(max_workers=_THREADS) as pool:
        while some := list(itertools.islice(records, _AHEAD)):
            yield from pool.map(content, some)


def _write_shard(
    file: pathlib.Path, contents: Iterable[bytes], source: str
) -> record_index.Shard:
    import tensorflow as tf

    sizes, checksums = [], []
    with _named(file), atomic.writing(file) as beside:
        with tf.io.TFRecordWriter(str(beside)) as writer:
            for content in contents:
                writer.write(content)
                sizes.append(len(content))
                checksums.append(zlib.crc32(content))
        sha256 = record_index.digest(beside)
        shard = record_index.Shard(
            source=source, sha256=sha256, sizes=sizes, checksums=checksums
        )
        if beside.stat().st_size != shard.size:
            raise failures.RunError(f"{file}: was not written in full")
    with _named(file):
        shard.save(file)
    return shard


@contextlib.contextmanager
def _named(file: pathlib.Path) -> Iterator[None]:
    """What fails names the file, and says that nothing before it is lost."""
    import tensorflow as tf

    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or error
        text = " ".join(str(reason).split())[:150]
        raise failures.RunError(
            f"{file} cannot be written ({text}): the shards before it are whole; when "
            "that is mended, give the same command once more, which goes on with them"
        ) from error


def _require_alike(
    dataset: indexed.IndexedDataset, folder: pathlib.Path, *, but: str
) -> None:
    """Refuses to write beside splits of a data set with other classes."""
    try:
        others = record_index.splits(str(folder))
    except failures.DataError:
        return
    for split in others:
        if split == but:
            continue
        index = record_index.read(str(folder), split)
        if (index.class_names, index.thing_ids) != (
            list(dataset.class_names),
            list(dataset.thing_ids),
        ):
            raise failures.DataError(
                f"{folder} holds split {split!r} of {index.dataset}, which has other "
                "classes: give another --out"
            )


def _digest(source: Any) -> str:
    return hashlib.sha256(repr(source).encode()).hexdigest()
