"""What the README and the guides say exists, and their commands are understood."""

import pathlib
import re
import shlex
import subprocess
import sys

import pytest
from guides import PAGES, ROOT, commands

from official import catalog, experiment

NAME = "NAME"  # stands for any experiment


COMMANDS = [(page.name, command) for page in PAGES for command in commands(page)]


def _trainings() -> list[tuple[str, str]]:
    return [each for each in COMMANDS if "train.py" in each[1]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text()
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if "://" not in link:
            assert (page.parent / link).exists(), link
    ours = r"`((?:scripts|docs|configs|tests|official)/[\w/.-]+)`"
    for path in re.findall(ours, text):
        # What is to be added to the project is called x.
        assert (ROOT / path).exists() or pathlib.Path(path).stem == "x", path


def test_there_are_commands_to_look_at():
    assert len(_trainings()) > 20
    assert len(COMMANDS) > 50


@pytest.mark.parametrize(("page", "command"), _trainings())
def test_a_training_has_an_experiment_and_bindings_that_it_takes(page, command):
    del page  # in the test's name
    words = [word for word in shlex.split(command) if word != "..."]
    words = words[words.index("train.py") + 1 :]
    from train import parser

    given = parser().parse_args(words)
    if given.list:
        return
    if given.experiment == NAME:
        return
    assert given.experiment in catalog.names()
    overlays = [ROOT / overlay for overlay in given.overlay if "NAME" not in overlay]
    assert experiment.load(given.experiment, overlays, given.set)


@pytest.mark.parametrize(
    ("page", "command"),
    [each for each in COMMANDS if "-m tflite_export" in each[1]],
)
def test_an_export_command_has_flags_that_exist(page, command):
    from tflite_export.__main__ import parser

    words = shlex.split(command.replace("[", "").replace("]", ""))
    words = [word for word in words if word != "..."]
    assert parser().parse_args(words[words.index("tflite_export") + 1 :]), page


@pytest.mark.parametrize(
    "script",
    sorted(
        {
            w
            for _, c in COMMANDS
            for w in c.split()
            if w.startswith("scripts/") and w[8:]
        }
    ),
)
def test_a_script_is_there(script):
    assert (ROOT / script).is_file()


def test_the_readme_is_short_and_its_table_is_of_the_stored_results():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
    _require_written_anew("results_table.py")


def test_the_configuration_reference_is_of_the_dataclasses():
    _require_written_anew("make_configuration.py")


def _require_written_anew(script):
    command = [sys.executable, str(ROOT / "scripts" / script), "--check"]
    assert subprocess.run(command, check=False).returncode == 0, f"run scripts/{script}"
