"""What an export target is, and the targets there are."""

import abc
import dataclasses
import importlib
import pathlib
from typing import TYPE_CHECKING

import numpy as np

from official import export_spec, failures, spelling
from tflite_export import conversion, flatbuffer

if TYPE_CHECKING:
    import keras

    from tflite_export import inference


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target(abc.ABC):
    """Hardware, by the forms that it likes and the ops that it runs.

    One module of this package holds one target; its file name is the target's name.
    """

    @abc.abstractmethod
    def rewrite(self, model: "keras.Model", precision: str) -> "keras.Model":
        """The same function in the forms that run fast here, weights included.

        Args:
            model: Float network; is left as it is.
            precision: One of `official.export_spec.PRECISIONS`.
        """

    def convert(
        self,
        graph: "inference.Graph",
        precision: str,
        *,
        spec: export_spec.Export,
        calibration: np.ndarray | None,
    ) -> bytes:
        """A file of the rewritten network; see `conversion.convert`."""
        return conversion.convert(graph, precision, spec=spec, calibration=calibration)

    def refuses(self, op: flatbuffer.Op) -> str | None:
        """Why an op does not run here, or None."""
        if op.flex:
            return "needs TensorFlow's own kernels (Flex)"
        if op.custom:
            return "a custom op, for which an app must bring the kernel"
        return None


def names() -> tuple[str, ...]:
    """Names of all targets."""
    files = pathlib.Path(__file__).parent.glob("*.py")
    return tuple(sorted(f.stem for f in files if f.stem not in ("__init__", "base")))


def find(name: str) -> Target:
    """The target of a name.

    Raises:
        RequestError: If there is none.
    """
    known = names()
    if name not in known:
        raise failures.RequestError(
            f"export target {name!r} is unknown (there is {', '.join(known)})"
            f"{spelling.hint(name, known)}"
        )
    module = importlib.import_module(f"tflite_export.targets.{name}")
    (kind,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Target)
        and value.__module__ == module.__name__
    )
    return kind()
