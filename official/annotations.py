"""What a field of a dataclass may hold, read from its annotation."""

import collections.abc
import dataclasses
import importlib
import inspect
import pkgutil
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

_UNIONS = (typing.Union, types.UnionType)
_DICTS = (dict, collections.abc.Mapping)
_TUPLES = (tuple, collections.abc.Sequence)


class Mismatch(ValueError):
    """A value does not fit an annotation; says what does."""


def of_fields(kind: type) -> dict[str, Any]:
    """The annotations of the fields that a dataclass is constructed from, in order."""
    hints = typing.get_type_hints(kind)
    return {
        field.name: hints[field.name]
        for field in dataclasses.fields(kind)
        if field.init
    }


def convert(
    value: Any, annotation: Any, *, component: Callable[[Any, type], Any]
) -> Any:
    """A value as the field holds it: an int as a float, a list as a tuple.

    Args:
        value: A literal, which may contain components.
        annotation: Of the field.
        component: Makes what stands for a dataclass of the given base class, or
            raises `Mismatch` with the end of a message.

    Raises:
        Mismatch: If the value is of another type. Booleans are no numbers, and a
            float is no int.
    """
    try:
        return _fit(value, annotation, component)
    except Mismatch as mismatch:
        expected = describe(annotation)
        raise Mismatch(f"expected {expected}{mismatch}") from mismatch


def describe(annotation: Any) -> str:
    """An annotation in a few words: `int | None`, `a Backbone component`."""
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return " | ".join(map(repr, arguments))
    if origin in _UNIONS:
        return " | ".join(map(describe, arguments))
    if origin is not None:
        return f"{origin.__name__}[{', '.join(map(describe, arguments))}]"
    if annotation is ...:
        return "..."
    if annotation in (None, type(None)):
        return "None"
    name = getattr(annotation, "__name__", str(annotation))
    if not dataclasses.is_dataclass(annotation):
        return name
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name} component"


def components(kind: type) -> dict[str, type]:
    """The classes that a field declared as `kind` may hold, by name.

    These are the public, concrete dataclasses derived from it (itself included): those
    of the package where it is declared, all modules of which are imported, and those
    that are imported already, such as one written in the file of an experiment.

    Raises:
        ValueError: If two of them have the same name.
    """
    package = kind.__module__.rpartition(".")[0]
    if package:
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            importlib.import_module(f"{package}.{module.name}")
    found: dict[str, type] = {}
    for candidate in filter(_usable, _family(kind)):
        other = found.setdefault(candidate.__name__, candidate)
        if other is not candidate:
            raise ValueError(
                f"two components are named {candidate.__name__}: in "
                f"{other.__module__} and in {candidate.__module__}"
            )
    return dict(sorted(found.items()))


def _family(kind: type) -> Iterator[type]:
    yield kind
    children: list[type] = kind.__subclasses__()
    for child in children:
        yield from _family(child)


def _usable(kind: type) -> bool:
    hidden = kind.__name__.startswith("_") or inspect.isabstract(kind)
    return dataclasses.is_dataclass(kind) and not hidden


def _fit(value: Any, annotation: Any, component: Callable[[Any, type], Any]) -> Any:
    """As `convert`; the message of its `Mismatch` is only the end of one."""
    origin = typing.get_origin(annotation)
    if annotation is Any:
        return value
    if origin in _UNIONS:
        return _fit_union(value, typing.get_args(annotation), component)
    if origin in _TUPLES or origin is list:
        items = _fit_sequence(value, annotation, component)
        return list(items) if origin is list else items
    if origin in _DICTS and isinstance(value, dict):
        of_key, of_value = typing.get_args(annotation)
        return {
            _fit(key, of_key, component): _fit(item, of_value, component)
            for key, item in value.items()
        }
    if dataclasses.is_dataclass(annotation):
        return component(value, typing.cast("type", annotation))
    return _fit_scalar(value, annotation)


def _fit_scalar(value: Any, annotation: Any) -> Any:
    if typing.get_origin(annotation) is typing.Literal:
        choices = typing.get_args(annotation)
        if any(value == choice and type(value) is type(choice) for choice in choices):
            return value
    # `type` and not `isinstance`: True is an int to Python, but not to a reader.
    elif annotation is float and type(value) is int:
        return float(value)
    elif isinstance(annotation, type) and type(value) is annotation:
        return value
    raise Mismatch("")


def _fit_union(value: Any, alternatives: tuple[Any, ...], component: Callable) -> Any:
    ends = []
    # The value's own type first, so that 1 stays an int in `float | int`.
    for annotation in sorted(alternatives, key=lambda one: one is not type(value)):
        try:
            return _fit(value, annotation, component)
        except Mismatch as mismatch:
            ends.append(str(mismatch))
    raise Mismatch("".join(ends))


def _fit_sequence(value: Any, annotation: Any, component: Callable) -> tuple[Any, ...]:
    kinds = typing.get_args(annotation)
    any_number = typing.get_origin(annotation) is not tuple or kinds[-1:] == (...,)
    if not isinstance(value, tuple | list):
        raise Mismatch("; one alone is written (VALUE,)" if any_number else "")
    if any_number:
        kinds = kinds[:1] * len(value)
    if len(kinds) != len(value):
        raise Mismatch(f" ({len(kinds)} values, not {len(value)})")
    return tuple(
        _fit(item, kind, component) for item, kind in zip(value, kinds, strict=True)
    )
