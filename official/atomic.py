"""Files that appear whole or not at all."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator


def write(
    path: pathlib.Path, content: bytes | str, *, keep: pathlib.Path | None = None
) -> None:
    """Writes a file beside its place and renames it, so that no reader sees half.

    Args:
        keep: What the file that was there before is called from now on, in the same
            folder; None deletes it. At every moment one of both is there, and whole.

    Raises:
        OSError: If the folder cannot be written or is full; nothing is left behind.
    """
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        if keep is not None and path.exists():
            os.replace(path, keep)
        os.replace(name, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file beside a place, for who wants to write it bit by bit.

    It takes the place at the end of the block, and is deleted where that raises. What
    an earlier process left of the same file is deleted, too.

    Raises:
        OSError: If the folder cannot be written or is full.
    """
    for left in path.parent.glob(f".{path.name}.*"):
        left.unlink()
    beside = path.parent / f".{path.name}.{os.getpid()}"
    try:
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
