"""Every training looks its data over first."""

import dataclasses
import time

import numpy as np
import pytest
import small
import small_classifier
from PIL import Image

from official import failures, runner
from official.data import (
    image_folder,
    looked_over,
    mask_folder,
    pipeline,
    with_unlabeled,
)
from official.report import facts, looking, overview, terminal
from official.report import looked_over as report

TRAIN = pipeline.Input(split="train", batch_size=2)
VAL = pipeline.Input(split="val", batch_size=2)


def passed(examples, count):
    del count
    return examples


@pytest.fixture
def folder(tmp_path):
    """A duplicate in "train", one picture in both splits, and no cow in "val"."""
    colors = {
        "train/cat/0.png": 10,
        "train/cat/again.png": 10,
        "train/cat/1.png": 20,
        "train/cow/0.png": 30,
        "val/cat/0.png": 20,
        "val/cat/1.png": 40,
    }
    for name, color in colors.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 16), (color, 0, 0)).save(path)
    (tmp_path / "data" / "val" / "cow").mkdir()
    return tmp_path / "data"


def test_what_is_odd_about_a_folder_is_found_before_the_training(folder, capsys):
    terminal.console.quiet = False
    dataset = image_folder.ImageFolder(data_dir=str(folder))
    with looking.Looking(dataset, (TRAIN, VAL)) as reader:
        found = reader.found()
    tables, warnings = report.show(found, dataset.class_names)
    assert warnings == [
        "'train' has 1 pictures more than once: train/cat/0.png = train/cat/again.png",
        "'val' has nothing of cow",
        "1 pictures are in both 'train' and 'val', so the figures will be too good: "
        "train/cat/1.png = val/cat/0.png",
    ]
    assert "warning: 'val' has nothing of cow" in " ".join(
        capsys.readouterr().out.split()
    )
    overview.write(folder, tables, warnings)
    kept = overview.read(folder)
    assert kept["warnings"] == warnings
    (table,) = kept["tables"]
    assert table["columns"] == ["", "train", "val"]
    assert ["can be read", "4", "2"] in table["rows"]
    assert ["images of cow", "1", "0"] in table["rows"]
    overview.write(folder, [], [])
    assert overview.read(folder) == {}


def test_no_image_is_decoded(folder, monkeypatch):
    monkeypatch.setattr(looked_over.encoded.Encoded, "decode", None)
    dataset = image_folder.ImageFolder(data_dir=str(folder))
    found = looked_over.quickly(dataset, TRAIN, watched=passed)
    assert (found.count, found.heights, found.whole) == (4, [16] * 4, True)


def test_of_a_large_split_the_same_part_is_read_each_time(folder, monkeypatch):
    sizes = [path.stat().st_size for path in folder.glob("train/*/*.png")]
    monkeypatch.setattr(looked_over, "_MOST_BYTES", 2.2 * np.mean(sizes))
    dataset = image_folder.ImageFolder(data_dir=str(folder))
    one, two = (looked_over.quickly(dataset, TRAIN, watched=passed) for _ in range(2))
    assert (one.count, one.total, one.whole) == (2, 4, False)
    assert one.pictures == two.pictures
    every = [one["image_id"].decode() for one in dataset.pick("train", range(4))]
    names = [name for names in one.pictures.values() for name in names]
    assert names == [every[0], every[2]]
    (table,), warnings = report.show({"train": one}, dataset.class_names)
    rows = overview._plain(table)["rows"]
    assert ["of", "4, spread evenly"] in rows
    # A part says nothing of classes that it does not have.
    assert not any("nothing of" in line for line in warnings)


def test_maps_of_classes_bound_the_part_too(monkeypatch):
    monkeypatch.setattr(looked_over, "_MOST_PIXELS", 3 * 32 * 32)
    found = looked_over.quickly(small.Quarters(), TRAIN, watched=passed)
    assert (found.count, found.total) == (3, 12)
    assert found.pixels[:3].sum() == 3 * 32 * 32


