"""Data sets written as shards and read back, also after what can go wrong."""

import dataclasses
import importlib
import json
import os
import pathlib
import runpy
import sys

import numpy as np
import pytest
import tensorflow as tf
from contracts import test_datasets as fixtures

from official import failures
from official.data import errors, indexed, record_shards, record_writing, synthetic

STREETS = synthetic.SyntheticStreets(height=16, width=24, train_size=10)


def _write(dataset, folder, split="train", shards=3, limit=None):
    return record_writing.write(
        dataset,
        split,
        folder=pathlib.Path(folder),
        shards=shards,
        limit=limit,
        track=lambda items, what, total: items,
    )


def _read(folder):
    return record_shards.RecordShards(data_dir=str(folder))


def _assert_same(one, other):
    assert one.keys() == other.keys()
    for key, value in one.items():
        np.testing.assert_array_equal(value, other[key])
        assert np.asarray(value).dtype == np.asarray(other[key]).dtype


KINDS = sorted(set(fixtures.FIXTURES) - {"RecordShards", "WithUnlabeled"})


@pytest.mark.parametrize("name", KINDS)
def test_every_data_set_is_the_same_in_shards(name, tmp_path):
    kind = dict(fixtures._datasets())[name.partition(":")[0]]
    source = kind(**fixtures.FIXTURES[name](tmp_path / "source"))
    _write(source, tmp_path / "shards", limit=4)
    stored = _read(tmp_path / "shards")
    assert stored.class_names == source.class_names
    assert list(stored.palette) == [tuple(color) for color in source.palette]
    assert stored.thing_ids == source.thing_ids
    assert stored.image_numbers("train") == dict(source.image_numbers("train"))
    assert list(stored.category_ids("train")) == list(source.category_ids("train"))
    for one, other in zip(
        source.load("train", limit=4).as_numpy_iterator(),
        stored.load("train").as_numpy_iterator(),
        strict=True,
    ):
        _assert_same(one, other)


def test_the_file_of_an_image_is_stored_as_it_was(tmp_path):
    source = fixtures.image_folder.ImageFolder(**fixtures._image_folder(tmp_path / "a"))
    _write(source, tmp_path / "shards")
    for one, other in zip(
        source.load("train", undecoded=True).as_numpy_iterator(),
        _read(tmp_path / "shards").load("train", undecoded=True).as_numpy_iterator(),
        strict=True,
    ):
        assert one["encoded"][0] == other["encoded"][0]
        assert other["encoded"][1].endswith(b"(" + one["image_id"] + b")")


@pytest.mark.parametrize("options", [{}, {"start": 7}, {"start": 23, "limit": 8}])
def test_orders_are_those_of_the_data_set(tmp_path, options):
    _write(STREETS, tmp_path)
    for one, other in zip(
        STREETS.load("train", seed=3, **options).take(25).as_numpy_iterator(),
        _read(tmp_path).load("train", seed=3, **options).take(25).as_numpy_iterator(),
        strict=True,
    ):
        _assert_same(one, other)


def test_a_host_reads_its_own_examples_and_no_others(tmp_path, monkeypatch):
    _write(STREETS, tmp_path)
    read, seen = record_shards.record_index.part, []

    def part(file, place, size):
        seen.append((file, place))
        return read(file, place, size)

    monkeypatch.setattr(record_shards.record_index, "part", part)
    own = _read(tmp_path).load("train", keep=lambda position: position % 5 == 4)
    found = [int(example["position"]) for example in own.as_numpy_iterator()]
    assert found == [4, 9]
    assert len(seen) == 3  # the first example tells the keys


def test_the_shards_are_tfrecord_files_of_examples(tmp_path):
    index, _ = _write(STREETS, tmp_path, shards=4)
    assert [shard["examples"] for shard in index.shards] == [2, 3, 2, 3]
    files = [str(tmp_path / shard["file"]) for shard in index.shards]
    ids = [
        tf.train.Example.FromString(record.numpy())
        .features.feature["image_id"]
        .bytes_list.value[0]
        for record in tf.data.TFRecordDataset(files)
    ]
    assert ids == [e["image_id"] for e in STREETS.load("train").as_numpy_iterator()]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Breaking(indexed.IndexedDataset):
    """Ends after some examples, as long as a file is there."""

    switch: str
    class_names = ("a", "b")
    palette = ((0, 0, 0), (9, 9, 9))

    def records(self, split):
        return range(10)

    def read(self, record):
        if record == 7 and os.path.exists(self.switch):
            raise KeyboardInterrupt
        pixels = np.full((4, 5, 3), record, np.uint8)
        return {"image": pixels, "label": record % 2, "image_id": str(record)}


def test_a_writing_that_was_ended_goes_on_with_the_shards_that_are_whole(tmp_path):
    (tmp_path / "switch").touch()
    dataset = Breaking(switch=str(tmp_path / "switch"))
    with pytest.raises(KeyboardInterrupt):
        _write(dataset, tmp_path / "out", shards=5)
    # Of a process that was killed:
    (tmp_path / "out" / ".train-00003-of-00005.tfrecord.123").touch()
    with pytest.raises(failures.DataError, match="shards whose writing has not ended"):
        _read(tmp_path / "out").size("train")
    (tmp_path / "switch").unlink()
    _, kept = _write(dataset, tmp_path / "out", shards=5)
    assert kept == 3
    _write(dataset, tmp_path / "whole", shards=5)
    files = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert files == {p.name: p.read_bytes() for p in (tmp_path / "whole").iterdir()}


