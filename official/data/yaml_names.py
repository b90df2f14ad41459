"""Names of classes, from a text file or from the `names:` of a `data.yaml`.

Of YAML just the forms are read that tools write for this key:

    names: ["red cell", platelet]       names:            names:
                                          - red cell        0: red cell
                                          - platelet        1: platelet
"""

import ast
import pathlib
import re
from collections.abc import Sequence

from official import failures
from official.data import text_file

_WANTED = (
    "want names: ['first', 'second', ...], or a line '- name' or '0: name' for each"
)

_SINGLE = r"'(?:[^']|'')*'"
_DOUBLE = r'"(?:[^"\\]|\\.)*"'
_COMMENT = re.compile(
    rf"(?P<quoted>(?<![^\s\[{{,]){_SINGLE}|(?<![^\s\[{{,]){_DOUBLE})|(^|(?<=\s))#.*"
)
_FLOW_ENTRY = re.compile(
    rf"\s*(?P<entry>(?:\d+\s*:\s+)?(?:{_SINGLE}|{_DOUBLE}|[^,]*))\s*(?:,|$)"
)
_SPECIAL = "[]{}&*!|>%@`'\",#?"
"""What begins something else than plain text."""


def read(path: pathlib.Path) -> tuple[str, ...]:
    """The names in a file; its ending says of which kind it is.

    Raises:
        failures.DataError: If there are none, or one is there twice.
    """
    lines = text_file.read(path).splitlines()
    if path.suffix == ".txt":
        names = [line.strip() for line in lines if line.strip()]
    else:
        names = _of_yaml(path, lines)
    if not names:
        raise failures.DataError(f"{path} has no names of classes; {_WANTED}")
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise failures.DataError(f"{path}: class {repeated!r} is listed twice")
    return tuple(names)


def value(path: pathlib.Path, key: str) -> str | None:
    """What a `data.yaml` has for a key, in one line; None where there is nothing.

    Raises:
        failures.DataError: If the key is there twice.
    """
    first, below = _entry(path, text_file.read(path).splitlines(), key) or ("", [])
    text = " ".join([first, *below])
    if text in ("", "~", "null"):
        return None
    return _scalar(path, text) if text[0] in "'\"" and not below else text


def _of_yaml(path: pathlib.Path, lines: Sequence[str]) -> list[str]:
    found = _entry(path, lines, "names")
    if found is None:
        raise failures.DataError(f"{path} has no key 'names'; {_WANTED}")
    first, below = found
    if first.startswith(("[", "{")):
        entries = _of_flow(path, " ".join([first, *below]))
    elif first:
        raise failures.DataError(f"{path}: names: {first!r:.60}; {_WANTED}")
    else:
        entries = below
    if all(re.match(r"-(\s|$)", entry) for entry in entries):
        return [_scalar(path, entry[1:]) for entry in entries]
    numbered = [re.fullmatch(r"(\d+)\s*:\s+(.+)", entry) for entry in entries]
    for entry, match in zip(entries, numbered, strict=True):
        if match is None:
            raise failures.DataError(f"{path}: {entry!r:.60} among names; {_WANTED}")
    pairs = [(int(m[1]), _scalar(path, m[2])) for m in numbered if m]
    numbers = sorted(number for number, _ in pairs)
    if numbers != list(range(len(entries))):
        raise failures.DataError(
            f"{path}: names have the numbers {numbers}; want 0 to {len(entries) - 1}"
        )
    return [name for _, name in sorted(pairs)]


def _entry(
    path: pathlib.Path, lines: Sequence[str], key: str
) -> tuple[str, list[str]] | None:
    """What stands beside a key of the file, and the lines below that belong to it."""
    lines = [_COMMENT.sub(lambda m: m["quoted"] or "", line).rstrip() for line in lines]
    starts = [n for n, line in enumerate(lines) if re.match(rf"{key}:(\s|$)", line)]
    if not starts:
        return None
    if len(starts) > 1:
        raise failures.DataError(f"{path} has {len(starts)} keys {key!r}; keep one")
    below = []
    for line in lines[starts[0] + 1 :]:
        if line and (line == "---" or not line.startswith((" ", "-", "]", "}"))):
            break  # the next key
        below.append(line.strip())
    first = lines[starts[0]].removeprefix(f"{key}:").strip()
    return first, [line for line in below if line]


def _of_flow(path: pathlib.Path, text: str) -> list[str]:
    """The entries within brackets, as the lines of the other form would have them."""
    closing = {"[": "]", "{": "}"}[text[0]]
    if not text.endswith(closing):
        raise failures.DataError(f"{path}: names have no {closing!r} at their end")
    inner = text[1:-1].strip().removesuffix(",")
    entries = []
    while inner:
        match = _FLOW_ENTRY.match(inner)
        if match is None or not match["entry"].strip():
            raise failures.DataError(f"{path}: {inner!r:.60} among names; {_WANTED}")
        entries.append(match["entry"].strip())
        inner = inner[match.end() :]
    return [f"- {entry}" for entry in entries] if closing == "]" else entries


def _scalar(path: pathlib.Path, text: str) -> str:
    text = text.strip()
    if re.fullmatch(_SINGLE, text):
        return text[1:-1].replace("''", "'")
    if re.fullmatch(_DOUBLE, text):
        try:
            return str(ast.literal_eval(text))
        except (ValueError, SyntaxError) as error:
            raise failures.DataError(f"{path}: {text!r:.60}: {error}") from error
    if not text or text[0] in _SPECIAL or re.search(r":\s|^-\s", text):
        raise failures.DataError(
            f"{path}: {text!r:.60} is no plain text; put it in quotes"
        )
    return text
