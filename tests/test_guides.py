"""The guides' commands and code, carried out on small data.

One training of each task of `docs/own_data.md`, the commands for files of every page,
and the code of `docs/python.md` run to their end, with `my_photos` replaced. An overlay
makes the networks small; `init_from` is left out, as it downloads. The first steps of
every training are in `test_guide_trainings`; `test_guide_commands` says where the
others are carried out.
"""

import json
import pathlib
import re
import runpy
import shlex
import shutil
import sys

import guides
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import train
from official import experiment, failures
from official.training import checkpoints
from tflite_export import __main__ as tflite_export
from tflite_export import export

SMALL = (
    "task.image_size = (64, 64)",
    # Networks are built anew many times on the way, and V1 has the fewest layers.
    "task.backbone = @MobileNetV1(width_multiplier=0.25)",
    "train.batch_size = 2",
    "trainer.epochs = 1",
    "trainer.steps_per_epoch = 1",
    "export.calibration_examples = 2",
    "export.precisions = ('int8',)",
)
LARGE_HEAD = (
    "task.head.slots = 8",
    "task.head.layers = (1,)",
    "task.head.relaxed = 1",
    "task.method.max_segments = 16",
)
"""Of a mask transformer each layer more is a second more."""
FEW_BOXES = ("task.max_detections = 5", "eval.limit = 2")

PHOTOGRAPHS = 4
FLOWERS = "mnv2_cls_folder"
COMMANDS = guides.commands(guides.ROOT / "docs" / "own_data.md")
MEDIAPIPE = guides.beginning("python scripts/compare_mediapipe.py ")
FILES = [
    command
    for command in guides.beginning("python -m tflite_export ")
    if not command.endswith((" doctor", "--target=micro"))
    and "--experiment=mnv3_det_coco" not in command
]
"""Of one file; the others are of another network's, or of none."""
EXPORTS = [command for command in FILES if "tflite_export export " in command]


