"""The file for ports says what the grouping around centers says."""

import ast
import pathlib

import numpy as np
import pytest
import stored_outputs

from official.tasks import center_grouping, segment_reader
from tflite_export import center_postprocess, ports

THINGS = (0, 1)
CLASSES = 4
GROUPING = center_grouping.CenterGrouping(nms_kernel=3, min_stuff_area=150)


def stored(kind, seed, *, things=6):
    """Outputs as a file gives them, their description, and the real values."""
    generator = np.random.default_rng(seed)
    height, width = 9, 13
    places = np.stack(np.mgrid[:height, :width], axis=-1).astype(float)
    centers = generator.random((things, 2)) * (height, width)
    away = centers - places[:, :, None]
    distance = np.hypot(away[..., 0], away[..., 1])
    nearest = distance.argmin(axis=-1)
    offsets = 4 * np.take_along_axis(away, nearest[..., None, None], axis=2)[:, :, 0]
    logits = generator.normal(size=(height, width, CLASSES))
    near = distance.min(axis=-1)
    class_ids = np.where(near < 2.5, nearest % len(THINGS), 2 + (near > 4))
    logits[*np.indices((height, width)), class_ids] += 2
    real = {
        "logits": logits,
        "center_heatmap": np.exp(-(near[..., None] ** 2)),
        "offsets": offsets + generator.normal(size=offsets.shape),
    }
    return stored_outputs.stored(real, kind)


def described(tensors, grouping=GROUPING):
    reader = segment_reader.SegmentReader(merging=grouping, thing_ids=THINGS)
    return {"outputs": tensors, "segments": reader.settings()}, reader


@pytest.mark.parametrize("kind", ["float32", "uint8", "int8"])
@pytest.mark.parametrize("size", [(36, 52), (31, 60), (9, 13)])
def test_centers_become_the_same_segments(kind, size):
    kinds = set()
    for seed in range(4):
        outputs, tensors, reals = stored(kind, seed)
        description, reader = described(tensors)
        expected = reader(reals, size)
        pixels, scores = center_postprocess.panoptic_map(outputs, description, size)
        assert pixels.dtype == np.int32
        # Of equal integers a pixel between them may take either.
        assert (pixels != expected.panoptic).mean() < 1e-3
        assert sorted(scores) == expected.ids.tolist()
        for segment, score in zip(expected.ids, expected.scores, strict=True):
            assert scores[segment] == pytest.approx(score, abs=1e-3)
        kinds |= {("thing" if s % 1000 else "stuff") for s in scores}
        if (pixels == description["segments"]["void"]).any():
            kinds.add("void")
    assert kinds == {"thing", "stuff", "void"}  # small stuff is void


def test_of_equal_neighbours_one_is_a_center():
    outputs, tensors, reals = stored("int8", 0)
    outputs["center_heatmap"][:] = 0
    outputs["center_heatmap"][0, 4:6, 4:7] = 100
    tensor = next(each for each in tensors if each["name"] == "center_heatmap")
    found = outputs["center_heatmap"][0].astype(np.float32) - tensor["zero_point"]
    reals["center_heatmap"] = found * np.float32(tensor["scale"])
    description, reader = described(
        tensors, center_grouping.CenterGrouping(nms_kernel=3, threshold=0.6)
    )
    pixels, scores = center_postprocess.panoptic_map(outputs, description, (36, 52))
    assert (pixels != reader(reals, (36, 52)).panoptic).mean() < 1e-3
    assert sum(segment % 1000 > 0 for segment in scores) == 2


def test_things_without_a_center_are_void():
    outputs, tensors, reals = stored("float32", 0)
    for given in (outputs, reals):
        given["center_heatmap"][:] = 0
    description, reader = described(tensors)
    pixels, scores = center_postprocess.panoptic_map(outputs, description, (18, 26))
    assert (pixels == reader(reals, (18, 26)).panoptic).all()
    assert all(segment % 1000 == 0 for segment in scores)
    assert (pixels == description["segments"]["void"]).any()


@pytest.mark.parametrize(
    ("outputs", "name"),
    [
        (("logits", "center_heatmap", "offsets"), "center_postprocess.py"),
        (("mask_logits", "class_logits"), "panoptic_postprocess.py"),
        (("class_logits", "slots"), "panoptic_postprocess.py"),
        (("logits",), None),
    ],
)
def test_each_head_has_its_own_beside_its_files(outputs, name):
    found = ports.postprocessing(outputs)
    assert (found and found.name) == name


def test_it_is_short_and_needs_numpy_alone():
    source = pathlib.Path(center_postprocess.__file__).read_text(encoding="utf-8")
    assert len(source.splitlines()) < 100
    imported = [
        alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    assert imported == ["numpy"]
