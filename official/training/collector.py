"""Python's garbage collector, which waits until the first step has been taken.

What a network and its graph are made of stays. To go over it again and again while it
is made takes a twentieth of the time to the first step.
"""

import contextlib
import gc
from collections.abc import Iterator

_resting = False


@contextlib.contextmanager
def resting() -> Iterator[None]:
    """Nothing is collected inside until `wake`; nothing changes where nothing is."""
    global _resting
    _resting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        wake()


def wake() -> None:
    """Collects again, if `resting` has ended it."""
    global _resting
    if _resting:
        gc.enable()
    _resting = False
