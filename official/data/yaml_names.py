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


def _of_yaml(path: pathlib.Path, lines: Sequence[str]) -> list[str]:
    lines = [re.sub(r"(^|\s)#.*", "", line).rstrip() for line in lines]
    starts = [place for place, line in enumerate(lines) if line.startswith("names:")]
    if len(starts) != 1:
        raise failures.DataError(f"{path} has {len(starts)} keys 'names'; {_WANTED}")
    first = lines[starts[0]].removeprefix("names:").strip()
    below = []
    for line in lines[starts[0] + 1 :]:
        if line and not line.startswith((" ", "-", "]", "}")):
            break  # the next key
        below.append(line.strip())
    flow = " ".join([first, *below]).strip()
    if flow.startswith(("[", "{")):
        inner = flow[1:].rstrip("]} ")
        entries = re.findall(r"""(?:[^,"']|"[^"]*"|'[^']*')+""", inner)
    else:
        entries = [line.removeprefix("- ") for line in below if line]
    entries = [entry.strip() for entry in entries if entry.strip()]
    numbered = [re.fullmatch(r"(\d+)\s*:\s*(.+)", entry) for entry in entries]
    if all(numbered):
        pairs = {int(m[1]): _plain(m[2]) for m in numbered if m}
        if sorted(pairs) != list(range(len(entries))):
            raise failures.DataError(
                f"{path}: names have the numbers {sorted(pairs)}; want 0 to "
                f"{len(entries) - 1}"
            )
        return [pairs[number] for number in sorted(pairs)]
    return [_plain(entry) for entry in entries]


def _plain(text: str) -> str:
    text = text.strip()
    if text[:1] in ("'", '"'):
        try:
            return str(ast.literal_eval(text))
        except (ValueError, SyntaxError):
            return text.strip("'\"")
    return text
