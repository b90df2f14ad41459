"""The script that fits anchors to a dataset."""

import dataclasses
import importlib.util
import os

import numpy as np
import pytest
from PIL import Image

from official import failures
from official.data import base as data_base
from official.data import decoding
from official.data.box_list import BoxList
from official.heads import ssdlite


@pytest.fixture(scope="module")
def script(root):
    spec = importlib.util.spec_from_file_location(
        "fit_anchors", root / "scripts" / "fit_anchors.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclasses.dataclass(frozen=True, kw_only=True)
class Boxes(data_base.Dataset):
    """Two images of 40 x 80 pixels and one without objects."""

    kinds: tuple[int, ...] = (0, 1)
    key: str = "boxes"

    @property
    def class_names(self):
        return ("thing",)

    @property
    def palette(self):
        return ((0, 0, 0),)

    def size(self, split):
        return 3

    def load(self, split, *, seed=None, start=0, cache=False, limit=None, **_):
        import tensorflow as tf

        def examples():
            for count in (2, 0, 1):
                boxes = [[10, 20, 30, 60], [0, 0, 40, 80]][:count]
                yield {
                    "image": np.zeros((40, 80, 3), "uint8"),
                    self.key: np.float32(boxes).reshape(-1, 4),
                    "box_kinds": np.int32(self.kinds[:count]),
                }

        return tf.data.Dataset.from_generator(
            examples,
            output_signature={
                "image": tf.TensorSpec((40, 80, 3), tf.uint8),
                self.key: tf.TensorSpec((None, 4), tf.float32),
                "box_kinds": tf.TensorSpec((None,), tf.int32),
            },
        )


def _around(centres, sides):
    halves = np.broadcast_to(np.array(sides) / 2, centres.shape)
    return np.concatenate([centres - halves, centres + halves], axis=1)


def test_objects_are_read_in_shares_of_their_image(script):
    boxes = script.boxes_of(Boxes(), "train")
    np.testing.assert_allclose(boxes, [[0.25, 0.25, 0.75, 0.75]] * 2)


def test_the_command_reads_a_dataset_and_prints_nothing_else(
    script, tmp_path, capfd, monkeypatch
):
    (tmp_path / "images").mkdir()
    rows = ["image,class,xmin,ymin,xmax,ymax"]
    for number in range(5):
        Image.new("RGB", (80, 40)).save(tmp_path / "images" / f"{number}.png")
        rows.append(f"{number}.png,x,1,1,{20 + number},{30 - number}")
    (tmp_path / "boxes.csv").write_text("\n".join(rows))
    data = f"dataset.data_dir = {str(tmp_path)!r}"
    arguments = ["--experiment=mnv2_det_folder", "--set", data, "--shapes=2"]
    monkeypatch.setattr(os, "environ", os.environ.copy())
    assert script.main(arguments) == 0
    printed, errors = capfd.readouterr()
    assert errors == ""
    assert printed.startswith("4 boxes, 320 x 320 pixels\n")
    assert "task.head.anchors = @FittedAnchors(" in printed


def test_boxes_of_files_are_read_without_decoding_images(script, tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    for name in "ab":
        exif = Image.Exif()
        exif[0x0112] = 6  # lies on its side: upright, it is 40 wide and 80 high
        image = Image.new("RGB", (80, 40))
        image.save(tmp_path / "images" / f"{name}.jpg", exif=exif)
    rows = "image,class,xmin,ymin,xmax,ymax\na.jpg,x,10,20,30,60\nb.jpg,x,10,20,30,60"
    (tmp_path / "boxes.csv").write_text(rows)
    dataset = BoxList(data_dir=str(tmp_path))
    (example,) = dataset.load("train").as_numpy_iterator()
    height, width = example["image"].shape[:2]
    expected = example["boxes"] / [height, width, height, width]
    monkeypatch.setattr(decoding, "image", None)
    boxes = script.boxes_of(dataset, "train")
    np.testing.assert_allclose(boxes, [[0.25, 0.25, 0.75, 0.75]])
    np.testing.assert_allclose(boxes, expected)


def test_a_dataset_without_objects_or_boxes_is_refused(script):
    with pytest.raises(failures.DataError, match="no object is in the split 'train'"):
        script.boxes_of(Boxes(kinds=(1, 2)), "train")
    with pytest.raises(failures.DataError, match="Boxes has no boxes: its examples"):
        script.boxes_of(Boxes(key="polygons"), "train")


def test_two_heaps_of_shapes_are_found(script):
    generator = np.random.default_rng(0)
    heaps = np.array([[0.4, 0.1], [0.05, 0.1]])
    shapes = heaps[generator.integers(0, 2, 200)]
    shapes = shapes * generator.uniform(0.9, 1.1, shapes.shape)
    np.testing.assert_allclose(script.fit(shapes, 2), heaps[::-1], rtol=0.05)


def test_overlaps_of_shapes_worked_by_hand(script):
    found = script.shape_iou(np.array([[2.0, 2.0]]), np.array([[2.0, 2.0], [1.0, 4.0]]))
    np.testing.assert_allclose(found, [[1, 2 / 6]])


def test_too_many_shapes_are_refused(script):
    message = "--shapes=3: must be from 1 to 2, the number of boxes that differ"
    with pytest.raises(failures.RequestError, match=message):
        script.fit(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]]), 3)


def test_a_shape_goes_to_the_level_of_its_size(script):
    # 60 and 140 pixels a side, where the levels want 64, 128 and 256.
    shapes = np.array([[60, 60], [70, 280]]) / 320
    levels = script.assign(shapes, (16, 32, 64), (320, 320))
    assert levels == (((0.1875, 0.1875),), ((0.2188, 0.875),), ((0.8, 0.8),))
    # A level that no shape suits keeps a square, inside the image.
    levels = script.assign(shapes, (16, 32, 512), (320, 320))
    assert levels[2] == ((1.0, 1.0),)


def test_overlaps_are_those_with_the_best_anchor_where_it_lies(script):
    anchors = np.array([[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]])
    boxes = np.array([[0.0, 0.0, 0.5, 0.25], [0.6, 0.6, 1.0, 1.0], [0, 0.6, 0.1, 1.0]])
    np.testing.assert_allclose(
        script.best_overlaps(boxes, anchors), [0.5, 0.64, 0.0], atol=1e-9
    )


def test_the_binding_it_prints_covers_odd_boxes_better(script, capsys):
    from official import bindings, gin

    generator = np.random.default_rng(0)
    boxes = _around(generator.uniform(0.3, 0.7, (150, 2)), (0.08, 0.6))
    boxes[::2] = _around(generator.uniform(0.3, 0.7, (75, 2)), (0.5, 0.09))
    boxes += generator.normal(0, 0.003, boxes.shape)
    head = ssdlite.SSDLite(extra=(16, 16))
    script.report(boxes, head, (320, 320), count=2)
    printed = capsys.readouterr().out
    before, after = (
        float(line.partition("mean best IoU ")[2][:5])
        for line in printed.splitlines()
        if "mean best IoU" in line
    )
    assert after > before + 0.15
    # It is a binding as the command line takes it.
    (line,) = [x for x in printed.splitlines() if x.startswith("task.head.anchors")]

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Task:
        head: ssdlite.SSDLite

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Holder:
        task: Task

    given = bindings.apply(
        Holder(task=Task(head=head)), [gin.parse_setting(line)]
    ).task.head
    assert len(given.anchors.shapes) == 4
    found = script.best_overlaps(boxes, given.anchor_boxes((320, 320)))
    assert found.mean() == pytest.approx(after, abs=1e-3)
