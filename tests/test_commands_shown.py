"""The facts and commands on the page: what was typed, and what can be typed next."""

import pathlib
import shlex

import numpy as np
import pytest
from PIL import Image

import train
from official.report import commands, facts
from tflite_export import __main__ as tflite_export

TYPED = [
    "--experiment=mnv2_cls_folder",
    "--overlay=configs/overlays/cpu.gin",
    "--set",
    "dataset.data_dir = 'my photos'",
    "--set=task.head.dropout = 0.1",
    "--run_dir=runs/two words",
]
START = {"arguments": TYPED, "date": "2026-01-02 03:04 UTC", "cores": 2}
RESULT = {
    "experiment": "mnv2_cls_folder",
    "rows": [
        {"name": "Keras", "metrics": {}},
        {"name": "float32", "file": "a.tflite", "size_bytes": 9, "gate": "passed"},
        {
            "name": "int8",
            "file": "b.tflite",
            "size_bytes": 3,
            "gate": "passed",
            "edgetpu": {},
        },
        {"name": "int8 x", "file": "c.tflite", "size_bytes": 2, "gate": "failed"},
    ],
}
FOLDER = pathlib.Path("elsewhere")


def words(command):
    first, *others = shlex.split(command.line)
    assert first == "python"
    return others


def test_the_command_of_the_run_is_given_back_as_it_was_typed():
    (command,) = commands.reproduction({"starts": [START]})
    script, *given = words(command)
    assert script == "train.py"
    assert given == TYPED
    assert train.parser().parse_args(given).set == [TYPED[3], "task.head.dropout = 0.1"]
    assert "\"dataset.data_dir = 'my photos'\"" in command.line


def test_a_run_that_went_on_has_its_other_commands_too():
    more = START | {"arguments": [*TYPED, "--set=trainer.epochs = 9"]}
    found = commands.reproduction({"starts": [START, START, more]})
    assert [words(each)[1:] for each in found] == [TYPED, more["arguments"]]
    assert commands.reproduction({"starts": [{"arguments": None}]}) == []
    assert commands.reproduction({}) == []


@pytest.mark.parametrize(
    "binding",
    ["a.b = 'c'", 'a.b = "c"', "a.b = '$HOME'", "a = 'it\\'s'", "plain", "a = @B(`x`)"],
)
def test_a_shell_reads_a_word_as_it_was(binding):
    (command,) = commands.reproduction({"starts": [{"arguments": [binding]}]})
    assert words(command) == ["train.py", binding]


def test_the_commands_for_the_files_are_understood_by_their_parser():
    found = commands.use({"starts": [START]}, RESULT, FOLDER)
    parsed = {}
    for command in found:
        module, name, *given = words(command)
        assert (module, name) == ("-m", "tflite_export")
        known = tflite_export.parser().parse_args(given)
        parsed[known.command] = known
    assert set(parsed) == {"predict", "evaluate", "benchmark", "check", "export"}
    # The smallest of the files that passed.
    assert parsed["predict"].model == pathlib.Path("runs/two words/export/b.tflite")
    assert parsed["check"].model == pathlib.Path("runs/two words/export/b.tflite")
    assert parsed["evaluate"].experiment == "mnv2_cls_folder"
    assert len(parsed["benchmark"].models) == 3
    assert parsed["export"].run_dir == "runs/two words"


def test_the_folder_of_a_run_is_the_one_that_was_given_or_the_usual_one():
    def folder_of(arguments):
        *_, last = commands.use({"starts": [{"arguments": arguments}]}, RESULT, FOLDER)
        return words(last)[-1]

    name = "--experiment=mnv2_cls_folder"
    assert folder_of([name]) == "--run_dir=runs/mnv2_cls_folder"
    assert folder_of([name, "--run_dir", "a/b/"]) == "--run_dir=a/b"
    assert folder_of(None) == "--run_dir=elsewhere"


def test_of_files_that_lie_elsewhere_only_the_export_is_shown():
    start = {"arguments": ["--run_dir=gs://bucket/run"]}
    (only,) = commands.use({"starts": [start]}, RESULT, FOLDER)
    assert words(only)[-1] == "--run_dir=gs://bucket/run"
    assert commands.snippet({"starts": [start]}, RESULT, FOLDER) == ""


