"""The text of bindings, a subset of Gin's.

    include "base.gin"                       # relative to this file
    seed = 7
    task.image_size = (512, 1024)            # a Python literal
    task.backbone = @MobileNetV3(variant="small")
    task.backbone.width_multiplier = 0.5
    optional task.head.norm.momentum = 0.9   # where there is such a field

A binding is one line, or more while brackets are open. `optional` is for overlays that
serve many experiments.
"""

import ast
import dataclasses
import io
import pathlib
import tokenize
from collections.abc import Iterator, Mapping
from typing import Any

from official import failures, spelling

_SCALARS = (bool, int, float, str, type(None))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Component:
    """`@name(field=value, ...)`."""

    name: str
    arguments: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Binding:
    """A value for a field.

    Attributes:
        path: Field names joined by dots.
        value: A literal, or a `Component`; tuples, lists and dicts may hold those, too.
        source: Where it was written: "overlay.gin:12", or "--set".
        optional: Leave it out where no such field exists.
    """

    path: str
    value: Any
    source: str
    optional: bool = False


def parse_file(path: str | pathlib.Path) -> list[Binding]:
    """The bindings of a file and of the files that it includes, in order.

    Raises:
        RequestError: If a file is missing, includes itself, or does not parse.
    """
    return _parse_file(pathlib.Path(path), source=str(path), including=())


def parse_setting(setting: str) -> Binding:
    """The one binding of a `--set`.

    Raises:
        RequestError: If it is not exactly one.
    """
    statements = list(_statements(setting, "--set"))
    if len(statements) != 1:
        raise failures.RequestError(
            f"--set {setting!r}: expected one binding, as in --set 'seed = 7'"
        )
    return _binding(statements[0], "--set")


def _parse_file(
    path: pathlib.Path, *, source: str, including: tuple[pathlib.Path, ...]
) -> list[Binding]:
    real = path.resolve()
    if real in including:
        raise failures.RequestError(f"{source}: {path} includes itself")
    found = []
    for tokens in _statements(_read(path, source), str(path)):
        place = f"{path}:{tokens[0].start[0]}"
        if tokens[0].string == "include" and len(tokens) == 2:
            included = path.parent / str(_literal(tokens[1:], place))
            found += _parse_file(included, source=place, including=(*including, real))
        else:
            found.append(_binding(tokens, place))
    return found


def _read(path: pathlib.Path, source: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a UTF-8 text file"
        near = spelling.hint(path.name, (one.name for one in path.parent.glob("*.gin")))
        place = "" if source == str(path) else f"{source}: "
        raise failures.RequestError(f"{place}{path}: {reason}{near}") from error


def _statements(content: str, name: str) -> Iterator[list[tokenize.TokenInfo]]:
    """The tokens of each logical line: one line, or more while brackets are open."""
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT}
    tokens: list[tokenize.TokenInfo] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(content).readline):
            if token.type in (tokenize.NEWLINE, tokenize.ENDMARKER):
                if tokens:
                    yield tokens
                tokens = []
            elif token.type not in skipped:
                tokens.append(token)
    except (tokenize.TokenError, SyntaxError) as error:
        place = f"{name}:{tokens[0].start[0]}" if tokens else name
        raise failures.RequestError(
            f"{place}: a bracket or a quote is not closed ({error.args[0]})"
        ) from error


def _binding(tokens: list[tokenize.TokenInfo], source: str) -> Binding:
    optional = len(tokens) > 1 and tokens[0].string == "optional"
    optional = optional and tokens[1].type == tokenize.NAME
    tokens = tokens[optional:]
    words = [token.string for token in tokens]
    cut = words.index("=") if "=" in words else 0
    names, dots = words[:cut:2], words[1:cut:2]
    if not (cut % 2 and all(map(str.isidentifier, names)) and set(dots) <= {"."}):
        raise failures.RequestError(
            f"{source}: {_written(tokens)}: expected PATH = VALUE, as in seed = 7"
        )
    path = ".".join(names)
    value = _literal(tokens[cut + 1 :], f"{source}: {path}")
    return Binding(path=path, value=value, source=source, optional=optional)


def _literal(tokens: list[tokenize.TokenInfo], place: str) -> Any:
    # Python has no prefix `@`; with an operand before it, it is an operator.
    words = ["... @" if token.string == "@" else token.string for token in tokens]
    try:
        return _value(ast.parse(" ".join(words), mode="eval").body)
    except (SyntaxError, TypeError, ValueError, RecursionError) as error:
        written = _written(tokens)
        near = spelling.hint(written, ("True", "False", "None"))
        raise failures.RequestError(
            f"{place}: {written or 'nothing'} is not a value{near}: "
            "text stands in quotes, a component is written @Name(field=value)"
        ) from error


def _written(tokens: list[tokenize.TokenInfo]) -> str:
    """The first line of the tokens, as it stands in the file."""
    if not tokens:
        return ""
    first, last = tokens[0], tokens[-1]
    end = last.end[1] if first.start[0] == last.end[0] else None
    return first.line[first.start[1] : end].strip()


def _value(node: Any) -> Any:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        return _component(node.right)
    if isinstance(node, ast.Tuple):
        return tuple(map(_value, node.elts))
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        return {
            _value(key): _value(value)
            for key, value in zip(node.keys, node.values, strict=True)
        }
    value = ast.literal_eval(node)
    if type(value) not in _SCALARS:
        raise ValueError("a set, bytes, ... is nothing that a field holds")
    return value


def _component(node: ast.expr) -> Component:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        raise ValueError("not a call of a name")
    arguments = {word.arg: _value(word.value) for word in node.keywords if word.arg}
    if node.args or len(arguments) != len(node.keywords):
        raise ValueError("not field=value, or the same field twice")
    return Component(name=node.func.id, arguments=arguments)


def text(value: Any) -> str:
    """A value as it is written in a binding.

    Raises:
        ValueError: If it cannot be written as a literal.
    """
    if isinstance(value, Component):
        words = (f"{name}={text(item)}" for name, item in value.arguments.items())
        return f"@{value.name}({', '.join(words)})"
    if isinstance(value, tuple):
        return f"({', '.join(map(text, value))}{',' * (len(value) == 1)})"
    if isinstance(value, list):
        return f"[{', '.join(map(text, value))}]"
    if isinstance(value, dict):
        items = (f"{text(key)}: {text(item)}" for key, item in value.items())
        return f"{{{', '.join(items)}}}"
    if type(value) not in _SCALARS or value != value:
        raise ValueError(f"{value!r} ({type(value).__name__}) is not a literal")
    # Python has no literal for infinity; a float that overflows is one.
    return repr(value).replace("inf", "1e999") if type(value) is float else repr(value)
