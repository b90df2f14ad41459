"""`python -m tflite_export`, as a person types it."""

import argparse
import json
import os
import pathlib
import subprocess
import sys

import export_networks as networks
import numpy as np
import pytest
import small
from PIL import Image

from tflite_export import __main__ as command
from tflite_export import benchmark, predict, quiet

FLAGS = {
    "export": {"--run_dir", "--precision", "--target", "--checkpoint", "--set"},
    "evaluate": {"model", "--experiment", "--set", "--limit"},
    "benchmark": {"models", "--threads"},
    "check": {"model", "--target", "--all"},
    "split": {"model", "--target", "--out"},
    "predict": {"model", "images", "--out"},
    "doctor": set(),
}


def commands() -> dict[str, argparse.ArgumentParser]:
    (action,) = (
        action
        for action in command.parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return dict(action.choices)


def test_the_commands_and_their_flags_are_the_contract():
    found = {
        name: {
            (action.option_strings or [action.dest])[-1] for action in parser._actions
        }
        - {"--help", "--debug"}
        for name, parser in commands().items()
    }
    assert found == FLAGS


def test_every_command_can_show_tracebacks():
    for parser in commands().values():
        assert "--debug" in parser.format_help()


@pytest.mark.parametrize("name", sorted(FLAGS))
def test_help_names_every_flag_and_fits_the_terminal(name, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as stopped:
        command.main([name, "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    for flag in FLAGS[name] - {"model", "models", "images"}:
        assert flag in text
    # The choices of --precision stand unbroken in the usage of export.
    assert name == "export" or max(map(len, text.splitlines())) <= 80


def test_the_help_lists_every_command_and_exit_status(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = command.parser().format_help()
    listed = {line.split()[0] for line in text.splitlines() if line.startswith("    ")}
    assert set(FLAGS) <= listed
    assert all(f"python -m tflite_export {name}" in text for name in FLAGS)
    assert all(f"{status} " in text.partition("exit status:")[2] for status in range(5))
    assert max(map(len, text.splitlines())) <= 80


def test_the_choices_are_what_there_is():
    text = commands()["export"].format_help()
    assert "{float32,float16,dynamic,int8,int16x8,mixed}" in text
    assert "{cpu,edgetpu,gpu,micro,npu}" in text
    assert "{best,last}" in text


def test_help_answers_without_tensorflow(root):
    code = (
        "import sys\n"
        "from tflite_export import __main__ as command\n"
        "try: command.main(['export', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True
    )
    assert ended.stdout.strip().splitlines()[-1] == "[]"


def failure(capsys, *arguments) -> tuple[int, str]:
    """Exit status and the lines on standard error."""
    try:
        status = command.main([str(argument) for argument in arguments])
    except SystemExit as stopped:
        status = stopped.code
    return status, capsys.readouterr().err.strip()


@pytest.mark.parametrize(
    "arguments",
    [
        ["export"],
        ["export", "--run_dir=x", "--precision=int4"],
        ["export", "--run_dir=x", "--target=abacus"],
        ["benchmark"],
        ["benchmark", "x.tflite", "--threads=0"],
        ["check", "gs://bucket/run/export/model_int8.tflite"],
        ["launch"],
        [],
    ],
)
def test_wrong_flags_are_one_line_and_status_2(arguments, capsys):
    status, line = failure(capsys, *arguments)
    assert status == 2
    assert line.startswith("error: ")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["export", "--rundir=x"], "--run_dir"),
        (["benchmark", "x.tflite", "--thread=2"], "--threads"),
        (["check", "x.tflite", "--targt=cpu"], "--target"),
        # Of the flags of the command that was given only.
        (["predict", "x.tflite", "a.png", "--thread=2"], None),
    ],
)
def test_a_mistyped_flag_gets_a_hint(arguments, hint, capsys):
    status, line = failure(capsys, *arguments)
    assert status == 2
    if hint:
        assert f"; did you mean {hint}" in line
    else:
        assert "--threads" not in line


@pytest.mark.parametrize("name", ["benchmark", "check", "evaluate", "predict"])
def test_a_damaged_file_is_one_line_and_status_2(name, tmp_path, capsys):
    path = tmp_path / "model.tflite"
    path.write_bytes(networks.content("int8")[:200])
    more = {"evaluate": ["--experiment=mnv3_seg_synthetic"], "predict": ["a.png"]}
    status, line = failure(capsys, name, path, *more.get(name, []))
    assert status == 2
    assert line.startswith(f"error: {path}: damaged TFLite model")
    assert "\n" not in line


def test_a_folder_that_holds_no_run_is_status_2(tmp_path, capsys):
    status, line = failure(capsys, "export", f"--run_dir={tmp_path}")
    assert status == 2
    assert line.startswith(f"error: {tmp_path} holds no run")
    assert "\n" not in line


def test_a_refused_file_is_status_3(tmp_path, capsys):
    def edit(model):
        model.subgraphs[0].tensors[0].shapeSignature = [-1, 32, 24, 3]

    path = tmp_path / "model.tflite"
    path.write_bytes(networks.edited(networks.content("int8"), edit))
    status, line = failure(capsys, "check", path)
    assert status == 3
    assert "dynamic shape [-1, 32, 24, 3]" in line


def test_a_file_for_other_classes_than_the_experiments_is_refused(tmp_path, capsys):
    path = networks.file(tmp_path, "int8")
    status, line = failure(
        capsys, "evaluate", path, "--experiment=mnv3_seg_synthetic", "--limit=1"
    )
    assert status == 2
    assert "tells 5 classes apart, the data set of the experiment has 19" in line


def test_the_benchmark_ends_with_a_line_of_json(tmp_path, capsys):
    paths = [str(networks.file(tmp_path, name)) for name in ("float32", "int8")]
    assert command.main(["benchmark", *paths]) == 0
    rows = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert [row["path"] for row in rows] == paths


def test_the_check_ends_with_a_line_of_json(tmp_path, capsys):
    path = networks.file(tmp_path, "int8")
    assert command.main(["check", str(path)]) == 0
    found = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert (found["model"], found["precision"]) == (str(path), "int8")
    assert found["refused"] == []
    assert sum(found["ops"].values()) == len(networks.parsed("int8").ops)


def test_the_evaluation_ends_with_a_line_of_json(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "official.experiment.load", lambda name, settings: small.experiment()
    )
    network = small.experiment().task.build(num_classes=3, training=False)
    path = tmp_path / "model.tflite"
    path.write_bytes(networks.convert(network, "float32"))
    arguments = ["evaluate", str(path), "--experiment=small", "--limit=2"]
    assert command.main(arguments) == 0
    found = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert (found["model"], found["examples"]) == (str(path), 2)
    assert 0 <= found["metrics"][found["metric"]] <= 1


def test_the_table_of_the_benchmark_fits_eighty_columns(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    row = benchmark.Figures(
        path=pathlib.Path("export/model_int8_class_ids.tflite"),
        size=12_345_678,
        latency_ms=123.456,
        rounds=60,
        threads=1,
        ops=1234,
        partitions=12,
        outside={"QUANTIZE": 2},
        peak_memory=123_456_789,
    )
    benchmark.show([row])
    title, head, line = capsys.readouterr().out.splitlines()
    assert "1 thread" in title
    assert head.split()[:6] == ["file", "MB", "ms", "ops", "parts", "peak"]
    assert line.split() == (
        [
            "model_int8_class_ids.tflite",
            "12.35",
            "123.46",
            "1234",
            "12",
            "123",
            "2",
            "QUANTIZE",
        ]
    )
    assert max(len(title), len(head.rstrip()), len(line.rstrip())) <= 80


def test_predictions_are_drawn_for_every_image(tmp_path, capsys):
    model = networks.file(tmp_path, "int8")
    images = [tmp_path / folder / "photo.png" for folder in ("a", "b")]
    for path in images:
        path.parent.mkdir()
        Image.fromarray(networks.pixels(1)[0].astype(np.uint8)).resize((60, 40)).save(
            path
        )
    out = tmp_path / "out"
    arguments = ["predict", model, *images, f"--out={out}"]
    assert command.main([str(argument) for argument in arguments]) == 0
    assert {path.name for path in out.iterdir()} == {"photo.png", "photo_2.png"}
    assert str(out / "photo.png") in capsys.readouterr().out
    with Image.open(out / "photo.png") as picture:
        assert picture.width > 2 * 400


def photos(folder, *names) -> list[pathlib.Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(networks.pixels(1)[0].astype(np.uint8)).save(path)
    return paths


def test_a_folder_stands_for_its_images(tmp_path, capsys):
    photos(tmp_path, "in/a.png", "in/below/b.png")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    out = tmp_path / "out"
    model = networks.file(tmp_path, "float32")
    predict.run(model, [tmp_path / "in"], out=out)
    assert {path.name for path in out.iterdir()} == {"a.png", "b.png"}
    assert "1 other files left out" in capsys.readouterr().out
    (tmp_path / "none").mkdir()
    status, line = failure(capsys, "predict", model, tmp_path / "none", f"--out={out}")
    assert status == 2
    assert "none: no image in this folder" in line


def test_no_picture_takes_the_name_of_another(tmp_path):
    names = ("x/a.png", "y/a.png", "a_2.png", "z/a.jpg", "A_2.jpg")
    out = tmp_path / "out"
    predict.run(networks.file(tmp_path, "float32"), photos(tmp_path, *names), out=out)
    assert {path.stem for path in out.iterdir()} == {
        "a",
        "a_2",
        "a_2_2",
        "a_3",
        "A_2_3",
    }


@pytest.mark.parametrize("out", [".", "../here"])
def test_an_image_is_never_overwritten_by_a_picture(tmp_path, monkeypatch, capsys, out):
    folder = tmp_path / "here"
    first, photo = photos(folder, "first.jpg", "photo.png")
    monkeypatch.chdir(folder)
    before = photo.read_bytes()
    model = networks.file(tmp_path, "float32")
    status, line = failure(capsys, "predict", model, first, photo, f"--out={out}")
    assert status == 2
    path = pathlib.Path(out) / "photo.png"
    assert line.startswith(f"error: {path} is one of the images and would be overw")
    assert "\n" not in line
    assert photo.read_bytes() == before
    assert not (folder / "first.png").exists()


def test_a_numbered_picture_overwrites_no_image_either(tmp_path, monkeypatch, capsys):
    # Of "x/a.jpg" and "a.jpg" the second would become "a_2.png".
    paths = photos(tmp_path, "x/a.jpg", "a.jpg", "a_2.png")
    model = networks.file(tmp_path, "float32")
    status, line = failure(capsys, "predict", model, *paths, f"--out={tmp_path}")
    assert status == 2
    assert f"{tmp_path / 'a_2.png'} is one of the images" in line


def test_an_interruption_while_tensorflow_loads_is_one_line(monkeypatch, capsys):
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(quiet, "import_tensorflow", interrupt)
    assert failure(capsys, "check", "x.tflite") == (4, "error: interrupted")


def test_what_the_user_set_for_tensorflow_stays(monkeypatch, capsys):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    monkeypatch.delenv("GRPC_VERBOSITY", raising=False)
    assert failure(capsys, "check", "x.tflite")[0] == 2
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"
    assert os.environ["GRPC_VERBOSITY"] == "NONE"


def test_a_description_that_does_not_fit_is_refused(tmp_path, capsys):
    model = networks.file(tmp_path, "int8")
    model.with_suffix(".json").write_text('{"class_names": ["a"], "palette": []}')
    status, line = failure(capsys, "predict", model, tmp_path / "photo.png")
    assert status == 2
    assert "not the description of a model" in line
