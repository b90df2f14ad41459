"""The mistakes that are made most, and the line that each gives.

Each line says what is wrong, where, and what to do; the exit status is 2, and nothing is
written. Data that breaks on the way is in `test_bad_input`.
"""

import pathlib
import re
import shutil

import numpy as np
import pytest
from PIL import Image

import train
from official.training import session
from tflite_export import __main__ as tflite_export

SIZE = "--set=task.image_size = (32, 32)"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> pathlib.Path:
    """Small data for each task, in folders of their names."""
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)

    def save(path, shape, top=255):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, top, shape, np.uint8)).save(path)

    for number in range(6):
        for name in ("rose", "daisy"):
            save(root / f"flowers/{name}/{number}.jpg", (20, 30, 3))
        save(root / f"boxes/images/{number}.jpg", (20, 30, 3))
        save(root / f"masks/images/{number}.jpg", (20, 30, 3))
        save(root / f"masks/masks/{number}.png", (20, 30), top=2)
        save(root / f"things/images/{number}.jpg", (20, 30, 3))
        save(root / f"things/labels/{number}.png", (20, 30), top=2)
        save(root / f"things/instances/{number}.png", (20, 30), top=2)
    (root / "masks/classes.txt").write_text("ground\nthing\n")
    (root / "things/classes.json").write_text(
        '{"classes": ["ground", "car"], "things": ["car"]}'
    )
    rows = [f"{n}.jpg,cup,1,2,11,12" for n in range(6)]
    (root / "boxes/boxes.csv").write_text(
        "\n".join(["image,class,xmin,ymin,xmax,ymax", *rows])
    )
    (root / "labels.csv").write_text("file,label\n0.jpg,rose\n1.jpg,daisy\n")
    (root / "filled").mkdir()
    (root / "filled/notes.txt").write_text("mine")
    (root / "empty").mkdir()
    (root / "photo.jpg").write_text("not a photograph")
    (root / "model.tflite").write_text("not a model")
    return root


@pytest.fixture
def folder(made, tmp_path) -> pathlib.Path:
    """A copy that a test may spoil."""
    shutil.copytree(made, tmp_path / "data")
    return tmp_path / "data"


def flowers(*more):
    return [
        "--experiment=mnv2_cls_folder",
        "--set=dataset.data_dir = 'flowers'",
        "--set=train.batch_size = 2",
        SIZE,
        *more,
    ]


def masks(*more):
    return [
        "--experiment=mnv3_seg_folder",
        "--set=dataset.data_dir = 'masks'",
        "--set=train.batch_size = 2",
        SIZE,
        *more,
    ]


def boxes(*more):
    return [
        "--experiment=mnv2_det_folder",
        "--set=dataset.data_dir = 'boxes'",
        "--set=train.batch_size = 2",
        SIZE,
        *more,
    ]


def things(*more):
    return [
        "--experiment=mnv3_panoptic_folder",
        "--set=dataset.data_dir = 'things'",
        "--set=train.batch_size = 2",
        *more,
    ]


def write(path, text):
    return lambda: pathlib.Path(path).write_text(text)


def remove(path):
    def act():
        found = pathlib.Path(path)
        shutil.rmtree(found) if found.is_dir() else found.unlink()

    return act


def nothing():
    pass


