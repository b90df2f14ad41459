"""Text files that people wrote, on whatever system."""

import pathlib

from official import failures


def read(path: pathlib.Path) -> str:
    """The text of a UTF-8 file, without the mark that some editors put first.

    Raises:
        failures.DataError: If it is in another encoding; names the line.
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise failures.DataError(
            f"{path}: line {line} is not UTF-8; save the file as UTF-8"
        ) from error
