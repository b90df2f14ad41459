"""Functional models, taken apart and built anew op by op."""

import dataclasses
from collections.abc import Callable, Container, Mapping
from typing import Any

import keras


@dataclasses.dataclass(frozen=True, kw_only=True)
class Node:
    """One call of a layer (or of another operation) in a functional model.

    Attributes:
        operation: What is called.
        inputs: Its tensors in the model that is read, in the order of the call.
        outputs: Likewise.
        consumers: Operations that read an output, one entry for each that they read.
        is_output: Whether an output is one of the model.
    """

    operation: keras.Operation
    inputs: tuple[keras.KerasTensor, ...]
    outputs: tuple[keras.KerasTensor, ...]
    consumers: tuple[keras.Operation, ...]
    is_output: bool

    @property
    def name(self) -> str:
        return self.operation.name

    @property
    def only_consumer(self) -> keras.Operation | None:
        """The operation that alone reads the output; None if the model gives it."""
        if self.is_output or len(self.consumers) != 1:
            return None
        return self.consumers[0]


Visit = Callable[[Node, tuple[Any, ...], Mapping[str, Any]], Any]
"""Gives the new outputs of a node from the new arguments of its call."""


def nodes(model: keras.Model) -> list[Node]:
    """The calls of a model in an order in which they can run, its inputs left out.

    Raises:
        ValueError: If a layer is a model itself, or is called more than once: names in
            it would not tell one call from another.
    """
    return [node for node, _, _ in calls(model)]


def calls(model: keras.Model) -> list[tuple[Node, tuple[Any, ...], dict[str, Any]]]:
    """As `nodes`, each with its arguments; tensors in them are those of the model."""
    depths = sorted(model._nodes_by_depth, reverse=True)
    found = [n for depth in depths for n in model._nodes_by_depth[depth]]
    found = [n for n in found if n.arguments.keras_tensors]
    seen: set[str] = set()
    for node in found:
        if isinstance(node.operation, keras.Model):
            raise ValueError(
                f"layer {node.operation.name!r} of {model.name!r} is a model of its "
                "own; build the network flat"
            )
        if node.operation.name in seen:
            raise ValueError(
                f"layer {node.operation.name!r} of {model.name!r} is called more than "
                "once; build a layer of its own for each call"
            )
        seen.add(node.operation.name)
    given = {id(tensor) for tensor in model.outputs}
    readers: dict[int, list[keras.Operation]] = {}
    for node in found:
        for tensor in node.arguments.keras_tensors:
            readers.setdefault(id(tensor), []).append(node.operation)
    return [
        (
            Node(
                operation=node.operation,
                inputs=tuple(node.arguments.keras_tensors),
                outputs=tuple(node.outputs),
                consumers=tuple(
                    reader for t in node.outputs for reader in readers.get(id(t), ())
                ),
                is_output=any(id(tensor) in given for tensor in node.outputs),
            ),
            node.arguments.args,
            node.arguments.kwargs,
        )
        for node in found
    ]


def rebuild(
    model: keras.Model, visit: Visit, *, inputs: keras.KerasTensor | None = None
) -> keras.Model:
    """A new functional model, in which each call is what `visit` makes of it.

    Args:
        model: Functional, flat, with one input; is left as it is.
        visit: `copy` keeps a call as it is.
        inputs: Instead of the model's own input.

    Returns:
        The model; layers that `visit` made have initial weights (see `copy_weights`).
    """
    if inputs is None:
        old = model.input
        inputs = keras.Input(batch_shape=old.shape, dtype=old.dtype, name=old.name)
    tensors: dict[int, Any] = {id(model.inputs[0]): inputs}

    def renewed(value: Any) -> Any:
        return tensors.get(id(value), value)

    for node, args, kwargs in calls(model):
        args, kwargs = keras.tree.map_structure(renewed, (args, kwargs))
        outputs = keras.tree.flatten(visit(node, args, kwargs))
        tensors.update(zip(map(id, node.outputs), outputs, strict=True))
    outputs = keras.tree.map_structure(renewed, model.output)
    return keras.Model(inputs, outputs, name=model.name)


def copy(node: Node, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Calls a new layer of the same settings; for `rebuild`."""
    return renew(node.operation)(*args, **kwargs)


def renew(operation: keras.Operation, **changes: Any) -> Any:
    """A new layer of the same class and settings, but for the changes."""
    return type(operation).from_config({**operation.get_config(), **changes})


def copy_weights(
    source: keras.Model, target: keras.Model, *, but: Container[str] = ()
) -> None:
    """Gives the layers of `target` the weights of the layers of the same name.

    Args:
        but: Names of layers that are left as they are.
    """
    there = {layer.name: layer for layer in source.layers if layer.name not in but}
    for layer in target.layers:
        if layer.weights and layer.name in there:
            layer.set_weights(there[layer.name].get_weights())
