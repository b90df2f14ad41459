"""Applies bindings to a tree of frozen dataclasses, and writes such a tree as bindings.

A binding sets one field by its path. `@Name(...)` is a component: a dataclass of the
kind that the field is declared with. Nothing else can be named, so a binding never
calls anything but the constructor of a component.

All bindings are taken in order, the later wins, and only then is the tree constructed:
values that are valid together may be bound in any order.
"""

import dataclasses
import functools
from collections.abc import Iterable, Iterator
from typing import Any

from official import annotations, failures, gin, spelling


def apply(config: Any, bindings: Iterable[gin.Binding]) -> Any:
    """The dataclass with the bindings applied to it and to what its fields hold.

    Raises:
        RequestError: If a field or a component does not exist, a value has the wrong
            type, or a dataclass refuses its values. Says which binding, and what
            would be right.
    """
    paths = tuple(path for path, _ in _settings(config))
    return _apply(_Draft(type(config), _fields(config), paths=paths), bindings)


def construct(kind: type, bindings: Iterable[gin.Binding]) -> Any:
    """A dataclass of the given class from bindings alone, as `dump` writes them.

    Raises:
        RequestError: As `apply`.
    """
    return _apply(_Draft(kind, {}), bindings)


def dump(config: Any) -> str:
    """Every setting of a dataclass as a binding.

    Applied to any dataclass of the same class, the text gives an equal one.

    Raises:
        ValueError: If a field holds a value that cannot be written as a literal.
    """
    lines = ["# The operative config: every setting as a binding."]
    for path, value in _settings(config):
        if isinstance(value, gin.Component):
            lines.append("")
        lines.append(f"{path} = {gin.text(value)}")
    return "\n".join(lines) + "\n"


def difference(ours: Any, theirs: Any) -> list[str]:
    """The settings in which two dataclasses differ, as "path: ours != theirs".

    Where the components differ, their fields are not compared.
    """
    left, right = dict(_settings(ours)), dict(_settings(theirs))
    different: list[str] = []
    for path in left | right:
        below = any(path.startswith(f"{other}.") for other in different)
        if not below and left.get(path) != right.get(path):
            different.append(path)
    return [
        f"{path}: {gin.text(left.get(path))} != {gin.text(right.get(path))}"
        for path in different
    ]


@dataclasses.dataclass
class _Draft:
    """A dataclass whose fields can still be set.

    Attributes:
        kind: The class.
        values: Of the fields; may hold drafts.
        binding: The last one that had to do with it.
        paths: Of all settings, where this is the root of the tree.
    """

    kind: type
    values: dict[str, Any]
    binding: gin.Binding | None = None
    paths: tuple[str, ...] = ()

    def descend(self, name: str, binding: gin.Binding) -> "_Draft":
        """Opens the dataclass in a field, on the way to the field of a binding."""
        self.binding = binding
        annotation = self.annotation(name)
        value = self.values.get(name, _default(self.kind, name))
        if dataclasses.is_dataclass(value) and not isinstance(value, _Draft):
            value = self.values[name] = _Draft(type(value), _fields(value))
        if not isinstance(value, _Draft):
            raise self.error(_closed(name, value, annotations.describe(annotation)))
        return value

    def set(self, name: str, binding: gin.Binding) -> None:
        self.binding = binding
        annotation = self.annotation(name)
        build = functools.partial(_draft_of, binding=binding)
        try:
            self.values[name] = annotations.convert(
                binding.value, annotation, component=build
            )
        except annotations.Mismatch as mismatch:
            raise self.error(str(mismatch)) from mismatch

    def annotation(self, name: str) -> Any:
        known = annotations.of_fields(self.kind)
        if name in known:
            return known[name]
        written = self.binding.path if self.binding else name
        elsewhere = [path for path in self.paths if path.endswith(f".{written}")]
        near = spelling.hint(name, known)
        if elsewhere:
            near = f"; did you mean {' or '.join(elsewhere[:3])}?"
        raise self.error(
            f"{self.kind.__name__} has no field {name!r}{near} "
            f"(its fields: {', '.join(known) or 'none'})"
        )

    def error(self, message: str) -> failures.RequestError:
        if self.binding is None:
            return failures.RequestError(f"{self.kind.__name__}: {message}")
        value = gin.text(self.binding.value)
        value = value if len(value) <= 60 else f"{value[:57]}..."
        where = f"{self.binding.source}: {self.binding.path} = {value}"
        return failures.RequestError(f"{where}: {message}")


