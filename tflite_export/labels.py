"""Names of classes that a file from anyone carries with it.

Files with TFLite metadata end in a zip archive of text files, a name a line.
"""

import pathlib

from tflite_export import attachments, flatbuffer


def read(model: pathlib.Path, *, classes: int | None = None) -> tuple[str, ...]:
    """The names in the archive behind a model; empty where it has none.

    What is damaged, encrypted or far too large counts as none: names are a courtesy.

    Args:
        classes: Of several lists, the one with so many names is taken, else the first.
    """
    try:
        lists = [_names(text) for text in attachments.texts(model.read_bytes())]
    except attachments.DAMAGE:
        return ()
    fitting = [names for names in lists if len(names) == classes]
    return next(iter(fitting + lists), ())


def _names(text: bytes) -> tuple[str, ...]:
    lines = text.decode(errors="replace").splitlines()
    return tuple(flatbuffer.printable(line.strip()) for line in lines)
