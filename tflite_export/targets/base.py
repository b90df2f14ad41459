"""What an export target is, and the targets there are."""

import abc
import collections
import dataclasses
import importlib
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from official import failures, spelling

if TYPE_CHECKING:
    import keras

    from official import graph
    from tflite_export import flatbuffer


class Rewritten(NamedTuple):
    """What a target made of a network.

    Attributes:
        model: The same function, weights included.
        changes: What was changed, a line each, for people.
    """

    model: "keras.Model"
    changes: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target(abc.ABC):
    """Hardware, by the forms that it likes and the ops that it runs.

    One module of this package holds one target; its file name is the target's name.
    A network that is trained quantization-aware is rewritten before its training, thus
    targets know nothing of files and of what makes them.
    """

    @abc.abstractmethod
    def rewrite(self, model: "keras.Model", precision: str) -> Rewritten:
        """The same function in the forms that run fast here, weights included.

        Args:
            model: Float network; is left as it is.
            precision: One of `official.export_spec.PRECISIONS`.
        """

    def refuses(self, op: "flatbuffer.Op") -> str | None:
        """Why an op does not run here, or None."""
        if op.flex:
            return "needs TensorFlow's own kernels (Flex)"
        if op.custom:
            return "a custom op, for which an app must bring the kernel"
        return None


def with_forms(model: "keras.Model", forms: Mapping[type, str]) -> Rewritten:
    """The network with other forms of some layers.

    Args:
        forms: The value of the field `form`, by class of layer.
    """
    changed: collections.Counter[str] = collections.Counter()

    # Keras takes seconds to load, and the command line lists the targets.
    from official import graph

    def visit(node: "graph.Node", args: Any, kwargs: Any) -> Any:
        form = forms.get(type(node.operation))
        if form is None or node.operation.form == form:
            return graph.copy(node, args, kwargs)
        changed[f"{type(node.operation).__name__} in the form {form!r}"] += 1
        return graph.renew(node.operation, form=form)(*args, **kwargs)

    rewritten = graph.rebuild(model, visit)
    graph.copy_weights(model, rewritten)
    return Rewritten(
        rewritten, tuple(f"{count} {change}" for change, count in changed.items())
    )


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
