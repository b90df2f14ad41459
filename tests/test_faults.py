"""Where one example is faulty, the others that are come with it."""

import numpy as np
import pytest
import small
from PIL import Image

from official import failures
from official.data import (
    faults,
    image_folder,
    looked_over,
    memory,
    photos,
    pipeline,
    with_unlabeled,
)
from official.report import terminal
from official.training import preparation, rehearsal

TRAIN = pipeline.Input(split="train", batch_size=2)


@pytest.fixture
def folder(tmp_path):
    """30 photographs of a class, the others to be damaged."""
    pixels = np.random.default_rng(0).integers(0, 255, (24, 20, 3), np.uint8)
    for name in ("cat", "cow"):
        path = tmp_path / "train" / name
        path.mkdir(parents=True)
        for number in range(15):
            Image.fromarray(pixels + np.uint8(number)).save(path / f"{number}.jpg")
    return tmp_path / "train"


def _data(folder):
    return image_folder.ImageFolder(data_dir=str(folder.parent))


def test_all_files_whose_heads_are_no_image_s_are_named_at_once(folder):
    for name in ("cat/3.jpg", "cow/0.jpg", "cow/9.jpg"):
        (folder / name).write_text("not found")
    with pytest.raises(failures.DataError) as caught:
        looked_over.quickly(_data(folder), TRAIN, watched=lambda examples, _: examples)
    first, *lines = str(caught.value).splitlines()
    assert first == "3 examples of 'train' are faulty:"
    assert [
        name in line
        for name, line in zip(
            ("cat/3.jpg", "cow/0.jpg", "cow/9.jpg"), lines, strict=True
        )
    ] == [True] * 3


def test_one_alone_is_told_as_it_is(folder):
    (folder / "cow/0.jpg").write_text("not found")
    with pytest.raises(failures.DataError) as caught:
        looked_over.quickly(_data(folder), TRAIN, watched=lambda examples, _: examples)
    assert "cow/0.jpg" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_of_very_many_twenty_are_named(folder):
    for path in folder.rglob("*.jpg"):
        path.write_text("not found")
    with pytest.raises(failures.DataError) as caught:
        looked_over.quickly(_data(folder), TRAIN, watched=lambda examples, _: examples)
    lines = str(caught.value).splitlines()
    assert lines[0] == "20 or more examples of 'train' are faulty:"
    assert len(lines) == 21


def test_a_picture_that_breaks_off_is_found_where_pictures_are_decoded(folder):
    for name in ("cat/3.jpg", "cow/9.jpg"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-50])
    dataset = _data(folder)
    tried = dataset.tried("train", range(30), decoded=True)
    first = next(each for each in tried if isinstance(each, failures.DataError))
    found = [
        faults.others(
            dataset,
            "train",
            range(30),
            first,
            decoded=decoded,
            whole=True,
            watched=lambda tried, _: tried,
        )
        for decoded in (False, True)
    ]
    assert found[0] is None
    assert str(found[1]).startswith("2 examples of 'train' are faulty:")
    assert "cow/9.jpg" in str(found[1])


def test_what_was_found_first_is_among_them_and_a_part_is_no_total(folder):
    for name in ("cat/3.jpg", "cow/0.jpg"):
        (folder / name).write_text("not found")
    error = faults.others(
        _data(folder),
        "train",
        range(15),
        failures.DataError("the label of one is wrong"),
        decoded=False,
        whole=False,
        watched=lambda tried, _: tried,
    )
    assert str(error).splitlines()[0] == "2 or more examples of 'train' are faulty:"
    assert "the label of one is wrong" in str(error)


def test_photographs_without_labels_beside_do_not_matter(folder, tmp_path):
    for name in ("cat/3.jpg", "cow/9.jpg"):
        (folder / name).write_text("not found")
    (tmp_path / "more").mkdir()
    (folder / "cat" / "0.jpg").rename(tmp_path / "more" / "0.jpg")
    mixed = with_unlabeled.WithUnlabeled(
        labeled=_data(folder), unlabeled=photos.Photos(data_dir=str(tmp_path / "more"))
    )
    with pytest.raises(failures.DataError, match="2 examples of 'train' are faulty"):
        looked_over.quickly(mixed, TRAIN, watched=lambda examples, _: examples)


@pytest.mark.parametrize(("free", "warned"), [(10**5, True), (10**9, False)])
def test_a_batch_that_will_not_fit_is_said_before_its_step(
    free, warned, monkeypatch, capsys
):
    monkeypatch.setattr(terminal.console, "quiet", False)
    monkeypatch.setattr(memory, "free_bytes", lambda: free)
    model = preparation.model(small.experiment(), fresh=True)
    each = rehearsal._bytes_of_an_image(model)
    layers = {layer.name: layer.output.shape for layer in model.network.layers}
    assert each == sum(4 * np.prod(shape[1:]) for shape in layers.values())
    rehearsal._warn_of_memory(model, 64)
    said = " ".join(capsys.readouterr().out.split())
    assert ("a step of train.batch_size = 64 keeps about" in said) == warned
