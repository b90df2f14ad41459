"""What a person looks at."""

import io
import json

import numpy as np
import pytest
import rich.console

from official import atomic
from official.report import confusion, curves, history, html, pictures, terminal
from official.report.panels import base as panels

PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
NAMES = ("road", "car", "a class with a very long name indeed")
SEGMENTATION = panels.find("segmentation")


def panel(maps: int, classes: int = 3):
    image = np.full((20, 40, 3), 128, np.uint8)
    ids = np.arange(20 * 40).reshape(20, 40) % classes
    shown = {f"map {number}": {"class_ids": ids} for number in range(maps)}
    return SEGMENTATION.draw(image, {}, shown, class_names=NAMES, palette=PALETTE)


def truth_of(image, labels):
    truth = SEGMENTATION.truth({"semantic": labels})
    return SEGMENTATION.draw(image, truth, {}, class_names=NAMES, palette=PALETTE)


def test_a_tile_shows_the_colors_of_its_classes():
    image = np.zeros((10, 10, 3), np.uint8)
    drawn = truth_of(image, np.ones((10, 10), int))
    colors = np.asarray(drawn).reshape(-1, 3)
    # Blended over black: green, and neither red nor blue.
    assert (colors == (0, 165, 0)).all(axis=1).sum() > 400 * 400


def test_unlabelled_pixels_are_black_and_not_in_the_legend():
    image = np.full((10, 10, 3), 200, np.uint8)
    drawn = truth_of(image, np.full((10, 10), 255))
    assert (np.asarray(drawn) == 70).all(axis=-1).sum() > 400 * 400
    assert not (np.asarray(drawn) == PALETTE[0]).all(axis=-1).any()


def test_more_than_three_tiles_stand_in_two_rows():
    assert panel(2).width == pytest.approx(3 * 486, abs=12)
    assert panel(3).width == pytest.approx(2 * 486, abs=12)
    assert panel(3).height > panel(2).height + 40


def test_a_legend_that_is_too_wide_goes_on_in_the_next_line():
    ids = {"class_ids": np.arange(800).reshape(20, 40) % 60}
    long = [f"a class with a long name {number}" for number in range(60)]
    drawn = SEGMENTATION.draw(
        np.zeros((20, 40, 3), np.uint8),
        {},
        {"map": ids},
        class_names=long,
        palette=PALETTE * 20,
    )
    assert drawn.height >= panel(1).height + 10 * 18


def run_folder(folder, rows):
    result = {
        "experiment": "mnv3_seg_test <1>",
        "metric": "mean_iou",
        "constant": 0.1,
        "examples": 3,
        "split": "val",
        "best_epoch": 2,
        "rows": rows,
    }
    atomic.write(folder / "result.json", json.dumps(result))
    atomic.write(folder / "config.gin", "seed = 7\n")
    history.write(
        folder / "metrics.csv",
        [
            {"epoch": "1", "loss": "2.5"},
            {"epoch": "2", "loss": "1.5", "val_mean_iou": "0.4"},
        ],
    )
    (folder / "predictions").mkdir()
    panel(1).save(folder / "predictions" / "0.png")


METRICS = {
    "mean_iou": 0.4321,
    "mean_iou_cityscapes": 0.4,
    "pixel_accuracy": 0.8,
    "iou/road": 0.75,
}


def test_the_page_is_whole_in_itself_and_shows_every_part(tmp_path):
    int8 = {
        "name": "int8",
        "metrics": METRICS | {"iou/road": 0.74},
        "agreement": 0.985,
        "size_bytes": 1_234_567,
        "latency_ms": 1.25,
        "gate": "failed",
    }
    run_folder(tmp_path, [{"name": "Keras", "metrics": METRICS}, int8])
    page = html.write(tmp_path).read_text()
    for part in (
        "0.4321",
        "98.50 %",
        "1.23 MB",
        "1.25 ms",
        "failed",
        "0.740",
        "seed = 7",
    ):
        assert part in page, part
    assert "mnv3_seg_test &lt;1&gt;" in page
    assert page.count("data:image/jpeg;base64,") == 1
    assert "<svg" in page
    for outside in ('src="http', 'href="http', "url(http", "<link", "<script"):
        assert outside not in page, outside


