"""MediaPipe's ObjectDetector on exported detectors: boxes from metadata alone."""

import json
import pathlib

import numpy as np
import pytest
import small_detector

from official.backbones import mobilenet_v2
from tflite_export import check, export, interpreter, metadata
from tflite_export.targets import base as targets_base

mediapipe = pytest.importorskip(
    "mediapipe", reason="MediaPipe is not installed: scripts/test.sh installs it"
)
tasks = pytest.importorskip("mediapipe.tasks.python")
vision = pytest.importorskip("mediapipe.tasks.python.vision")

SIDE = 96


def detected(path: pathlib.Path, images) -> list[list[tuple]]:
    """For each image, rows of (box in pixels, yxyx; name; score)."""
    options = vision.ObjectDetectorOptions(
        base_options=tasks.BaseOptions(model_asset_path=str(path))
    )
    found = []
    with vision.ObjectDetector.create_from_options(options) as detector:
        for image in images:
            pixels = np.ascontiguousarray(image.astype(np.uint8))
            shown = mediapipe.Image(
                image_format=mediapipe.ImageFormat.SRGB, data=pixels
            )
            rows = []
            for each in detector.detect(shown).detections:
                box = each.bounding_box
                top, left = box.origin_y, box.origin_x
                yxyx = (top, left, top + box.height, left + box.width)
                # Boxes that are alike are one, of several classes.
                rows += [(yxyx, c.category_name, c.score) for c in each.categories]
            found.append(rows)
    return found


def written(folder, backbone=None, side=32, **spec) -> pathlib.Path:
    chosen = small_detector.experiment(
        backbone, side=side, precisions=("int8",), **spec
    )
    network = small_detector.network(chosen)
    (path,) = export.write(chosen, network, folder=folder).values()
    return path


def test_a_mobilenet_with_detections_inside_gives_the_boxes_of_our_runner(tmp_path):
    backbone = mobilenet_v2.MobileNetV2(width_multiplier=0.35)
    path = written(tmp_path, backbone, SIDE)
    images = small_detector.images(3, SIDE)
    ours = interpreter.Runner(path)(images)
    count = 0
    for number, theirs in enumerate(detected(path, images)):
        boxes = SIDE * ours["boxes_yxyx"][number, : int(ours["count"][number])]
        for box, name, score in theirs:
            # They hold whole pixels: corner and size are rounded down.
            close = np.abs(boxes - np.array(box)).max(axis=-1) <= 2
            same = np.isclose(ours["scores"][number, : len(boxes)], score, atol=1e-6)
            (places, *_) = np.nonzero(close & same)
            named = ours["class_ids"][number, places].astype(int)
            assert name in {small_detector.NAMES[i] for i in named}
        assert len(theirs) == len(boxes)
        count += len(theirs)
    assert count > 10


def test_raw_outputs_of_8_bits_are_decoded_by_the_anchors_of_the_metadata(
    tmp_path, capsys
):
    path = written(tmp_path, output="raw")
    told = metadata.read(path)
    facts = small_detector.experiment().task.detector
    np.testing.assert_allclose(told.decoding.anchors, facts.centers, atol=1e-7)
    assert (told.decoding.scales, told.decoding.classes) == ((10, 10, 5, 5), 3)
    check.run(path, target=targets_base.find("cpu"))
    said = capsys.readouterr().out.splitlines()
    assert any("192 anchors" in line for line in said)
    assert json.loads(said[-1])["metadata"]["decoding"]["anchors"] == 192
    images = small_detector.images(2)
    given = interpreter.Runner(path)(images)
    for number, theirs in enumerate(detected(path, images)):
        boxes = 32 * small_detector.decoded(given["box_encodings"][number], facts)
        scores = given["scores"][number]
        assert len(theirs) > 5
        for box, name, score in theirs:
            class_id = small_detector.NAMES.index(name)
            same = np.abs(scores[:, class_id] - score) < 1e-6
            corner = np.maximum(boxes[same][:, :2], 0)
            sizes = boxes[same][:, 2:] - boxes[same][:, :2]
            ends = np.concatenate([corner, corner + sizes], axis=-1)
            assert np.abs(ends - np.array(box)).max(axis=-1).min() <= 2


def test_raw_outputs_of_int8_are_refused_and_the_export_said_so(tmp_path):
    path = written(tmp_path, output="raw", output_type="int8")
    description = json.loads(path.with_suffix(".json").read_text())
    assert "the outputs are int8" in description["mediapipe"]["warning"]
    with pytest.raises((RuntimeError, ValueError)):
        detected(path, [])
