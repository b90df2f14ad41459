"""Every script in `scripts` starts and says what it takes."""

import os
import pathlib
import runpy
import sys

import pytest

SCRIPTS = sorted(
    file
    for file in pathlib.Path(__file__).resolve().parent.parent.glob("scripts/*.py")
    if '__name__ == "__main__"' in file.read_text()  # others are imported by these
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_shows_its_flags(script, capsys, monkeypatch):
    # What it puts there for its own process is undone.
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(sys, "path", [str(script.parent), *sys.path])
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert ended.value.code == 0
    assert script.name in capsys.readouterr().out