def test_all_images_are_compared_where_maps_are_files_of_their_own(
    tmp_path, monkeypatch
):
    for number in range(4):
        for folder, picture in (
            ("images", Image.new("RGB", (10, 8), (number // 3, 0, 0))),
            ("masks", Image.new("L", (10, 8), number % 2)),
        ):
            path = tmp_path / folder / "train" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
    (tmp_path / "classes.txt").write_text("road\nsky\n")
    monkeypatch.setattr(looked_over, "_MOST_PIXELS", 2 * 10 * 8)
    dataset = mask_folder.MaskFolder(data_dir=str(tmp_path))
    found = looked_over.quickly(dataset, TRAIN, watched=passed)
    assert (found.count, found.mapped, found.whole) == (4, 2, True)
    assert not found.wholly_mapped
    assert [len(names) for names in found.repeated] == [3]
    # The maps of 0 and 2 have no sky, and a part of them tells nothing of it.
    assert found.pixels[:2].tolist() == [160, 0]
    (table,), warnings = report.show({"train": found}, dataset.class_names)
    assert ["maps read, spread evenly", "2"] in overview._plain(table)["rows"]
    assert not any("nothing of" in line for line in warnings)


def test_a_label_out_of_range_ends_it():
    class Wrong(small_classifier.Colors):
        def read(self, record):
            example = super().read(record)
            return example | {"label": np.int32(7)} if record == 5 else example

    with (
        looking.Looking(Wrong(), (TRAIN,)) as reader,
        pytest.raises(failures.DataError, match=r"5: label 7; want 0..2"),
    ):
        reader.found()


def test_what_a_program_draws_is_not_looked_over():
    class Drawn(small_classifier.Colors):
        @property
        def drawn(self):
            return True

        def read(self, record):
            raise AssertionError("it was read")

    with looking.Looking(Drawn(), (TRAIN, VAL)) as reader:
        assert reader.found() == {}
    assert report.show({}, ()) == ([], [])
    mixed = with_unlabeled.WithUnlabeled(labeled=Drawn(), unlabeled=Drawn())
    assert mixed.drawn


def test_among_unlabelled_photographs_the_labelled_are_looked_over():
    colors = small_classifier.Colors()
    mixed = with_unlabeled.WithUnlabeled(labeled=colors, unlabeled=colors)
    found = looked_over.quickly(mixed, TRAIN, watched=passed)
    assert found.count == found.total == 12
    assert found.whole


def test_a_reader_ends_with_its_context():
    read = []

    class Slow(small_classifier.Colors):
        def records(self, split):
            return range(100_000)

        def read(self, record):
            read.append(record)
            return super().read(record)

    with (
        pytest.raises(ValueError, match="of the network"),
        looking.Looking(Slow(), (TRAIN,)),
    ):
        raise ValueError("of the network")
    assert len(read) < 10_000


def test_waiting_is_counted_when_it_takes_long(monkeypatch):
    monkeypatch.setattr(looking, "_PATIENCE", 0.0)
    shown = []

    class Sleepy(small.Quarters):
        def read(self, record):
            time.sleep(0.02)
            return super().read(record)

    def track(items, what, *, total):
        shown.append((what, total, sum(1 for _ in items)))
        return iter(())

    monkeypatch.setattr(terminal, "track", track)
    with looking.Looking(Sleepy(), (TRAIN, VAL)) as reader:
        found = reader.found()
    count = sum(each.count for each in found.values())
    assert count > 12
    ((what, total, ticks),) = shown
    assert (what, total) == ("reading", None)
    assert 0 < ticks <= count


def test_examples_are_given_in_order_as_they_are_stored(folder):
    dataset = image_folder.ImageFolder(data_dir=str(folder))
    names = [one["image_id"] for one in dataset.stored("train", [0, 3])]
    every = [one["image_id"].decode() for one in dataset.pick("train", range(4))]
    assert names == [every[0], every[3]]


def test_a_run_that_goes_on_does_not_look_again(monkeypatch):
    def refuse(*_):
        raise AssertionError("it was looked over")

    experiment = small.experiment()
    tables, warnings, _ = runner._prepared(experiment, fresh=True, look=True)
    assert [str(table.title) for table in tables] == ["images"]
    assert "12 pictures are in both" in warnings[0]
    monkeypatch.setattr(looking, "Looking", refuse)
    tables, warnings, _ = runner._prepared(experiment, fresh=False, look=False)
    assert (tables, warnings) == ([], [])


def test_a_run_keeps_what_it_found_and_what_is_known_of_its_starts(tmp_path):
    folder = tmp_path / "run"

    def run(epochs, *more):
        experiment = small_classifier.experiment()
        trainer = dataclasses.replace(experiment.trainer, epochs=epochs)
        runner.run(
            dataclasses.replace(experiment, trainer=trainer),
            name="colors",
            run_dir=folder,
            overwrite=False,
            evaluate_only=False,
            dry_run=False,
            arguments=["--experiment=colors", *more],
        )
        return facts.read(folder)

    first = run(1)
    assert first["data"] == {
        "kind": "Colors",
        "where": None,
        "classes": 3,
        "training": 12,
        "evaluation": 12,
    }
    (start,) = first["starts"]
    assert start["arguments"] == ["--experiment=colors"]
    assert start["seconds"] > 0
    kept = overview.read(folder)
    assert "12 pictures are in both 'train' and 'val'" in kept["warnings"][0]
    second = run(2, "--set=trainer.epochs = 2")
    assert len(second["starts"]) == 2
    assert second["training"]["epochs"] == 2
    assert overview.read(folder) == kept
    page = (folder / "report.html").read_text()
    for part in ("expected calibration error", "12 pictures are in both", "2 starts"):
        assert part in page, part
