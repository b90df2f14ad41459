"""Losses that are read while the next step is under way."""

from collections.abc import Callable, Mapping
from typing import Any

from keras import ops


class LateLogs:
    """Gives the losses of a step once the next one has been sent to the device.

    Keras turns the losses into numbers after every step, for its callbacks. A device
    that works while Python goes on would stand still from there until Python has sent
    it the next step: for MobileNetV3-Large with Keras on JAX on an H100 a quarter of
    the time. With Keras on TensorFlow it was not measured; several hosts wait for each
    other after every step in any case.

    Attributes:
        behind: How many calls of the step ago the losses arose that were given last, 0
            or 1.
    """

    def __init__(self) -> None:
        self.behind = 0
        self._active = False
        self._newest: Mapping[str, Any] | None = None

    def begin(self, *, active: bool = True) -> None:
        """From here on; the first step is given its own losses.

        Args:
            active: Else every step is given its own.
        """
        self._active = active
        self._newest = None
        self.behind = 0

    def wrap(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """A step of `fit` that gives late losses.

        Args:
            step: Gives losses or, on JAX, losses and state.
        """

        def stepped(*arguments: Any) -> Any:
            given = step(*arguments)
            if isinstance(given, tuple):
                return self._late(given[0]), *given[1:]
            return self._late(given)

        return stepped

    def newest(self) -> dict[str, float]:
        """The losses of the last step; waits for them."""
        logs = self._newest or {}
        return {name: float(ops.convert_to_numpy(v)) for name, v in logs.items()}

    def _late(self, logs: Mapping[str, Any]) -> Mapping[str, Any]:
        if not self._active:
            return logs
        given = self._newest
        self._newest = logs
        self.behind = 0 if given is None else 1
        return logs if given is None else given