def test_other_shards_are_not_taken_for_ones_own(tmp_path):
    _write(STREETS, tmp_path)
    larger = dataclasses.replace(STREETS, height=32)
    assert _write(larger, tmp_path)[1] == 0
    assert next(iter(_read(tmp_path).load("train")))["image"].shape[0] == 32
    with pytest.raises(failures.DataError, match="other classes: give another --out"):
        _write(Breaking(switch="none"), tmp_path, split="val")


def test_a_damaged_record_is_named_and_the_command_mends_it(tmp_path):
    index, _ = _write(STREETS, tmp_path)
    file = tmp_path / index.shards[1]["file"]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    with (
        pytest.raises(failures.DataError, match=r"00001-of-00003.*record 1 is damaged"),
        errors.clear(),
    ):
        list(_read(tmp_path).load("train"))
    assert _write(STREETS, tmp_path)[1] == 2
    assert len(list(_read(tmp_path).load("train"))) == 10


def test_a_shard_that_is_short_or_missing_ends_before_training(tmp_path):
    index, _ = _write(STREETS, tmp_path)
    file = tmp_path / index.shards[2]["file"]
    file.write_bytes(file.read_bytes()[:-5])
    wanted = r"00002-of-00003\.tfrecord has \d+ bytes, not \d+: copy it again, or give"
    with pytest.raises(failures.DataError, match=wanted):
        _read(tmp_path).size("train")
    file.unlink()
    with pytest.raises(
        failures.DataError, match=r"00002-of-00003\.tfrecord is missing"
    ):
        _read(f"{tmp_path}/").size("train")
    beside = tmp_path / f"{index.shards[0]['file']}.json"
    beside.write_text("{")
    with pytest.raises(failures.DataError, match=r"tfrecord\.json is damaged"):
        _read(f"{tmp_path}//").size("train")


def test_a_shard_of_another_writing_is_refused(tmp_path):
    index, _ = _write(STREETS, tmp_path)
    beside = tmp_path / f"{index.shards[0]['file']}.json"
    content = json.loads(beside.read_text())
    beside.write_text(json.dumps(content | {"sha256": "0" * 64}))
    with pytest.raises(failures.DataError, match=r"00000-of-00003\.\S+ is not the one"):
        _read(tmp_path).size("train")


def test_a_file_that_vanishes_during_training_is_named(tmp_path):
    index, _ = _write(STREETS, tmp_path)
    stream = _read(tmp_path).load("train")
    (tmp_path / index.shards[2]["file"]).unlink()
    with (
        pytest.raises(
            failures.DataError, match=r"00002-of-00003\.tfrecord cannot be re"
        ),
        errors.clear(),
    ):
        list(stream)


def test_what_is_not_there_is_said_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(
        failures.DataError, match=r"no shards; write them with scripts/"
    ):
        _ = _read(tmp_path / "none").class_names
    _write(STREETS, tmp_path)
    with pytest.raises(failures.DataError, match="no split 'val'; it has train"):
        _read(tmp_path).size("val")
    with pytest.raises(failures.RequestError, match=r"--shards=11: want 1 to 10"):
        _write(STREETS, tmp_path, shards=11)


def test_a_full_disk_ends_in_one_line_and_keeps_what_is_whole(tmp_path, monkeypatch):
    written = tf.io.TFRecordWriter.write

    def write(self, record):
        if len(list(tmp_path.glob("*.tfrecord"))) == 2:
            raise tf.errors.ResourceExhaustedError(
                None, None, "No space left on device"
            )
        written(self, record)

    monkeypatch.setattr(tf.io.TFRecordWriter, "write", write)
    wanted = r"00002-of-00003\.tfrecord cannot be written \(No space left on device\)"
    with pytest.raises(failures.RunError, match=wanted):
        _write(STREETS, tmp_path)
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 4
    assert _write(STREETS, tmp_path)[1] == 2


def test_the_command_writes_and_says_how_to_use_it(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(os, "environ", os.environ.copy())
    script = runpy.run_path(str(root / "scripts" / "shard_dataset.py"))
    flags = [
        *("--experiment=mnv3_seg_synthetic", "--split=train", "--shards=2"),
        *(f"--out={tmp_path}", "--limit=5"),
        *("--set", "dataset = @SyntheticStreets(height=16, width=24)"),
    ]
    assert script["main"](flags) == 0
    told = capsys.readouterr().out
    assert f"dataset = @RecordShards(data_dir='{tmp_path}')" in told
    assert json.loads(told.splitlines()[-1]) == {"examples": 5, "shards": 2, "kept": 0}
    experiment = importlib.import_module("official.experiment")
    loaded = experiment.load(
        "mnv3_seg_synthetic",
        (),
        [f"dataset = @RecordShards(data_dir='{tmp_path}')"],
    )
    assert loaded.dataset.size("train") == 5
    assert script["main"]([*flags, "--split=test"]) == 2


def test_shards_are_read_from_any_file_system_of_tensorflow(tmp_path):
    _write(STREETS, tmp_path)
    for file in tmp_path.iterdir():
        with tf.io.gfile.GFile(f"ram://shards/{file.name}", "wb") as copy:
            copy.write(file.read_bytes())
    stored = _read("ram://shards")
    assert stored.class_names == STREETS.class_names
    for one, other in zip(
        STREETS.load("train", seed=1).take(4).as_numpy_iterator(),
        stored.load("train", seed=1).take(4).as_numpy_iterator(),
        strict=True,
    ):
        _assert_same(one, other)
