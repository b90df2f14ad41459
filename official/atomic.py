"""Files that appear whole or not at all."""

import contextlib
import os
import pathlib
import tempfile


def write(path: pathlib.Path, content: bytes | str) -> None:
    """Writes a file beside its place and renames it, so that no reader sees half.

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
        os.replace(name, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise
