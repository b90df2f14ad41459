"""Who imports whom: the architecture, read from the files."""

import ast
import pathlib
import sys
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent

# What any module may import: it says how things end, and writes files whole.
FOUNDATION = {"official.failures", "official.atomic", "official.spelling"}

# From the bottom to the top. A module or package may import what its row names, and all
# that is below a named package; packages of one row never import each other.
ROWS: list[dict[str, set[str]]] = [
    {
        "official.failures": set(),
        "official.atomic": set(),
        "official.spelling": set(),
        "official.mirror": set(),
        "official.graph": set(),
        "official.annotations": set(),
        "official.ops": set(),
        "official.optim": set(),
        "official.export_spec": set(),
    },
    {
        "official.gin": set(),
        "official.catalog": set(),
        "official.layers": {"official.ops"},
    },
    {
        "official.bindings": {"official.gin", "official.annotations"},
        "official.backbones": {"official.layers", "official.ops"},
        "official.losses": {"official.layers", "official.ops"},
        "official.metrics": {"official.layers", "official.ops"},
        "official.data": {"official.layers", "official.ops"},
        "official.quantization": {
            "official.graph",
            "official.layers",
            "official.ops",
        },
        # Below training: a target's forms are trained in (quantization-aware).
        "tflite_export.targets": {
            "official.export_spec",
            "official.graph",
            "official.layers",
        },
    },
    {
        "official.heads": {
            "official.backbones.base",
            "official.backbones.convolutions",
            "official.backbones.fields",
            "official.layers",
            "official.ops",
        },
    },
    {
        "official.weights": {
            "official.backbones",
            "official.heads",
            "official.layers",
            "official.mirror",
        },
        "official.tasks": {
            "official.backbones.base",
            "official.data",
            "official.heads.base",
            "official.layers",
            "official.losses",
            "official.metrics",
            "official.ops",
            # What ends a quantization-aware network has its ranges, too.
            "official.quantization",
        },
    },
    {"official.report": {"official.data", "official.ops", "official.tasks"}},
    {
        "official.training": {
            "official.bindings",
            "official.data",
            "official.export_spec",
            "official.graph",
            "official.layers",
            "official.optim",
            "official.quantization",
            "official.report",
            "official.tasks",
            "official.weights",
            "tflite_export.targets",
        },
    },
    {
        # Its fields are declared with the kinds; `configs` choose the components.
        "official.experiment": {
            "official.bindings",
            "official.catalog",
            "official.data",
            "official.export_spec",
            "official.gin",
            "official.optim",
            "official.quantization",
            "official.tasks",
            "official.training",
        },
    },
    {
        "official.runner": {
            "official.bindings",
            "official.data",
            "official.experiment",
            "official.report",
            "official.tasks",
            "official.training",
        },
        "tflite_export": {
            "official.bindings",
            "official.catalog",
            "official.data",
            "official.experiment",
            "official.export_spec",
            "official.gin",
            "official.graph",
            "official.layers",
            "official.mirror",
            "official.quantization",
            "official.report",
            "official.tasks",
            "official.training.checkpoints",
            "official.training.networks",
        },
        "configs": {
            "official.backbones",
            "official.data",
            "official.experiment",
            "official.export_spec",
            "official.heads",
            "official.optim",
            "official.quantization",
            "official.tasks",
            "official.training",
        },
    },
    {
        "train": {
            "official.catalog",
            "official.experiment",
            "official.mirror",
            "official.runner",
            "tflite_export",
        },
    },
]

ALLOWED = {unit: may for row in ROWS for unit, may in row.items()}
ROW = {unit: number for number, row in enumerate(ROWS) for unit in row}
OURS = {"official", "tflite_export", "configs", "train"}
KERAS_ONLY = ("backbones", "heads", "losses", "metrics", "ops")
NO_NOUN = {"utils", "util", "common", "misc", "helpers", "helper"}

FILES = sorted(
    file.relative_to(ROOT)
    for pattern in (
        "train.py",
        "official/**/*.py",
        "tflite_export/**/*.py",
        "configs/*.py",
    )
    for file in ROOT.glob(pattern)
)


