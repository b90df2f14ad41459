"""Finds a data error again after `tf.data` wrapped it.

An exception in a Python function of an input pipeline arrives as a `tf.errors`
exception whose text holds the traceback.
"""

import re

from official import failures

_WRAPPED = re.compile(
    r"\bDataError: (?P<message>.+?)\s*\nTraceback \(most recent call last\)", re.DOTALL
)


def as_data_error(exception: BaseException) -> failures.DataError | None:
    """The data error that `exception` is or carries; None if it is another matter.

    Use: `if error := errors.as_data_error(e): raise error from e`.
    """
    if isinstance(exception, failures.DataError):
        return exception
    if found := _WRAPPED.search(str(exception)):
        return failures.DataError(found["message"])
    return None
