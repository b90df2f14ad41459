"""The experiments that there are; known without importing one of them."""

import ast
import pathlib

from official import failures

_ROOT = pathlib.Path(__file__).resolve().parent.parent


def folder() -> pathlib.Path:
    """Where the experiments are: beside this package, or in the current directory.

    Raises:
        RequestError: If they are in neither.
    """
    places = (_ROOT / "configs", pathlib.Path.cwd() / "configs")
    for place in places:
        if place.is_dir():
            return place
    raise failures.RequestError(
        f"no folder of experiments at {' or '.join(map(str, places))}: "
        "run from a copy of the project's repository"
    )


def names() -> dict[str, str]:
    """Every experiment with the first line of its docstring.

    Raises:
        RequestError: If the folder is missing, or a file in it is not Python.
    """
    files = sorted(folder().glob("[!_]*.py"))
    return {file.stem: _first_line(file) for file in files}


def _first_line(file: pathlib.Path) -> str:
    try:
        docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    except SyntaxError as error:
        raise failures.RequestError(f"{file}:{error.lineno}: {error.msg}") from error
    return (docstring or "").partition("\n")[0]