def photographs(folder: pathlib.Path) -> None:
    """A folder for each task, of the forms that the guide shows."""
    random = np.random.default_rng(0)

    def save(path: str, shape: tuple[int, ...], top: int = 255) -> None:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, top, shape, np.uint8)).save(file)

    rows = ["image,class,xmin,ymin,xmax,ymax"]
    for number in range(PHOTOGRAPHS):
        for split in ("train", "val"):
            for name in ("daisy", "rose"):
                save(f"flowers/{split}/{name}/{number}.jpg", (80, 96, 3))
        save(f"boxes/images/{number}.jpg", (80, 96, 3))
        rows.append(f"{number}.jpg,cup,10,20,60,70")
        for name in ("masks", "things"):
            save(f"{name}/images/{number}.jpg", (80, 96, 3))
        save(f"masks/masks/{number}.png", (80, 96), top=2)
        save(f"things/labels/{number}.png", (80, 96), top=2)
        save(f"things/instances/{number}.png", (80, 96), top=2)
    (folder / "boxes/boxes.csv").write_text("\n".join(rows))
    (folder / "masks/classes.txt").write_text("ground\nthing\n")
    classes = {"classes": ["ground", "car"], "things": ["car"]}
    (folder / "things/classes.json").write_text(json.dumps(classes))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("data")
    photographs(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def eager():
    """Tracing a network for one step takes ten times as long as the step."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def without_downloads(command: str, photos: pathlib.Path) -> list[str]:
    """The words behind `python train.py`, but for `init_from`.

    Of relative folders what has been read stays known, wherever the process goes.
    """
    words = shlex.split(command.replace("my_photos", str(photos)))[2:]
    found: list[str] = []
    for word in words:
        if word.startswith("init_from"):
            found.pop()  # its --set
        else:
            found.append(word)
    return found


def trained(
    name: str, photos: pathlib.Path, settings: tuple[str, ...], capsys
) -> tuple[int, str]:
    """Trains as the guide says; the status, and what is on standard error."""
    command = next(
        c for c in COMMANDS if f"--experiment={name} " in c and "train.py" in c
    )
    pathlib.Path("small.gin").write_text("\n".join(settings))
    words = without_downloads(command, photos)
    status = train.main([*words, "--overlay=small.gin"])
    return status, capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "photos", "more"),
    [
        ("mnv3_seg_folder", "masks", ()),
        ("mnv2_det_folder", "boxes", FEW_BOXES),
        ("mnv3_panoptic_folder", "things", LARGE_HEAD),
    ],
)
def test_a_guide_s_training_runs_to_its_report(
    name, photos, more, data, tmp_path, monkeypatch, capsys
):
    """Up to its export, which `test_experiments` has of each task."""
    exported = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(export, "run", lambda given, run_dir: exported.append(run_dir))
    status, error = trained(name, data / photos, SMALL + more, capsys)
    assert status == 0, error
    assert exported == [pathlib.Path("runs", name)]
    assert (exported[0] / "report.html").is_file()
    assert (exported[0] / "checkpoints" / "best.npz").is_file()


@pytest.fixture(scope="module")
def place(data, tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("flowers")
    photo = next((data / "flowers").rglob("*.jpg"))
    (folder / "photo.jpg").symlink_to(photo)
    return folder


@pytest.fixture
def classifier(place, data, monkeypatch, capsys) -> str:
    """The file of the guide's classifier, in its folder; trained once."""
    monkeypatch.chdir(place)
    path = pathlib.Path("runs", FLOWERS, "export", "model_int8.tflite")
    if not path.exists():
        status, error = trained(FLOWERS, data / "flowers", SMALL, capsys)
        # One step teaches nothing: the export ends outside of its gate, at its end.
        assert (status, "outside the parity gate" in error) == (3, True), error
    return str(path)


def file_words(command: str, classifier: str) -> list[str]:
    """What a command for files is given; every file and run is the classifier's."""
    words = command.partition(" [")[0].replace("PHOTOS", "photo.jpg")
    words = re.sub(r"\S+\.tflite", classifier, words).replace("NAME", FLOWERS)
    return shlex.split(words)


@pytest.mark.parametrize("command", [c for c in FILES if c not in EXPORTS])
def test_a_guide_s_command_for_files_runs(command, classifier, capsys):
    _, _, _, name, *given = file_words(command, classifier)
    status = tflite_export.main([name, *given])
    out, error = capsys.readouterr()
    if name == "split":  # what it makes of others is in `test_split`
        assert status == 2
        assert "use the file as it is" in error
        return
    assert status == 0, error
    if name == "predict":
        folder = "drawn" if "--out=drawn" in given else "predictions"
        assert list(pathlib.Path(folder).iterdir())
    else:
        assert json.loads(out.splitlines()[-1])


@pytest.mark.parametrize("command", [c for c in EXPORTS if "--target=" not in c])
def test_a_guide_s_export_runs(command, classifier, capsys):
    before = pathlib.Path(classifier).stat().st_mtime_ns
    assert tflite_export.main(file_words(command, classifier)[3:]) in (0, 3)
    capsys.readouterr()
    assert pathlib.Path(classifier).stat().st_mtime_ns > before


@pytest.mark.parametrize("command", [c for c in EXPORTS if "--target=" in c])
def test_a_guide_s_export_for_hardware_has_the_settings_of_its_target(
    command, classifier, monkeypatch
):
    """What a target makes of a network is in `test_targets`, the rest above."""
    found = []

    def inference_network(given, run_dir, checkpoint):
        found.append((given.export, run_dir))
        raise failures.RequestError("that is all")

    monkeypatch.setattr(checkpoints, "inference_network", inference_network)
    assert tflite_export.main(file_words(command, classifier)[3:]) == 2
    ((spec, run_dir),) = found
    assert spec.target == command.rpartition("--target=")[2]
    assert spec.precisions == ("int8",)
    assert run_dir / "export" == pathlib.Path(classifier).parent


@pytest.mark.parametrize("command", MEDIAPIPE)
def test_a_guide_s_comparison_with_mediapipe_runs(
    command, classifier, monkeypatch, capsys
):
    pytest.importorskip(
        "mediapipe", reason="MediaPipe is not installed: scripts/test.sh installs it"
    )
    _, script, *given = file_words(command, classifier)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(sys, "argv", [script, *given])
    runpy.run_path(str(guides.ROOT / script), run_name="__main__")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["photographs"] == 1


def test_the_code_of_the_python_guide_runs(classifier, data, monkeypatch, capsys):
    code = "\n".join(guides.blocks(guides.ROOT / "docs" / "python.md"))
    code = code.replace("my_photos", str(data / "flowers"))
    load = experiment.load

    def small(name, overlays=(), settings=()):
        return load(name, overlays, [*settings, *SMALL])

    def exported(given, *, run_dir):
        """What the export of the same run gave before."""
        assert given.trainer.epochs == 1
        assert (run_dir / "checkpoints" / "best.npz").is_file()
        shutil.copytree(pathlib.Path(classifier).parent, run_dir / "export")

    monkeypatch.setattr(experiment, "load", small)
    monkeypatch.setattr(export, "run", exported)
    names = {}
    exec(compile(code, "docs/python.md", "exec"), names)
    out = capsys.readouterr().out
    assert "(1, 2)" in out  # the logits of two classes
    assert names["file"].is_file()
    assert names["network"].input_shape == (None, 64, 64, 3)
