"""Boxes as they are annotated: cleaned, counted, turned, checked, padded, summarized."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from official import failures
from official.data import box_summary, boxed, boxes, errors, indexed, pipeline
from official.data.synthetic_boxes import SyntheticBoxes
from official.ops import box_kinds
from official.report import contents, terminal

NAN = float("nan")
SIZE = (60, 80)  # height, width


def _objects(*rows, classes=None, areas=None):
    return boxes.objects(rows, classes or [0] * len(rows), areas=areas)


def test_a_good_box_stays_as_it_is():
    found, problems = boxes.clean(_objects((1.5, 2, 30, 40.25)), SIZE)
    assert found.boxes.tolist() == [[1.5, 2, 30, 40.25]]
    assert found.boxes.dtype == found.areas.dtype == np.float32
    assert found.classes.dtype == found.kinds.dtype == np.int32
    assert found.areas.tolist() == [28.5 * 38.25]
    assert not problems


@pytest.mark.parametrize(
    ("box", "problem"),
    [
        ((5, 5, 5, 9), boxes.NO_AREA),
        ((9, 5, 5, 9), boxes.NO_AREA),
        ((5, 9, 9, 5), boxes.NO_AREA),
        ((NAN, 1, 5, 5), boxes.NOT_A_NUMBER),
        ((1, 1, float("inf"), 5), boxes.NOT_A_NUMBER),
        ((1, 1, 1e300, 5), boxes.NOT_A_NUMBER),
        ((-9, 1, -2, 5), boxes.OUTSIDE),
        ((1, 80, 5, 90), boxes.OUTSIDE),
        ((1, -1, 5, 0), boxes.OUTSIDE),
    ],
)
def test_a_box_that_is_none_is_dropped_and_counted(box, problem):
    found, problems = boxes.clean(_objects(box, (1, 1, 5, 5)), SIZE)
    assert found.boxes.tolist() == [[1, 1, 5, 5]]
    assert problems == {problem: 1}


def test_what_reaches_out_is_clipped_and_counted_unless_it_is_rounding():
    found, problems = boxes.clean(
        _objects((-5, 10, 70, 90), (0, 0, 60.004, 80.004)), SIZE
    )
    assert found.boxes.tolist() == [[0, 10, 60, 80], [0, 0, 60, 80]]
    assert problems == {boxes.CLIPPED: 1}


def test_a_written_area_goes_with_its_box():
    given = _objects((1, 1, 1, 5), (0, 0, 10, 10), (0, 0, 4, 5), areas=[7, 50, NAN])
    found, _ = boxes.clean(given, SIZE)
    assert found.areas.tolist() == [50, 20]


def test_classes_that_are_left_out_are_counted():
    found, problems = boxes.clean(_objects((0, 0, 9, 9), classes=[-1]), SIZE)
    assert found.boxes.shape == (0, 4)
    assert problems == {boxes.LEFT_OUT: 1}


def test_no_object_is_no_problem():
    found, problems = boxes.clean(_objects(), SIZE)
    assert found.boxes.shape == (0, 4)
    assert len(found) == len(found.areas) == 0
    assert not problems


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_as_pillow_turns_the_image(orientation):
    image = np.zeros((*SIZE, 3), np.uint8)
    image[10:20, 5:45] = 255
    picture = Image.fromarray(image)
    picture.getexif()[0x0112] = orientation
    upright = np.array(ImageOps.exif_transpose(picture))[..., 0]
    rows, columns = np.flatnonzero(upright.any(1)), np.flatnonzero(upright.any(0))
    expected = [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]
    turned = boxes.upright(np.array([[10, 5, 20, 45.0]]), orientation, SIZE)
    assert turned.tolist() == [expected]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneImage(boxed.BoxedDataset):
    """A file, and what is said of it."""

    path: str
    size: tuple[int, int] | None

    @property
    def class_names(self):
        return ("thing",)

    def records(self, split):
        found = boxes.objects([(10, 5, 20, 45)], [0])
        return [boxed.Record(split, self.path, "one.xml", self.size, found)]


def _stored(tmp_path, orientation):
    image = np.zeros((*SIZE, 3), np.uint8)
    image[10:20, 5:45] = 255
    picture = Image.fromarray(image)
    picture.getexif()[0x0112] = orientation
    path = tmp_path / "one.png"
    picture.save(path, exif=picture.getexif())
    return str(path)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_of_stored_pixels_turn_with_the_image(tmp_path, orientation):
    dataset = OneImage(path=_stored(tmp_path, orientation), size=SIZE)
    (example,) = dataset.load("train").as_numpy_iterator()
    ((top, left, bottom, right),) = example["boxes"].astype(int)
    assert example["image"].shape == (80, 60, 3)
    assert example["image"][top:bottom, left:right].min() == 255
    assert example["image"].sum() == 255 * 3 * 10 * 40
    assert (bottom - top) * (right - left) == 10 * 40


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneStoredImage(OneImage):
    stored_pixels: ClassVar[bool] = True


@pytest.mark.parametrize("size", [None, SIZE])
@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 6, 8])
def test_the_orientation_decides_where_pixels_are_those_stored(
    tmp_path, orientation, size
):
    dataset = OneStoredImage(path=_stored(tmp_path, orientation), size=size)
    (example,) = dataset.load("train").as_numpy_iterator()
    ((top, left, bottom, right),) = example["boxes"].astype(int)
    assert example["image"][top:bottom, left:right].min() == 255
    assert (bottom - top) * (right - left) == 10 * 40
    assert dataset.summary("train").problems == {}


def test_an_upright_size_says_that_boxes_are_upright(tmp_path):
    path = _stored(tmp_path, 6)
    dataset = OneStoredImage(path=path, size=SIZE[::-1])
    (example,) = dataset.load("train").as_numpy_iterator()
    assert example["boxes"].tolist() == [[10, 5, 20, 45]]


def test_an_orientation_that_exif_does_not_know_turns_nothing(tmp_path):
    dataset = OneStoredImage(path=_stored(tmp_path, 0), size=SIZE)
    (example,) = dataset.load("train").as_numpy_iterator()
    assert example["boxes"].tolist() == [[10, 5, 20, 45]]


@pytest.mark.parametrize("size", [None, SIZE])
def test_without_a_word_on_stored_pixels_an_image_upside_down_was_seen_upright(
    tmp_path, size
):
    dataset = OneImage(path=_stored(tmp_path, 3), size=size)
    (example,) = dataset.load("train").as_numpy_iterator()
    assert example["boxes"].tolist() == [[10, 5, 20, 45]]


@pytest.mark.parametrize("size", [None, SIZE[::-1]])
def test_boxes_of_the_upright_image_stay(tmp_path, size):
    dataset = OneImage(path=_stored(tmp_path, 6), size=size)
    (example,) = dataset.load("train").as_numpy_iterator()
    assert example["boxes"].tolist() == [[10, 5, 20, 45]]


@pytest.mark.parametrize(
    ("size", "orientation"), [((60, 90), 6), (SIZE[::-1], 1), (SIZE[::-1], 3)]
)
def test_boxes_of_another_size_are_refused(tmp_path, size, orientation):
    dataset = OneImage(path=_stored(tmp_path, orientation), size=size)
    with pytest.raises(failures.DataError) as caught:
        dataset.load("train")
    assert f"but {size[1]}x{size[0]} in one.xml" in str(caught.value)
    assert "\n" not in str(caught.value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lists(indexed.IndexedDataset):
    """Image k has k boxes, the last of which is of class `last`."""

    last: int = 1

    class_names = ("a", "b")
    palette = ((0, 0, 0), (255, 255, 255))

    def records(self, split):
        return range(4)

    def read(self, record):
        box_classes = np.zeros(record, np.int32)
        box_classes[-1:] = self.last
        return {
            "image": np.zeros((4, 4, 3), np.uint8),
            "image_id": f"image {record}",
            "boxes": np.full((record, 4), 0.5, np.float32),
            "box_classes": box_classes,
            "box_kinds": np.zeros(record, np.int32),
            "box_areas": np.ones(record, np.float32),
        }


def _preprocess(example, *, training, seed=None):
    keys = ("boxes", "box_classes", "box_kinds", "box_areas")
    targets = {key: example[key] for key in keys}
    count = tf.shape(example["boxes"])[0]
    return tf.cast(example["image"], tf.float32), {**targets, "box_count": count}


def test_evaluation_pads_lists_of_boxes_with_zeros():
    source = pipeline.Input(split="val", batch_size=4)
    batches = pipeline.evaluation_batches(Lists(), source, _preprocess)
    ((_, targets),) = batches.as_numpy_iterator()
    assert targets["box_count"].tolist() == [0, 1, 2, 3]
    assert targets["boxes"].shape == (4, 3, 4)
    assert targets["boxes"].sum(axis=(1, 2)).tolist() == [0, 2, 4, 6]
    assert targets["box_classes"].tolist() == [
        [0, 0, 0],
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
    ]
    assert targets["box_areas"].sum(axis=1).tolist() == [0, 1, 2, 3]
    assert targets["box_kinds"].shape == (4, 3)


@pytest.mark.parametrize("last", [-1, 2])
def test_a_box_of_an_unknown_class_is_named(last):
    source = pipeline.Input(split="val", batch_size=4)
    batches = pipeline.evaluation_batches(Lists(last=last), source, _preprocess)
    message = f"image 1: a box of class {last}; want 0..1"
    with pytest.raises(failures.DataError) as caught, errors.clear():
        list(batches)
    assert str(caught.value) == message


def _image(rows, kinds=None, image_id="", **problems):
    found = boxes.objects(rows, [1] * len(rows), kinds=kinds)
    cleaned, _ = boxes.clean(found, (100, 200))
    return box_summary.Image(image_id, (100, 200), cleaned, boxes.Problems(problems))


def test_a_summary_counts_by_hand():
    summary = box_summary.summarize(
        [
            _image([(0, 0, 10, 10), (0, 0, 50, 100)], image_id="p", outside=2),
            _image([]),
            _image(
                [(0, 0, 9, 9), (0, 0, 100, 200)],
                kinds=[box_kinds.CROWD, box_kinds.OBJECT],
            ),
            _image(
                [(0, 0, 9, 9)],
                kinds=[box_kinds.DIFFICULT],
                image_id="q",
                outside=1,
                other=1,
            ),
        ],
        ("a", "b"),
        total=4,
    )
    assert summary == box_summary.Summary(
        images=4,
        total=4,
        empty=2,
        most=2,
        classes={"a": 0, "b": 3},
        crowds=1,
        difficult=1,
        sizes={"small": 1, "medium": 1, "large": 1},
        sides=summary.sides,
        problems={"outside": 3, "other": 1},
        first={"outside": "p", "other": "q"},
    )
    # Sides of 0.0707, 0.5 and 1 of the image's; quantiles lie between them.
    np.testing.assert_allclose(summary.sides, [0.1566, 0.5, 0.9], atol=1e-3)


def test_a_split_without_objects_has_a_summary():
    summary = box_summary.summarize([_image([])], ("a", "b"), total=1)
    assert summary.empty == 1
    assert summary.classes == {"a": 0, "b": 0}
    assert all(np.isnan(summary.sides))


def test_the_table_shows_each_split_and_what_was_wrong(tmp_path):
    dataset = OneImage(path=_stored(tmp_path, 1), size=None)
    with terminal.console.capture() as capture:
        terminal.console.print(contents.table(dataset, ("train", "val", "val")))
    text = " ".join(capture.get().split())
    assert "train val images 1 1" in text
    assert "thing 1 1" in text
    assert "small (area below 32 x 32 pixels) 1 1" in text
    assert "box side / image side 0.29 .. 0.29 .. 0.29" in text
    assert "crowd" not in text
    assert "problem" not in text


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counted(Lists):
    """Says how many objects each class has, in every split."""

    counts: tuple[tuple[str, int], ...]

    def summary(self, split):
        rows = [(0, 0, 10, 10)] * sum(count for _, count in self.counts)
        numbers = [i for i, (_, count) in enumerate(self.counts) for _ in range(count)]
        found, _ = boxes.clean(boxes.objects(rows, numbers), (100, 200))
        image = box_summary.Image("all", (100, 200), found, boxes.Problems())
        names = [name for name, _ in self.counts]
        return box_summary.summarize([image], names, total=1)


def _table(dataset, *splits):
    with terminal.console.capture() as capture:
        terminal.console.print(contents.table(dataset, splits))
    return " ".join(capture.get().split())


def test_a_class_that_may_be_another_misspelt_is_pointed_out():
    text = _table(Counted(counts=(("raccoon", 40), ("racoon", 1))), "train", "val")
    assert "warning: class 'racoon' (2) may be 'raccoon' (80), misspelt" in text
    text = _table(Counted(counts=(("Traffic-light", 9), ("traffic light", 9))), "train")
    assert "'traffic light' (9) may be 'Traffic-light' (9), misspelt" in text


@pytest.mark.parametrize(
    "counts",
    [
        (("cat", 40), ("dog", 1)),
        (("raccoon", 40), ("racoon", 0)),  # a name of a list, which nobody wrote
        (("raccoon", 40), ("racoon", 5)),
        (("tile 1", 40), ("tile 2", 1)),
        (("+", 40), ("-", 40)),
    ],
)
def test_classes_of_other_names_are_not_taken_for_misspelt(counts):
    assert "misspelt" not in _table(Counted(counts=counts), "train")


def test_the_table_says_where_only_the_first_images_are_counted(monkeypatch):
    monkeypatch.setattr(boxed, "_FIRST", 2)
    dataset = SyntheticBoxes(height=48, width=64, train_size=5, val_size=2)
    counted = dataset.summary("train")
    assert (counted.images, counted.total) == (2, 5)
    examples = list(dataset.load("train", limit=2).as_numpy_iterator())
    assert sum(counted.classes.values()) == sum(len(e["boxes"]) for e in examples)
    with terminal.console.capture() as capture:
        terminal.console.print(contents.table(dataset, ("train", "val")))
    text = " ".join(capture.get().split())
    assert "images 5 2 counted below of the first 2 all " in text


def test_datasets_without_boxes_have_no_table():
    assert contents.table(Lists(), ("train",)) is None