def test_a_run_without_an_export_has_a_page_too(tmp_path):
    run_folder(tmp_path, [{"name": "Keras", "metrics": METRICS}])
    assert "0.4321" in html.write(tmp_path).read_text()


def test_metrics_of_any_task_are_shown(tmp_path):
    metrics = {"top1": 0.8125, "top5": 0.9875, "accuracy/a<b": 0.625}
    run_folder(tmp_path, [{"name": "Keras", "metrics": metrics}])
    file = tmp_path / "result.json"
    found = json.loads(file.read_text()) | {"metric": "top1"}
    file.write_text(json.dumps(found))
    confusion.write(tmp_path, np.array([[6, 2], [0, 1234]]), ("a<b", "c"))
    page = html.write(tmp_path).read_text()
    for part in ("0.8125", "0.9875", "Accuracy by class", "0.625"):
        assert part in page, part
    assert '<td>a&lt;b</td><td class="name">c</td><td>2</td><td>25.0 %</td>' in page
    assert page.count("data:image/png;base64,") == 1
    assert "Iou by class" not in page


def test_tables_of_many_classes_are_folded_away(tmp_path):
    metrics = METRICS | {f"iou/{number}": 0.5 for number in range(60)}
    run_folder(tmp_path, [{"name": "Keras", "metrics": metrics}])
    assert "<details><summary>61 classes" in html.write(tmp_path).read_text()


def test_a_metric_that_could_not_be_measured_is_left_blank(tmp_path):
    run_folder(tmp_path, [{"name": "Keras", "metrics": METRICS | {"iou/road": None}}])
    assert "<td>road</td><td></td>" in html.write(tmp_path).read_text()


def test_pictures_come_by_kind_and_number(tmp_path):
    run_folder(tmp_path, [])
    for name in ("mistakes", "10", "1", "best_1", "best_0", "training"):
        panel(1).save(tmp_path / "predictions" / f"{name}.png")
    found = pictures.ordered(tmp_path)
    names = {kind: [path.stem for path in paths] for kind, paths in found.items()}
    assert names == {
        "worst": [],
        "best": ["best_0", "best_1"],
        "mistakes": ["mistakes"],
        "": ["0", "1", "10"],
    }


def test_a_history_with_gaps_comes_back(tmp_path):
    rows = [{"epoch": "1", "loss": "2"}, {"epoch": "2", "loss": "1", "val_x": "3"}]
    history.write(tmp_path / "metrics.csv", rows)
    assert history.read(tmp_path / "metrics.csv") == [rows[0] | {"val_x": ""}, rows[1]]
    assert history.read(tmp_path / "none.csv") == []


def test_curves_leave_out_what_was_never_measured():
    rows = [{"epoch": "1", "loss": "2"}, {"epoch": "2", "loss": "1"}]
    text = curves.svg(rows, [["loss"], ["val_mean_iou"]])
    assert text.startswith("<svg")
    assert text.count('id="axes_') == 1


def test_a_table_fits_eighty_columns():
    columns = ("model", "mean_iou, %", "agreement", "size", "latency", "gate")
    row = ("float32", "43.21", "100.00 %", "12.90 MB", "123.45 ms", "passed")
    text = io.StringIO()
    console = rich.console.Console(file=text, width=80)
    console.print(terminal.table("Keras model and exported files", columns, [row]))
    assert "123.45 ms" in text.getvalue()
    assert max(map(len, text.getvalue().splitlines())) <= 80


def test_json_goes_to_programs_and_not_to_a_terminal(monkeypatch, capsys):
    terminal.last_line({"a": 1})
    assert capsys.readouterr().out == '{"a": 1}\n'
    shown = rich.console.Console(force_terminal=True)
    monkeypatch.setattr(terminal, "console", shown)
    terminal.last_line({"a": 1})
    assert capsys.readouterr().out == ""
