"""Finds an error again after `tf.data` wrapped it.

An exception in a Python function of an input pipeline arrives as a `tf.errors`
exception whose text holds the traceback; one met while a function is traced, as another
exception in whose context it is.
"""

import contextlib
import re
from collections.abc import Iterator

from official import failures

_WRAPPED = re.compile(
    r"\bDataError: (?P<message>.+?)\s*\nTraceback \(most recent call last\)", re.DOTALL
)

_DAMAGED = re.compile(r"Invalid JPEG data[^\n.]*")
"""What TensorFlow says where a window is decoded, see `official.data.encoded`."""


@contextlib.contextmanager
def clear() -> Iterator[None]:
    """Reading examples inside raises the error itself, not what wraps it.

    Raises:
        failures.Failure: If that is what happened (a `DataError`, where examples were
            being read); any other exception stays.
    """
    try:
        yield
    except failures.Failure:
        raise
    except Exception as exception:
        if found := _WRAPPED.search(str(exception)):
            raise failures.DataError(found["message"]) from exception
        if found := _DAMAGED.search(str(exception)):
            raise failures.DataError(
                f"the data holds a damaged JPEG file ({found[0]}): train.py --dry_run "
                "reads every file, and names it"
            ) from exception
        if isinstance(exception.__context__, failures.Failure):
            raise exception.__context__ from None
        raise