def dotted(file: pathlib.Path) -> str:
    names = file.with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def unit_of(module: str) -> str | None:
    """The entry of the table that a module belongs to; None is `official` itself."""
    owners = [unit for unit in ALLOWED if inside(module, unit)]
    return max(owners, key=len, default=None)


def inside(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


def imported_by(source: str) -> Iterator[str]:
    """Modules that code imports when it runs, also within functions.

    Imports for the type checker alone do not count: they make no cycle.
    """
    pending: list[ast.AST] = [ast.parse(source)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide what is imported"
            parent = str(node.module)
            for alias in node.names:
                child = f"{parent}.{alias.name}"
                yield child if is_module(child) else parent
        pending += ast.iter_child_nodes(node)


def trespasses(module: str, source: str) -> list[str]:
    """The imports of a module that the table does not allow."""
    unit = unit_of(module)
    if unit is None:
        return [f"{module} is not in the table"] if source.strip() else []
    allowed = ALLOWED[unit] | FOUNDATION | {unit}
    return [
        f"{module} imports {name}"
        for name in imported_by(source)
        if name.split(".")[0] in OURS
        and not any(inside(name, package) for package in allowed)
    ]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_module_imports_only_what_the_table_allows(file):
    source = (ROOT / file).read_text(encoding="utf-8")
    assert trespasses(dotted(file), source) == []


def test_the_rows_of_the_table_allow_only_rows_below():
    assert len(ALLOWED) == sum(map(len, ROWS))
    for unit, may in ALLOWED.items():
        for other in may:
            owner = unit_of(other)
            assert owner is not None, f"{other} is not in the table"
            assert ROW[owner] < ROW[unit], f"{unit} may not import {other}"


@pytest.mark.parametrize(
    "file",
    [
        file
        for file in FILES
        if file.parts[0] == "official" and file.parts[1] in KERAS_ONLY
    ],
    ids=str,
)
def test_network_code_imports_keras_and_never_tensorflow(file):
    source = (ROOT / file).read_text(encoding="utf-8")
    roots = {name.split(".")[0] for name in imported_by(source)}
    assert not roots & {"tensorflow", "tf_keras", "jax", "torch"}


@pytest.mark.parametrize(
    "file",
    [file for file in FILES if file.parts[:2] == ("official", "layers")],
    ids=str,
)
def test_layers_import_tensorflow_only_within_functions(file):
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    outermost = [
        ast.unparse(node)
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert [line for line in outermost if "tensorflow" in line] == []


@pytest.mark.parametrize(
    "module", ["annotations", "atomic", "bindings", "catalog", "failures", "gin"]
)
def test_what_the_command_line_needs_first_is_pure_python(module):
    source = (ROOT / "official" / f"{module}.py").read_text(encoding="utf-8")
    outside = {name.split(".")[0] for name in imported_by(source)} - OURS
    assert outside <= sys.stdlib_module_names


def test_modules_are_named_for_what_they_hold():
    assert [file for file in FILES if NO_NOUN & {*file.parts, file.stem}] == []


def test_packages_run_nothing_when_they_are_imported():
    starts = [file for file in FILES if file.name == "__init__.py"]
    assert [file for file in starts if (ROOT / file).read_text().strip()] == []


def test_a_trespass_is_found():
    found = trespasses("official.ops.boxes", "def f():\n    from official import tasks")
    assert found == ["official.ops.boxes imports official.tasks"]
    found = trespasses(
        "official.heads.x", "from official.backbones import mobilenet_v3"
    )
    assert found == ["official.heads.x imports official.backbones.mobilenet_v3"]
    assert trespasses("official.heads.x", "from official.backbones import base") == []
    typed = "if TYPE_CHECKING:\n    from official import runner"
    assert trespasses("official.ops.boxes", typed) == []
    assert trespasses("official.new_thing.x", "x = 1") == [
        "official.new_thing.x is not in the table"
    ]
