"""The script that prints what networks cost."""

import csv
import importlib.util
import inspect
import io
import pkgutil

import pytest

from official import backbones
from official.backbones import base


@pytest.fixture(scope="module")
def script(root):
    spec = importlib.util.spec_from_file_location(
        "model_table", root / "scripts" / "model_table.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def some(script):
    """Rows of the widest names and numbers, without building large networks."""
    families = script.FAMILIES
    chosen = ("mobilenet_v1.MobileNetV1", "mobilenet_v3_isometric.IsometricMobileNetV3")
    script.FAMILIES = {path: families[path][-1:] for path in chosen}
    yield list(script.rows())
    script.FAMILIES = families


def test_every_family_is_in_the_table(script):
    found = set()
    for info in pkgutil.iter_modules(backbones.__path__):
        module = importlib.import_module(f"official.backbones.{info.name}")
        found |= {
            f"{info.name}.{name}"
            for name, kind in inspect.getmembers(module, inspect.isclass)
            if issubclass(kind, base.Backbone)
            and not inspect.isabstract(kind)
            and kind.__module__ == module.__name__
        }
    assert set(script.FAMILIES) == found


def test_every_figure_has_a_source(script):
    for entries in script.FAMILIES.values():
        for entry in entries:
            assert entry.source in script.SOURCES
            assert (entry.parameters is None) == (entry.source == "-")


def test_a_row_adds_up_and_compares_with_the_published_figure(some):
    row = some[0]
    parts = row.conv + row.depthwise + row.dense + row.attention
    assert parts == pytest.approx(row.multiply_adds)
    # MobileNetV1 of width 0.25: 470,072 with 1000 classes; 0.47 published.
    assert row.parameters == pytest.approx(0.470072)
    assert row.parameters_difference == pytest.approx(0.0153, abs=1e-4)


def test_the_table_fits_a_hundred_columns_and_cuts_nothing(script, some, capsys):
    large = some[0]._replace(
        variant="small minimalistic",
        parameters=37.765,
        total_parameters=37.929,
        published_parameters=37.765,
        parameters_difference=-14.9,
        multiply_adds=7711.9,
        published_multiply_adds=7711.9,
        multiply_adds_difference=-19.6,
        conv=6870.6,
        depthwise=160.5,
        attention=679.5,
    )
    script.show([large, *some])
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 100
    assert "\u2026" not in printed
    assert "IsometricMobileNetV3" in printed


def test_csv_has_every_column_and_the_whole_source(script, some, capsys):
    script.write_csv(some)
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [line["family"] for line in lines] == [row.family for row in some]
    assert "research/slim" in lines[0]["source"]
    assert float(lines[0]["conv"]) == some[0].conv
    assert lines[1]["published_parameters"] == ""
