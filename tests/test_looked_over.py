"""What a rehearsal says of the data."""

import numpy as np
import pytest

from official.data import looked_over
from official.report import looked_over as report
from official.report import terminal


def _example(name, value, *, size=(4, 6), **more):
    return {"image": np.full((*size, 3), value), "image_id": name.encode(), **more}


@pytest.fixture
def splits():
    train, val = looked_over.LookedOver(), looked_over.LookedOver()
    for name, value, label in (("a", 1, 0), ("b", 2, 0), ("c", 1, 1)):
        train.add(_example(name, value, label=np.int32(label)))
    val.add(_example("d", 2, label=np.int32(1)))
    val.add(_example("e", 2, size=(6, 4), label=np.int32(-1)))
    return {"train": train, "val": val}


def test_equal_pictures_are_found_within_and_between_splits(splits):
    train, val = splits.values()
    assert train.repeated == [["a", "c"]]
    assert val.repeated == []  # the same bytes in another shape are another picture
    assert train.shared(val) == [("b", "d")]


def test_classes_without_an_image_or_a_pixel_are_named(splits):
    assert splits["train"].unseen(("cat", "dog", "cow")) == ["cow"]
    maps = looked_over.LookedOver()
    assert maps.unseen(("road",)) == []  # of boxes nothing is known here
    maps.add(_example("m", 0, semantic=np.array([[0, 255], [2, 2]])))
    assert maps.unseen(("road", "sky", "car")) == ["sky"]
    assert maps.pixels[[0, 1, 2, 255]].tolist() == [1, 0, 2, 1]


def test_several_classes_of_an_image_are_counted_each():
    found = looked_over.LookedOver()
    found.add(_example("m", 0, labels=np.float32([1, 0, 1, -1])))
    assert dict(found.classes) == {0: 1, 2: 1}


def test_classes_that_differ_in_case_and_marks_alone_are_pointed_out(splits):
    (line,) = report._odd({}, ("cat", "dog", "Cat ", "cow"))
    assert line == "classes 'cat' and 'Cat ' may be one, written in two ways"
    assert not list(report._odd({}, ("cat", "dog", "cats")))


def test_the_table_and_the_warnings_say_it(splits, capsys):
    terminal.console.quiet = False
    report.show(splits, ("cat", "dog", "cow"))
    text = capsys.readouterr().out
    lines = [line.split() for line in text.splitlines()]
    assert ["can", "be", "read", "3", "2"] in lines
    assert ["images", "of", "cat", "2", "0"] in lines
    flat = " ".join(text.split())
    assert "warning: 'train' has nothing of cow" in flat
    assert "warning: 'val' has nothing of cat, cow" in flat
    assert "'train' has 1 pictures more than once: a = c" in flat
    assert (
        "1 pictures are in both 'train' and 'val', so the figures will be too" in flat
    )
