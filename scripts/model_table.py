"""Parameters and multiply-adds of every network, beside the published figures.

    python scripts/model_table.py
    python scripts/model_table.py --csv > models.csv

Each network is built with a classifier for 1000 classes and counted layer by layer, for
images of 224 pixels unless the name says another size. Numbers are millions; parameters
are those that training changes, "total" has the moving statistics of norms too. The
difference is that of our figure from the published one, which some sources round to one
or two decimals. Three are larger. For MobileNetV1 of width 0.75 "slim" has fewer
multiply-adds than its layers have. Its figures for the small MobileNetV3 are of another
network, also at width 1 (66 multiply-adds, where the paper has 56); ours have the
parameters of keras.applications.
"""

import argparse
import csv
import importlib
import math
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

CLASSES = 1000
WIDTH = 100

SOURCES = {
    "garden": "TensorFlow Model Garden 2.20.0, built and counted (1000 classes)",
    "slim": "READMEs of tensorflow/models, research/slim/nets (1001 classes)",
    "timm": "timm 1.0.31, built and counted",
    "tpu": "README of tensorflow/tpu, models/official/mnasnet",
    "-": "no figure is known; the network is unverified, from memory of its paper",
}


class Entry(NamedTuple):
    """A variant of a family.

    Attributes:
        fields: Of the backbone, that are not the default.
        parameters: Published, in millions.
        multiply_adds: Likewise, of one image.
        source: Key of `SOURCES`.
        size: Side of the image, in pixels.
    """

    fields: dict[str, Any]
    parameters: float | None
    multiply_adds: float | None
    source: str
    size: int = 224


FAMILIES = {
    "mobilenet_v1.MobileNetV1": (
        Entry({}, 4.232, 568.7, "garden"),
        Entry({"width_multiplier": 0.75}, 2.59, 317, "slim"),
        Entry({"width_multiplier": 0.5}, 1.34, 150, "slim"),
        Entry({"width_multiplier": 0.25}, 0.47, 41, "slim"),
    ),
    "mobilenet_v2.MobileNetV2": (
        Entry({}, 3.505, 300.8, "garden"),
        Entry({"width_multiplier": 1.4}, 6.06, 582, "slim"),
        Entry({"width_multiplier": 0.75}, 2.61, 209, "slim"),
        Entry({"width_multiplier": 0.5}, 1.95, 97, "slim"),
        Entry({"width_multiplier": 0.35}, 1.66, 59, "slim"),
    ),
    "mobilenet_v3.MobileNetV3": (
        Entry({"variant": "large"}, 5.483, 216.6, "garden"),
        Entry({"variant": "large", "width_multiplier": 0.75}, 4.0, 155, "slim"),
        Entry({"variant": "large", "minimalistic": True}, 3.9, 209, "slim"),
        Entry({"variant": "small"}, 2.543, 56.5, "garden"),
        Entry({"variant": "small", "width_multiplier": 0.75}, 2.4, 44, "slim"),
        Entry({"variant": "small", "minimalistic": True}, 2.0, 65, "slim"),
        Entry({"variant": "small", "reduced_tail": True}, 1.712, 42.5, "garden"),
    ),
    "mobilenet_edgetpu.MobileNetEdgeTPU": (Entry({}, 4.091, 990.7, "garden"),),
    "mobilenet_v3_isometric.IsometricMobileNetV3": (
        Entry({"variant": "large"}, None, None, "-"),
        Entry({"variant": "small"}, None, None, "-"),
    ),
    "mobilenet_v4.MobileNetV4": (
        Entry({"variant": "conv_small"}, 3.774, 186.0, "garden"),
        Entry({"variant": "conv_medium"}, 9.716, 1080.2, "garden", 256),
        Entry({"variant": "conv_large"}, 32.591, 6376.2, "garden", 384),
        Entry({"variant": "hybrid_medium"}, 11.075, 1271.2, "garden", 256),
        Entry({"variant": "hybrid_large"}, 37.765, 7711.9, "garden", 384),
        Entry({"variant": "conv_medium_seg"}, 5.022, 802.9, "garden", 256),
    ),
    "mnasnet.MnasNet": (
        Entry({"variant": "a1"}, 3.9, 312, "tpu"),
        Entry({"variant": "b1"}, 4.383312, None, "timm"),
        Entry({"variant": "small"}, 2.0, 68, "tpu"),
    ),
    "multi_hardware.MultiHardware": (
        Entry({"variant": "avg"}, 4.949, 432.5, "garden"),
        Entry({"variant": "max"}, 4.423, 349.2, "garden"),
        Entry({"variant": "avg_seg"}, 3.491, 392.8, "garden"),
        Entry({"variant": "max_seg"}, 3.183, 320.2, "garden"),
    ),
}


