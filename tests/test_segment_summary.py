"""What a split with segments holds, counted, and shown before a training."""

import json

import numpy as np
import pytest
from PIL import Image

from official.backbones.mobilenet_v3 import MobileNetV3
from official.data import base, segment_summary, segments
from official.data.coco_panoptic import COCOPanoptic
from official.data.synthetic import SyntheticStreets
from official.heads.lraspp import LRASPP
from official.report import held, segment_contents, terminal
from official.tasks import base as tasks_base
from official.tasks.segmentation import Segmentation

NAMES = ("cat", "dog", "sky", "sea")
THINGS = (0, 1)
SEMANTIC = np.array([[0, 0, 1, 1], [1, 1, 2, 2], [2, 255, 255, 2]])
INSTANCE = np.array([[2, 2, 0, 0], [0, 3, 0, 0], [0, 0, 0, 0]])
# Segment 9 has no pixel in the map; sky is in two parts.
LISTED = segments.Segments(
    np.array([4, 5, 6, 7, 8, 9]),
    np.array([0, 1, 1, 2, 2, 3]),
    np.array([False, True, False, False, False, False]),
)
AREAS = np.array([2, 3, 1, 3, 1, 0])


@pytest.fixture
def images():
    return [
        segment_summary.of_maps(SEMANTIC, INSTANCE, THINGS),
        segment_summary.of_maps(np.full((2, 2), 255), np.zeros((2, 2)), THINGS),
    ]


def test_segments_are_counted_by_hand(images):
    found = segment_summary.summarize(images, NAMES, thing_ids=THINGS, total=7)
    assert (found.images, found.total) == (2, 7)
    assert found.things == {"cat": 1, "dog": 1}
    assert found.stuff == {"sky": 1, "sea": 0}
    assert found.crowds == 1
    assert found.counts.tolist() == [3, 0]
    assert found.void == pytest.approx(6 / 16)
    np.testing.assert_allclose(found.shares, [2 / 12, 1 / 12, 4 / 12])


def test_a_list_with_areas_tells_the_same_as_the_maps(images):
    found = segment_summary.of_list(LISTED, AREAS, THINGS, size=(3, 4))
    assert found.size == images[0].size
    for name in ("classes", "areas", "crowds"):
        one, other = (np.asarray(getattr(each, name)) for each in (found, images[0]))
        # A crowd is before the others of its class in both.
        assert one.tolist() == other.tolist(), name


def _table(found, most):
    class Counted:
        def segment_counts(self, split):
            return found

    limits = tasks_base.SegmentLimits(most=most, stride=4, size=(12, 8))
    with terminal.console.capture() as capture:
        terminal.console.print(
            segment_contents.table(Counted(), ("train", "train"), limits)
        )
    return " ".join(capture.get().split())


def test_the_table_tells_what_is_not_learned(images):
    found = segment_summary.summarize(images, NAMES, thing_ids=THINGS, total=7)
    text = _table(found, 2)
    for line in (
        "train images 7 counted below of the first 2 images without a segment 1 most "
        "segments in an image 3 beyond the 2 that are learned "
        "(task.method.max_segments) 1 in 1 images",
        "segments of things 2 cat 1 dog 1 segments of stuff 1 sky 1 sea 0 classes of "
        "stuff without a segment 1 crowds (not learned as things) 1",
        "pixels without a class 37.5 %",
        # A place is a sixth of the image, and so is the cat.
        "smaller than a place of the maps 1 (33.3 %)",
        "under 4x4 pixels once the image is 12x8",
    ):
        assert line in text
    assert "beyond" not in _table(found, 3)
    assert "beyond" not in _table(found, None)


def _written(folder, *, areas):
    """A dataset of one image, 4x3 pixels, whose map would be an error."""
    rows = [
        {"id": int(n), "category_id": int(c), "iscrowd": int(crowd)}
        for n, c, crowd in zip(*LISTED, strict=True)
    ]
    for row, area in zip(rows, AREAS.tolist(), strict=True):
        row |= {"area": area} if areas else {}
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 3, "width": 4}],
        "categories": [
            {"id": number, "name": name, "isthing": int(number in THINGS)}
            for number, name in enumerate(NAMES)
        ],
        "annotations": [
            {"image_id": 1, "file_name": "a.png", "segments_info": rows},
        ],
    }
    for name in ("annotations/panoptic_train", "images/train"):
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (4, 3), (200, 0, 0)).save(folder / name / "a.png")
    path = folder / "annotations/panoptic_train.json"
    path.write_text(json.dumps(content))
    return COCOPanoptic(data_dir=str(folder))


def test_no_map_is_read_where_the_file_has_the_areas(tmp_path):
    found = _written(tmp_path / "a", areas=True).segment_counts("train")
    assert found.crowds == 1
    assert found.things == {"cat": 1, "dog": 1}
    assert found.void == pytest.approx(2 / 12)
    with pytest.raises(ValueError, match=r"a.png: segment 200 at row 0, column 0"):
        _written(tmp_path / "b", areas=False).segment_counts("train")


def test_only_the_first_maps_are_read(monkeypatch):
    monkeypatch.setattr(segment_summary, "FIRST", 2)
    dataset = SyntheticStreets(height=32, width=64, train_size=5, val_size=2)
    found = dataset.segment_counts("train")
    assert (found.images, found.total) == (2, 5)
    assert len(found.counts) == 2


def test_a_task_without_segments_is_not_told_of_them():
    task = Segmentation(
        backbone=MobileNetV3(variant="small"), head=LRASPP(), image_size=(32, 64)
    )

    class Fails(SyntheticStreets):
        def segment_counts(self, split):
            raise AssertionError

    with terminal.console.capture() as capture:
        held.show(Fails(height=32, width=64), ("train",), task)
    assert not capture.get()
    assert base.Dataset.segment_counts(Fails(), "train") is None
