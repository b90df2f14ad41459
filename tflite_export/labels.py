"""Names of classes that a file from anyone carries with it.

Files with TFLite metadata end in a zip archive of text files, a name a line.
"""

import io
import pathlib
import zipfile
import zlib

from tflite_export import flatbuffer

# 100,000 names of 40 letters; a larger entry is no list of names.
_MOST_BYTES = 4_000_000
_MOST_ENTRIES = 16

# zipfile raises its own error, and others on forged offsets, methods and names.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)


def read(model: pathlib.Path, *, classes: int | None = None) -> tuple[str, ...]:
    """The names in the archive behind a model; empty where it has none.

    What is damaged, encrypted or far too large counts as none: names are a courtesy.

    Args:
        classes: Of several lists, the one with so many names is taken, else the first.
    """
    content = model.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            lists = [_names(archive, entry) for entry in _lists(archive)]
    except _DAMAGE:
        return ()
    fitting = [names for names in lists if len(names) == classes]
    return next(iter(fitting + lists), ())


def _lists(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    texts = [x for x in archive.infolist() if x.filename.lower().endswith(".txt")]
    return [x for x in texts[:_MOST_ENTRIES] if x.file_size <= _MOST_BYTES]


def _names(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[str, ...]:
    # The size that an entry claims is forged in a bomb: no more than it is read.
    with archive.open(entry) as file:
        text = file.read(_MOST_BYTES).decode(errors="replace")
    return tuple(flatbuffer.printable(line.strip()) for line in text.splitlines())
