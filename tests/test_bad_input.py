"""The mistakes of a user: one line, the right exit status, and nothing half-written."""

import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

import train

EXPERIMENT = "--experiment=mnv3_seg_folder"


@pytest.fixture
def photos(tmp_path) -> pathlib.Path:
    """Twelve pictures with masks of two classes."""
    folder = tmp_path / "photos"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(12):
        picture = random.integers(0, 255, (20, 30, 3), np.uint8)
        Image.fromarray(picture).save(folder / "images" / f"{number}.jpg")
        mask = random.integers(0, 2, (20, 30)).astype(np.uint8)
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    (folder / "classes.txt").write_text("ground\nthing\n")
    return folder


def remove_a_mask(folder):
    (folder / "masks" / "3.png").unlink()


def resize_a_mask(folder):
    Image.new("L", (10, 20)).save(folder / "masks" / "3.png")


def mark_a_pixel_with_an_unknown_class(folder):
    for path in (folder / "masks").iterdir():
        mask = np.array(Image.open(path))
        mask[4, 5] = 7
        Image.fromarray(mask).save(path)


def truncate_the_images(folder):
    for path in (folder / "images").iterdir():
        path.write_bytes(path.read_bytes()[:-200])


def empty_an_image(folder):
    (folder / "images" / "3.jpg").write_bytes(b"")


def remove_the_classes(folder):
    (folder / "classes.txt").unlink()


def remove_everything(folder):
    shutil.rmtree(folder)


def remove_the_images(folder):
    for path in (folder / "images").iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (remove_a_mask, ("1 ", "have no mask", "3")),
        (resize_a_mask, ("3.png", "10", "30")),
        (mark_a_pixel_with_an_unknown_class, (".png", "7", "0..1")),
        (truncate_the_images, (".jpg", "truncated")),
        (empty_an_image, ("3.jpg", "empty")),
        (remove_the_classes, ("classes.txt",)),
        (remove_everything, ("photos", "SyntheticStreets")),
        (remove_the_images, ("images",)),
    ],
)
def test_wrong_data_is_one_line_and_status_two(spoil, words, photos, tmp_path, capsys):
    spoil(photos)
    status = train.main(
        [
            EXPERIMENT,
            f"--set=dataset.data_dir = {str(photos)!r}",
            "--set=train.batch_size = 2",
            "--set=task.image_size = (32, 32)",
            f"--run_dir={tmp_path / 'run'}",
        ]
    )
    error = capsys.readouterr().err
    assert status == 2, error
    assert len(error.splitlines()) == 1, error
    assert error.startswith("error: ")
    for word in words:
        assert word in error
    assert not list(tmp_path.rglob("*.npz"))
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("task.backbone.width_multiplyer = 0.5", ("did you mean width_multiplier",)),
        ("task.backbone.width_multiplier = '0.5'", ("float", "'0.5'")),
        ("task.backbone = @MobileNetV5()", ("MobileNetV2", "MobileNetV3")),
        ("task.backbone = @LRASPP()", ("Backbone",)),
        ("task.backbone.output_stride = 12", ("8, 16, 32",)),
        ("trainer.precision = 'float8'", ("mixed_bfloat16",)),
        ("export.precisions = ('int4',)", ("int8",)),
        ("export.target = 'cpuu'", ("did you mean cpu",)),
        ("init_from = 'nowhere.weights.h5'", ("nowhere.weights.h5", "does not exist")),
        ("task.class_weights = (1.0, 2.0, 3.0)", ("3 values", "2 classes")),
    ],
)
def test_a_wrong_binding_is_one_line_and_status_two(
    setting, words, photos, tmp_path, capsys
):
    status = train.main(
        [
            EXPERIMENT,
            f"--set=dataset.data_dir = {str(photos)!r}",
            "--set=train.batch_size = 2",
            "--set=task.image_size = (32, 32)",
            f"--set={setting}",
            f"--run_dir={tmp_path / 'run'}",
        ]
    )
    error = capsys.readouterr().err
    assert status == 2, error
    assert len(error.splitlines()) == 1, error
    for word in words:
        assert word in error
    assert not (tmp_path / "run").exists()


def test_a_run_folder_that_cannot_be_made_is_refused(photos, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    status = train.main(
        [
            EXPERIMENT,
            f"--set=dataset.data_dir = {str(photos)!r}",
            f"--run_dir={tmp_path / 'file' / 'run'}",
        ]
    )
    error = capsys.readouterr().err
    assert status == 2
    assert error == f"error: {tmp_path / 'file'} is a file; choose another --run_dir\n"
