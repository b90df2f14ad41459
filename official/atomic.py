"""Files that appear whole or not at all."""

import contextlib
import os
import pathlib
import tempfile


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