# What was done, the arguments, words of the line.
MISTAKES = {
    "a misspelt experiment": (
        nothing,
        ["--experiment=mnv3_seg_sythetic"],
        "no such experiment; did you mean mnv3_seg_synthetic",
    ),
    "an address that ends with the process": (
        nothing,
        flowers("--run_dir=memory://run"),
        "--run_dir=memory://run would be gone with this process",
    ),
    "an overlay that is not there": (
        nothing,
        flowers("--overlay=cpu.gin"),
        "cpu.gin",
    ),
    "a binding without a value": (nothing, flowers("--set=train.batch_size"), "="),
    "a misspelt field": (
        nothing,
        flowers("--set=train.batchsize = 4"),
        "did you mean batch_size",
    ),
    "text for a number": (
        nothing,
        flowers("--set=train.batch_size = '4'"),
        "expected int",
    ),
    "a misspelt component": (
        nothing,
        flowers("--set=task.backbone = @MobilNetV2()"),
        "did you mean MobileNetV2",
    ),
    "a component in the wrong place": (
        nothing,
        flowers("--set=task.head = @MobileNetV2()"),
        "Head",
    ),
    "one number for height and width": (
        nothing,
        flowers("--set=task.image_size = 224"),
        "tuple[int, int]",
    ),
    "a batch of nothing": (nothing, flowers("--set=train.batch_size = 0"), "1 or more"),
    "a precision that is none": (
        nothing,
        flowers("--set=export.precisions = ('int4',)"),
        "int8",
    ),
    "a misspelt target": (
        nothing,
        flowers("--set=export.target = 'edgtpu'"),
        "did you mean edgetpu",
    ),
    "a width that no network has": (
        nothing,
        flowers("--set=task.backbone.width_multiplier = -1.0"),
        "width_multiplier",
    ),
    "weights that are not there": (
        nothing,
        flowers("--set=init_from = 'best.weights.h5'"),
        "best.weights.h5 does not exist",
    ),
    "weights by a name that is none": (
        nothing,
        flowers("--set=init_from = 'timm:mobilenetv2_10'"),
        "did you mean",
    ),
    "a run folder that has not trained": (
        nothing,
        flowers("--set=init_from = 'empty'"),
        "give the folder of a run that trained",
    ),
    "a teacher that is not there": (
        nothing,
        flowers("--set=teacher = 'big'", "--set=task.distillation_weight = 1.0"),
        "big: neither a folder that exists nor published weights",
    ),
    "a run folder with something else": (
        nothing,
        flowers("--run_dir=filled"),
        "filled is not empty and holds no run",
    ),
    "an address of no known kind": (
        nothing,
        flowers("--run_dir=gsx://bucket/run"),
        "gsx",
    ),
    "quantization-aware without a float run": (
        nothing,
        [
            "--experiment=mnv2_cls_folder_qat",
            "--set=dataset.data_dir = 'flowers'",
            "--set=train.batch_size = 2",
            SIZE,
            "--set=init_from = 'runs/mnv2_cls_folder'",
        ],
        "runs/mnv2_cls_folder does not exist",
    ),
    "several hosts, and none is named": (
        nothing,
        flowers("--set=trainer.strategy = @MultiWorker()"),
        "TF_CONFIG",
    ),
    "a wrong number of class weights": (
        nothing,
        flowers("--set=task.class_weights = (1.0, 2.0, 3.0)"),
        "3 values",
    ),
    "a misspelt folder of data": (
        nothing,
        [*flowers(), "--set=dataset.data_dir = 'flower'"],
        "data/flowers?)",
    ),
    "a folder of no images": (
        nothing,
        [*flowers(), "--set=dataset.data_dir = 'filled'"],
        "filled",
    ),
    "a folder that holds one class": (
        nothing,
        [*flowers(), "--set=dataset.data_dir = 'flowers/rose'"],
        "rose",
    ),
    "a table that is not there": (
        nothing,
        flowers("--set=dataset = @ImageList(data_dir='.', table='label.csv')"),
        "data/labels.csv?)",
    ),
    "a table without the column": (
        write("labels.csv", "name,class\n0.jpg,rose\n"),
        flowers("--set=dataset = @ImageList(data_dir='.', table='labels.csv')"),
        "column",
    ),
    "a split that is not there": (
        lambda: pathlib.Path("masks/train.txt").write_text("0\n1\n2\n3\n"),
        masks(),
        "no split 'val'; it has train",
    ),
    "masks that are missing": (remove("masks/masks/3.png"), masks(), "have no mask"),
    "no list of classes": (
        remove("masks/classes.txt"),
        masks(),
        "neither classes.json nor classes.txt",
    ),
    "two lists of masks": (
        lambda: pathlib.Path("masks/labels").mkdir(),
        masks(),
        "has both labels and masks",
    ),
    "no boxes": (remove("boxes/boxes.csv"), boxes(), "boxes.csv does not exist"),
    "boxes of an image that is not there": (
        write(
            "boxes/boxes.csv",
            "image,class,xmin,ymin,xmax,ymax\nnone.jpg,cup,1,2,11,12\n",
        ),
        boxes(),
        "none.jpg",
    ),
    "a word in the place of a coordinate": (
        write(
            "boxes/boxes.csv", "image,class,xmin,ymin,xmax,ymax\n0.jpg,cup,1,2,x,12\n"
        ),
        boxes(),
        "boxes.csv",
    ),
    "no maps of instances": (
        remove("things/instances"),
        things(),
        "the maps of instances",
    ),
    "no class that is a thing": (
        write("things/classes.json", '{"classes": ["ground", "car"]}'),
        things(),
        "no class is a thing",
    ),
    "classes as a dictionary": (
        write("things/classes.json", '{"classes": {"0": "ground"}}'),
        things(),
        "want a list of names",
    ),
    "COCO's form for a folder": (
        lambda: (
            remove("things/classes.json")(),
            pathlib.Path("things/panoptic_train.json").write_text("{}"),
        ),
        things(),
        "dataset = @COCOPanoptic(data_dir=",
    ),
}

EXPORTS = {
    "a run that is none": (["export", "--run_dir=filled"], "filled holds no run"),
    "a model that is none": (["predict", "model.tflite", "photo.jpg"], "model.tflite"),
    "a model that is not there": (["check", "none.tflite"], "none.tflite"),
}


def _require_one_line(status, error, words):
    assert status == 2, error
    assert error.startswith("error: "), error
    assert len(error.splitlines()) == 1, error
    assert words in error


def test_there_are_forty():
    assert len(MISTAKES) + len(EXPORTS) >= 40


def _trained(*_):
    raise AssertionError("the training would have begun")


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_that_helps(name, folder, monkeypatch, capsys):
    act, arguments, words = MISTAKES[name]
    monkeypatch.chdir(folder)
    monkeypatch.setattr(session, "train", _trained)
    act()
    before = sorted(folder.rglob("*"))
    if not any(argument.startswith("--run_dir") for argument in arguments):
        arguments = [*arguments, "--run_dir=run"]
    # Whole paths: what was read of a folder is remembered by its name.
    arguments = [re.sub(r"(data_dir ?= ?')", rf"\1{folder}/", a) for a in arguments]
    status = train.main(arguments)
    _require_one_line(status, capsys.readouterr().err, words)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", EXPORTS)
def test_a_mistake_with_a_file_is_one_line_that_helps(
    name, folder, monkeypatch, capsys
):
    arguments, words = EXPORTS[name]
    monkeypatch.chdir(folder)
    status = tflite_export.main(arguments)
    _require_one_line(status, capsys.readouterr().err, words)
