"""Every `train.py` command of the README and the guides is carried out, small.

One whose task, scheme and devices are of kinds that took steps before in the same
process builds its network and looks its data over, and takes none.
"""

import guide_training
import guides
import pytest

import train

LIST = "python train.py --list"
COMMANDS = [
    command
    for command in guides.beginning("python train.py ")
    if command != LIST and "@DataParallel()" not in command
]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Empty, but for what a clone of the project has."""
    (tmp_path / "configs").symlink_to(guides.ROOT / "configs")
    monkeypatch.chdir(tmp_path)


def experiment_of(command: str) -> str:
    return command.partition("--experiment=")[2].split()[0]


@pytest.mark.parametrize("command", COMMANDS, ids=experiment_of)
def test_a_guide_s_training_is_carried_out(command, capsys):
    guide_training.rehearse(guide_training.words_of(command), capsys)


def test_the_experiments_are_listed(capsys):
    assert LIST in guides.every()
    assert train.main(LIST.split()[2:]) == 0
    assert "mnv2_cls_folder " in capsys.readouterr().out