def test_the_snippet_is_python_and_names_the_file():
    text = commands.snippet({}, RESULT, FOLDER)
    compile(text, "snippet", "exec")
    assert "'elsewhere/export/b.tflite'" in text
    assert commands.snippet({}, {"rows": []}, FOLDER) == ""


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [("uint8", [200, 10, 128]), ("int8", [72, -118, 0]), ("float32", [200, 10, 128])],
)
def test_the_snippet_gives_a_file_the_pixels_it_wants(dtype, wanted):
    text = commands.snippet({}, RESULT, FOLDER)
    start, end = text.index("pixels = "), text.index("for name, values")
    photo = Image.new("RGB", (4, 2), (200, 10, 128))
    names = {"np": np, "Image": Image, "photo": photo, "width": 1, "height": 1}
    names["given"] = {"dtype": dtype}
    exec(text[start:end], names)
    assert names["pixels"].dtype == dtype
    assert names["pixels"].tolist() == [[[wanted]]]


@pytest.mark.parametrize(
    ("share", "window"),
    [(None, (400, 200)), (1.0, (200, 200)), (0.875, (175, 175))],
)
def test_the_snippet_cuts_out_what_was_shown_in_evaluation(share, window):
    text = commands.snippet({}, RESULT, FOLDER)
    start, end = text.index("share = "), text.index("# Pillow smooths")
    names = {"photo": Image.new("RGB", (400, 200)), "width": 8, "height": 8}
    names["description"] = {"preprocessing": {"shown_share": share}}
    exec(text[start:end], names)
    assert names["photo"].size == window


def test_of_many_starts_the_first_and_the_last_are_kept(tmp_path):
    for day in range(40):
        start = START | {"date": f"day {day}"}
        facts.begin(tmp_path, {}, start, goes_on=day > 0)
        if day != 20:  # it was killed
            facts.end(tmp_path, 60)
    found = facts.read(tmp_path)
    assert len(found["starts"]) == 9
    rows = dict(facts.rows(found))
    assert rows["date"] == "day 0 to day 39"
    assert rows["training took"] == "at least 39 min 0 s, in 40 starts"


def test_a_start_that_had_nothing_to_train_is_taken_back(tmp_path):
    facts.begin(tmp_path, {}, START, goes_on=False)
    facts.end(tmp_path, 7)
    facts.begin(tmp_path, {}, START | {"cores": 4}, goes_on=True)
    facts.forget(tmp_path)
    assert [each["cores"] for each in facts.read(tmp_path)["starts"]] == [2]


def test_what_is_known_of_a_start_is_added_to_the_starts_before(tmp_path):
    known = {"network": {"backbone": "X"}}
    facts.begin(tmp_path, known, START, goes_on=False)
    facts.end(tmp_path, 61.04)
    facts.begin(tmp_path, known, START | {"cores": 4}, goes_on=True)
    rows = dict(facts.rows(facts.read(tmp_path)))
    # The second was killed: nobody knows how long it took.
    assert rows["training took"] == "at least 1 min 1 s, in 2 starts"
    assert rows["cores"] == "2, then 4"
    assert rows["backbone"] == "X"
    facts.end(tmp_path, 3600)
    rows = dict(facts.rows(facts.read(tmp_path)))
    assert rows["training took"] == "1 h 1 min, in 2 starts"


def test_what_is_not_known_has_no_row():
    assert facts.rows({}) == []
    names = dict(facts.rows({"starts": [{"date": "today", "commit": ""}]}))
    assert names == {"date": "today"}


def test_weights_that_nothing_gave_were_random():
    known = {"training": {"weights": None, "epochs": 3, "seed": 0}}
    assert dict(facts.rows(known)) == {
        "started from": "random weights",
        "epochs": "3",
        "seed": "0",
    }


def test_of_a_run_that_an_earlier_version_began_not_all_is_known(tmp_path):
    facts.begin(tmp_path, {}, START, goes_on=True)
    facts.end(tmp_path, 7)
    rows = dict(facts.rows(facts.read(tmp_path)))
    assert rows["training took"] == "at least 7 s, in 2 starts"
    assert len(commands.reproduction(facts.read(tmp_path))) == 1
