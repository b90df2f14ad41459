"""The command line of `train.py`: flags, exit statuses, and what `--help` imports."""

import os
import pathlib
import subprocess
import sys
import time

import pytest

import train
from official import catalog, failures

NAMES = sorted(catalog.names())

FLAGS = {
    "-h",
    "--help",
    "--list",
    "--experiment",
    "--overlay",
    "--set",
    "--run_dir",
    "--overwrite",
    "--evaluate_only",
    "--dry_run",
    "--debug",
}


def status_and_error(capsys, *arguments: str) -> tuple[int, str]:
    try:
        status = train.main(arguments)
    except SystemExit as ended:
        status = int(ended.code or 0)
    return status, capsys.readouterr().err


def test_the_flags_are_the_contract():
    actions = train.parser()._actions
    assert {option for action in actions for option in action.option_strings} == FLAGS


def test_bindings_and_overlays_are_repeatable_and_keep_their_order():
    given = train.parser().parse_args(
        [
            "--experiment=a",
            "--set",
            "b = 1",
            "--overlay=c",
            "--set=d = 2",
            "--overlay=e",
        ]
    )
    assert given.set == ["b = 1", "d = 2"]
    assert given.overlay == ["c", "e"]
    assert given.run_dir is None


def test_help_names_every_flag_and_fits_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = train.parser().format_help()
    assert all(flag in text for flag in FLAGS)
    assert max(map(len, text.splitlines())) <= 80


def test_the_list_names_each_experiment_and_says_all_of_it(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert train.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line[0] != " "] == NAMES
    assert "..." not in "".join(lines)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("flag", ["--help", "--list"])
def test_help_and_list_answer_without_loading_a_framework(root, flag):
    code = (
        "import sys, train\n"
        f"try:\n    train.main(['{flag}'])\n"
        "finally:\n"
        "    heavy = {'keras', 'tensorflow', 'numpy', 'jax'} & set(sys.modules)\n"
        "    print('heavy:', sorted(heavy), file=sys.stderr)\n"
    )
    seconds = []
    while len(seconds) < 3 and min(seconds, default=9) > 1.5:  # machines can be busy
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=root, capture_output=True, text=True
        )
        seconds.append(time.monotonic() - start)
        assert done.stderr.strip() == "heavy: []"
        assert done.returncode == 0
    assert min(seconds) < 1.5


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "--experiment=NAME is missing"),
        (["--experimant=a"], "unrecognized arguments: --experimant=a"),
        (["--experimant=a"], "; did you mean --experiment"),
        (["--experiment=a", "--overrite"], "; did you mean --overwrite"),
        (["--experiment=a", "--zzz"], "unrecognized arguments: --zzz (--help"),
        (["--exp=a"], "unrecognized arguments: --exp=a"),
        (["--experiment=a", "more"], "unrecognized arguments: more"),
        (["--experiment=a", "--run_dir"], "--run_dir: expected one argument"),
        (["--experiment=a", "--evaluate_only", "--dry_run"], "neither"),
        (["--experiment=a", "--evaluate_only", "--overwrite"], "neither"),
    ],
)
def test_a_usage_error_is_one_line(capsys, arguments, expected):
    status, error = status_and_error(capsys, *arguments)
    assert status == 2
    assert expected in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_an_unknown_experiment_is_one_line_with_the_nearest_name(capsys):
    status, error = status_and_error(capsys, f"--experiment={NAMES[0][:-1]}")
    assert status == 2
    assert f"did you mean {NAMES[0]}" in error
    assert error.count("\n") == 1


def test_a_misspelt_binding_is_one_line_with_its_place(root, tmp_path):
    overlay = tmp_path / "overlay.gin"
    overlay.write_text("# sizes\ntrainer.epohcs = 2\n")
    # As from a shell: TensorFlow greets where its settings are not inherited.
    inherited = {name: value for name, value in os.environ.items() if name[:3] != "TF_"}
    done = subprocess.run(
        [
            sys.executable,
            "train.py",
            f"--experiment={NAMES[0]}",
            f"--overlay={overlay}",
        ],
        cwd=root,
        env=inherited,
        capture_output=True,
        text=True,
    )
    assert f"error: {overlay}:2: trainer.epohcs = 2: " in done.stderr
    assert "did you mean epochs?" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert done.returncode == 2


def test_a_wrong_setting_is_one_line_with_its_path(capsys):
    status, error = status_and_error(
        capsys, f"--experiment={NAMES[0]}", "--set", "task.image_size = 512"
    )
    assert status == 2
    assert "--set: task.image_size = 512: expected tuple[int, int]" in error
    assert error.count("\n") == 1


def test_the_stages_follow_each_other(monkeypatch, capsys, tmp_path):
    from official import runner
    from tflite_export import export

    calls = []

    def train_it(
        experiment, *, name, run_dir, overwrite, evaluate_only, dry_run, arguments
    ) -> bool:
        assert arguments[0] == f"--experiment={name}"
        calls.append((name, run_dir, overwrite, evaluate_only, dry_run))
        calls.append(experiment.seed)
        return not (evaluate_only or dry_run)

    def export_it(experiment, *, run_dir) -> None:
        calls.append(("export", run_dir, experiment.seed))
        raise failures.GateError("outside its gate")

    monkeypatch.setattr(runner, "run", train_it)
    monkeypatch.setattr(export, "run", export_it)
    name = f"--experiment={NAMES[0]}"

    status, error = status_and_error(capsys, name, "--set", "seed = 9")
    default = pathlib.Path("runs") / NAMES[0]
    assert (status, error) == (3, "error: outside its gate\n")
    expected = [(NAMES[0], default, False, False, False), 9, ("export", default, 9)]
    assert calls == expected

    for flag, column in (("--evaluate_only", 3), ("--dry_run", 4)):
        calls.clear()
        assert train.main([name, f"--run_dir={tmp_path}", flag]) == 0
        assert calls[0][1] == tmp_path
        assert calls[0][column] is True
        assert len(calls) == 2  # nothing is exported


@pytest.mark.parametrize(
    ("raised", "status", "line"),
    [
        (None, 0, ""),
        (failures.RunError("loss is NaN"), 1, "error: loss is NaN\n"),
        (failures.RequestError("wrong"), 2, "error: wrong\n"),
        (failures.DataError("missing"), 2, "error: missing\n"),
        (failures.GateError("gate"), 3, "error: gate\n"),
        (failures.Interrupted("kept"), 4, "error: kept\n"),
        (KeyboardInterrupt(), 4, "error: interrupted\n"),
        (OSError(28, "No space left", "f"), 1, "error: No space left: f\n"),
        (ZeroDivisionError("a\nb"), 1, "error: unexpected ZeroDivisionError: a b"),
    ],
)
def test_every_ending_has_its_exit_status_and_one_line(capsys, raised, status, line):
    def command() -> None:
        if raised is not None:
            raise raised

    assert failures.run(command, debug=False) == status
    error = capsys.readouterr().err
    assert error.startswith(line)
    assert error.count("\n") == (raised is not None)


def test_a_traceback_is_shown_with_debug_only(capsys):
    def command() -> None:
        raise failures.RunError("here")

    failures.run(command, debug=True)
    assert "Traceback" in capsys.readouterr().err
