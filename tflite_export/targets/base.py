"""What an export target is, and the targets there are."""

import abc
import collections
import dataclasses
import importlib
import pathlib
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from official import export_spec, failures, spelling

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


class Adapted(NamedTuple):
    """What a target made of the settings of an export.

    Attributes:
        spec: The settings that suit the hardware.
        changes: What was changed, a line each, for people.
    """

    spec: export_spec.Export
    changes: tuple[str, ...]


# Custom ops that LiteRT brings itself; an app has nothing to add.
_WITH_THE_RUNTIME = {"TFLite_Detection_PostProcess"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target(abc.ABC):
    """Hardware, by the forms that it likes and the ops that it runs.

    One module of this package holds one target; its file name is the target's name.
    A network that is trained quantization-aware is rewritten before its training, thus
    targets know nothing of files and of what makes them.

    Attributes:
        title: The hardware's name in sentences.
        ops: Those that the hardware runs; None for all that LiteRT has kernels for.
        one_subgraph: The hardware takes one connected part of the graph. All that
            depends on the first op outside stays on the CPU.
        arena: The app reserves all memory for activations beforehand.
        compiler: What makes the hardware's own file: "edgetpu_compiler", "litert_aot",
            or "" where the .tflite is the end.
        parameter_memory: Bytes of weights that the hardware keeps between images; 0
            where that does not matter.
    """

    title: ClassVar[str]
    ops: ClassVar[frozenset[str] | None] = None
    one_subgraph: ClassVar[bool] = False
    arena: ClassVar[bool] = False
    compiler: ClassVar[str] = ""
    parameter_memory: ClassVar[int] = 0

    @abc.abstractmethod
    def rewrite(self, model: "keras.Model", precision: str) -> Rewritten:
        """The same function in the forms that run fast here, weights included.

        Args:
            model: Float network; is left as it is.
            precision: One of `official.export_spec.PRECISIONS`.
        """

    def adapt(self, spec: export_spec.Export) -> Adapted:
        """Settings that suit the hardware.

        Raises:
            RequestError: If what was asked for cannot run here at all.
        """
        return Adapted(spec, ())

    def refuses(self, op: "flatbuffer.Op") -> str | None:
        """Why an op keeps the file from running, or None."""
        if op.flex:
            return "needs TensorFlow's own kernels (Flex)"
        if op.custom and op.name not in _WITH_THE_RUNTIME:
            return "a custom op, for which an app must bring the kernel"
        return None

    def outside(self, op: "flatbuffer.Op") -> str | None:
        """Why an op is left to the CPU, or None if the hardware runs it."""
        if self.ops is not None and op.name not in self.ops:
            return f"{self.title} does not run {op.name}"
        return None

    def doubt(self, op: "flatbuffer.Op") -> str | None:
        """What the documents leave open about an op that the hardware should run."""
        return None

    def advise(self, op: "flatbuffer.Op", *, ends: bool) -> str | None:
        """What to do about an op that the hardware does not run; None if unknown.

        Args:
            ends: What it makes is an output of the file, thus may be left to the app.
        """
        return None

    def for_app(self, ops: Collection[str]) -> list[str]:
        """What an app has to say to its runtime of a file's ops; empty where nothing.

        Args:
            ops: Names, each once.
        """
        return []


def with_forms(model: "keras.Model", forms: Mapping[type, str]) -> Rewritten:
    """The network with other forms of some layers.

    Args:
        forms: The value of the field `form`, by class of layer.
    """
    from official import graph  # brings Keras, which --help should not wait for

    changed: collections.Counter[str] = collections.Counter()

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


def dense_as_convolutions(model: "keras.Model") -> Rewritten:
    """The network with a 1x1 convolution for each `Dense` of a vector.

    The converter gives both a scale for each output channel. Kernels of convolutions
    have had such scales from the start; FULLY_CONNECTED got them later than compilers
    of some hardware were written.
    """
    import keras

    from official import graph

    kernels: dict[str, list[Any]] = {}

    def visit(node: "graph.Node", args: Any, kwargs: Any) -> Any:
        layer = node.operation
        if not isinstance(layer, keras.layers.Dense) or len(node.inputs[0].shape) != 2:
            return graph.copy(node, args, kwargs)
        (vectors,) = args
        convolution = keras.layers.Conv2D(
            layer.units,
            1,
            activation=layer.activation,
            use_bias=layer.use_bias,
            dtype=layer.dtype_policy,
            name=layer.name,
        )
        kernel, *bias = layer.get_weights()
        kernels[layer.name] = [kernel[None, None], *bias]
        pixel = (1, 1, vectors.shape[-1])
        x = keras.layers.Reshape(pixel, name=f"{layer.name}_to_pixel")(vectors)
        x = convolution(x)
        return keras.layers.Reshape((layer.units,), name=f"{layer.name}_flat")(x)

    rewritten = graph.rebuild(model, visit)
    if not kernels:
        return Rewritten(model, ())
    graph.copy_weights(model, rewritten, but=kernels)
    for name, weights in kernels.items():
        rewritten.get_layer(name).set_weights(weights)
    return Rewritten(rewritten, (f"{len(kernels)} Dense as 1x1 convolution",))


def in_turn(
    model: "keras.Model", *steps: Callable[["keras.Model"], Rewritten]
) -> Rewritten:
    """The network after several rewrites, and what all of them changed."""
    changes: tuple[str, ...] = ()
    for step in steps:
        model, new = step(model)
        changes += new
    return Rewritten(model, changes)


def integers_only(spec: export_spec.Export, *, title: str) -> Adapted:
    """Settings of an export to hardware that knows no floats: int8 alone, 8-bit ends.

    Args:
        title: Of the hardware.

    Raises:
        RequestError: If int8 is not among the precisions.
    """
    if "int8" not in spec.precisions:
        raise failures.RequestError(
            f"export.precisions = {spec.precisions!r}: {title} runs int8 files only; "
            "set --precision=int8"
        )
    changes: tuple[str, ...] = ()
    if others := [x for x in spec.precisions if x != "int8"]:
        changes = (f"{', '.join(others)} left out: {title} runs int8 only",)
    spec, typed = ends(
        dataclasses.replace(spec, precisions=("int8",)),
        input_type=_integer(spec.input_type),
        output_type=_integer(spec.output_type),
        because=f"{title} has no floats",
    )
    return Adapted(spec, changes + typed)


def _integer(kind: str) -> str:
    return "uint8" if kind == "float32" else kind


def ends(
    spec: export_spec.Export, *, input_type: str, output_type: str, because: str
) -> Adapted:
    """Settings with other types of the input and the output."""
    changes = tuple(
        f"{field} {new!r}, not {old!r}: {because}"
        for field, old, new in (
            ("input_type", spec.input_type, input_type),
            ("output_type", spec.output_type, output_type),
        )
        if old != new
    )
    spec = dataclasses.replace(spec, input_type=input_type, output_type=output_type)
    return Adapted(spec, changes)


def argmax_outside(spec: export_spec.Export, *, title: str) -> Adapted:
    """Settings under which the file gives logits, and the app takes the largest."""
    if spec.output != "class_ids":
        return Adapted(spec, ())
    change = (
        f"output 'logits', not 'class_ids': {title} has no ARG_MAX; take the largest "
        "channel in the app"
    )
    return Adapted(dataclasses.replace(spec, output="logits"), (change,))


def name_of(target: Target) -> str:
    """The name by which `find` finds a target."""
    return type(target).__module__.rpartition(".")[2]


def names() -> tuple[str, ...]:
    """Names of all targets."""
    files = pathlib.Path(__file__).parent.glob("*.py")
    return tuple(sorted(f.stem for f in files if f.stem not in ("__init__", "base")))


def names_of_one_subgraph() -> list[str]:
    """Names of the targets for which a file can be divided."""
    return [name for name in names() if find(name).one_subgraph]


def of(spec: export_spec.Export) -> Target:
    """The target of an export.

    Raises:
        RequestError: If there is none of that name, or it does not want what is set.
    """
    target = find(spec.target)
    if spec.split and not target.one_subgraph:
        others = " or ".join(map(repr, names_of_one_subgraph()))
        raise failures.RequestError(
            f"export.split = True: {target.title} takes any number of parts of a "
            "graph, so there is no border to divide a file at; set export.target = "
            f"{others}, or export.split = False"
        )
    return target


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