def _closed(name: str, value: Any, expected: str) -> str:
    """Why no path leads through a field."""
    if isinstance(value, tuple | list | dict):
        return f"{name} holds {len(value)} values; bind it whole, to {expected}"
    state = "not set" if value is dataclasses.MISSING else repr(value)
    return f"{name} is {state}; bind it first, to {expected}"


def _apply(root: _Draft, bindings: Iterable[gin.Binding]) -> Any:
    for binding in bindings:
        if binding.optional and not _exists(root, binding.path):
            continue
        *parents, name = binding.path.split(".")
        node = root
        for parent in parents:
            node = node.descend(parent, binding)
        node.set(name, binding)
    return _construct(root)


def _exists(root: _Draft, path: str) -> bool:
    """Whether a path leads to a field."""
    kind: type = root.kind
    value: Any = root
    for name in path.split("."):
        if not dataclasses.is_dataclass(kind) or name not in annotations.of_fields(
            kind
        ):
            return False
        if isinstance(value, _Draft):
            value = value.values.get(name, _default(kind, name))
        else:
            value = getattr(value, name)
        kind = value.kind if isinstance(value, _Draft) else type(value)
    return True


def _draft_of(value: Any, kind: type, *, binding: gin.Binding) -> _Draft:
    """The component that a binding names for a field of the given kind."""
    known = annotations.components(kind)
    if not isinstance(value, gin.Component):
        raise annotations.Mismatch(f", as @{next(iter(known), kind.__name__)}()")
    if value.name not in known:
        near = spelling.hint(value.name, known)
        raise annotations.Mismatch(f"{near} (there are: {', '.join(known) or 'none'})")
    draft = _Draft(known[value.name], {})
    for name, argument in value.arguments.items():
        path = f"{binding.path}.{name}"
        draft.set(name, dataclasses.replace(binding, path=path, value=argument))
    draft.binding = binding
    return draft


def _construct(node: Any) -> Any:
    if isinstance(node, tuple | list):
        return type(node)(map(_construct, node))
    if isinstance(node, dict):
        return {key: _construct(value) for key, value in node.items()}
    if not isinstance(node, _Draft):
        return node
    values = {name: _construct(value) for name, value in node.values.items()}
    lacking = [
        name
        for name in annotations.of_fields(node.kind)
        if name not in values and _default(node.kind, name) is dataclasses.MISSING
    ]
    if lacking:
        raise node.error(f"{node.kind.__name__} also needs {', '.join(lacking)}")
    try:
        return node.kind(**values)
    except ValueError as error:
        raise node.error(str(error)) from error


def _default(kind: type, name: str) -> Any:
    field = {field.name: field for field in dataclasses.fields(kind)}[name]
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _fields(config: Any) -> dict[str, Any]:
    return {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.init
    }


def _settings(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Paths and values: those of a dataclass, then the components in its fields."""
    values = _fields(config)
    inner = {
        name: value for name, value in values.items() if dataclasses.is_dataclass(value)
    }
    for name, value in values.items():
        if name not in inner:
            yield prefix + name, _written(value)
    for name, value in inner.items():
        yield prefix + name, gin.Component(name=type(value).__name__, arguments={})
        yield from _settings(value, f"{prefix}{name}.")


def _written(value: Any) -> Any:
    """A value with the dataclasses in it as components."""
    if dataclasses.is_dataclass(value):
        arguments = {name: _written(item) for name, item in _fields(value).items()}
        return gin.Component(name=type(value).__name__, arguments=arguments)
    if isinstance(value, tuple | list):
        return type(value)(map(_written, value))
    if isinstance(value, dict):
        return {key: _written(item) for key, item in value.items()}
    return value