class Row(NamedTuple):
    """A row of the table; numbers in millions, differences in percent."""

    family: str
    variant: str
    size: int
    parameters: float
    total_parameters: float
    published_parameters: float | None
    parameters_difference: float | None
    multiply_adds: float
    published_multiply_adds: float | None
    multiply_adds_difference: float | None
    conv: float
    depthwise: float
    dense: float
    attention: float
    source: str


def rows() -> Iterator[Row]:
    """Builds and counts one network after the other."""
    for path, entries in FAMILIES.items():
        module, family = path.split(".")
        kind = getattr(importlib.import_module(f"official.backbones.{module}"), family)
        for entry in entries:
            yield _row(family, kind(**entry.fields), entry)


def _row(family: str, backbone: Any, entry: Entry) -> Row:
    import keras

    from official.heads import classification
    from official.layers import cost

    images = keras.Input((entry.size, entry.size, 3))
    outputs = classification.Classification()(backbone(images), CLASSES)
    model = keras.Model(images, outputs)
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    kinds = {k: v / 1e6 for k, v in cost.multiply_adds_by_kind(model).items()}
    multiply_adds = sum(kinds.values())
    return Row(
        family=family,
        variant=" ".join(map(_spelled, entry.fields.items())) or "width 1",
        size=entry.size,
        parameters=trainable / 1e6,
        total_parameters=model.count_params() / 1e6,
        published_parameters=entry.parameters,
        parameters_difference=_percent(trainable / 1e6, entry.parameters),
        multiply_adds=multiply_adds,
        published_multiply_adds=entry.multiply_adds,
        multiply_adds_difference=_percent(multiply_adds, entry.multiply_adds),
        **kinds,
        source=entry.source,
    )


def _spelled(field: tuple[str, Any]) -> str:
    name, value = field
    if name == "width_multiplier":
        return f"width {value:g}"
    return name if value is True else str(value)


def _percent(ours: float, published: float | None) -> float | None:
    return None if published is None else 100 * (ours / published - 1)


def write_csv(counted: Iterable[Row]) -> None:
    """Writes all columns, unrounded, with the sources spelt out."""
    writer = csv.writer(sys.stdout)
    writer.writerow(Row._fields)
    for row in counted:
        writer.writerow(row._replace(source=SOURCES[row.source]))


def show(counted: Iterable[Row]) -> None:
    """Prints the table, `WIDTH` columns wide, and what its sources are."""
    import rich.console
    import rich.table

    console = rich.console.Console(width=WIDTH, highlight=False)
    table = rich.table.Table(
        box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True
    )
    table.add_column("\n", no_wrap=True)
    for header in (
        *("param-\neters", "\ntotal", "publi-\nshed", "diff\n%"),
        *("mult-\nadds", "publi-\nshed", "diff\n%"),
        *("of it\nconv", "depth\nwise", "\ndense", "\nattn", "\nsource"),
    ):
        table.add_column(header, justify="right", no_wrap=True)
    family = None
    for row in counted:
        if row.family != family:
            family = row.family
            table.add_row(f"[bold]{family}[/]")
        table.add_row(*_cells(row))
    console.print(table)
    for key, text in SOURCES.items():
        console.print(f"{key:>6}  {text}")


def _cells(row: Row) -> tuple[str, ...]:
    return (
        f" {row.variant}" + (f" {row.size}" if row.size != 224 else ""),
        _number(row.parameters, 3),
        _number(row.total_parameters, 3),
        _number(row.published_parameters, 3),
        _number(row.parameters_difference, 1, sign="+"),
        _number(row.multiply_adds, 1),
        _number(row.published_multiply_adds, 1),
        _number(row.multiply_adds_difference, 1, sign="+"),
        _number(row.conv, 1),
        _number(row.depthwise, 1),
        _number(row.dense, 2),
        _number(row.attention or None, 1),
        row.source,
    )


def _number(value: float | None, digits: int, *, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.{digits}f}"


def main() -> None:
    """Counts everything and prints it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--csv", action="store_true", help="CSV instead of a table")
    write = write_csv if parser.parse_args().csv else show
    write(rows())


if __name__ == "__main__":
    main()
