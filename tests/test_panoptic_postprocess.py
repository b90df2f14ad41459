"""The file for ports says what the merges say."""

import ast
import dataclasses
import pathlib

import numpy as np
import pytest
import stored_outputs

from official.tasks import panoptic_merging, segment_reader
from tflite_export import panoptic_postprocess

THINGS = (0, 1)
CLASSES = 4
MASK_WISE = panoptic_merging.MaskWise(
    thing_threshold=0.5,
    stuff_threshold=0.3,
    overlap_threshold=0.7,
    mask_power=0.0,
    min_thing_area=40,
    min_stuff_area=200,
)
PIXEL_WISE = panoptic_merging.PixelWise(class_threshold=0.4, min_thing_area=30)
MERGINGS = (MASK_WISE, PIXEL_WISE)


def stored(kind, seed, *, sure=3.0):
    """Outputs as a file gives them, their description, and the real values."""
    generator = np.random.default_rng(seed)
    height, width, slots = 9, 13, 12
    y, x = np.mgrid[:height, :width]
    centers = generator.random((slots, 2)) * (height, width)
    distance = np.hypot(y[..., None] - centers[:, 0], x[..., None] - centers[:, 1])
    masks = -distance + generator.normal(size=(height, width, slots))
    classes = generator.normal(size=(slots, CLASSES + 1))
    classes[np.arange(slots), generator.integers(0, CLASSES, slots)] += sure
    real = {"mask_logits": masks, "class_logits": classes}
    return stored_outputs.stored(real, kind)


def described(merging, tensors):
    reader = segment_reader.SegmentReader(merging=merging, thing_ids=THINGS)
    return {"outputs": tensors, "segments": reader.settings()}, reader


def require_equal(found, expected, *, tolerance=1e-5):
    pixels, scores = found
    assert pixels.dtype == np.int32
    assert (pixels != expected.panoptic).mean() < 1e-3
    assert sorted(scores) == expected.ids.tolist()
    for segment, score in zip(expected.ids, expected.scores, strict=True):
        assert scores[segment] == pytest.approx(score, abs=tolerance)


@pytest.mark.parametrize("merging", MERGINGS, ids=("mask-wise", "pixel-wise"))
@pytest.mark.parametrize("kind", ["float32", "uint8", "int8"])
@pytest.mark.parametrize("size", [(36, 52), (31, 60), (9, 13)])
def test_masks_become_the_same_segments(merging, kind, size):
    for seed in range(3):
        outputs, tensors, reals = stored(kind, seed)
        description, reader = described(merging, tensors)
        found = panoptic_postprocess.panoptic_map(outputs, description, size)
        require_equal(found, reader(reals, size))


@pytest.mark.parametrize("merging", MERGINGS, ids=("mask-wise", "pixel-wise"))
def test_slots_become_the_same_segments(merging):
    outputs, tensors, reals = stored("int8", 0)
    slots = outputs["mask_logits"].argmax(axis=-1).astype(np.int32)
    given = {"slots": slots, "class_logits": outputs["class_logits"]}
    description, reader = described(merging, tensors)
    found = panoptic_postprocess.panoptic_map(given, description, (36, 52))
    reals = {"slots": slots[0], "class_logits": reals["class_logits"]}
    require_equal(found, reader(reals, (36, 52)))


def test_where_all_slots_are_sure_a_pixel_still_has_one():
    outputs, tensors, reals = stored("float32", 1, sure=30.0)
    description, reader = described(PIXEL_WISE, tensors)
    found = panoptic_postprocess.panoptic_map(outputs, description, (36, 52))
    require_equal(found, reader(reals, (36, 52)))


def test_scores_by_the_mean_probability_are_near():
    merging = dataclasses.replace(MASK_WISE, mask_power=1.0)
    outputs, tensors, reals = stored("uint8", 2)
    description, reader = described(merging, tensors)
    found = panoptic_postprocess.panoptic_map(outputs, description, (36, 52))
    require_equal(found, reader(reals, (36, 52)), tolerance=0.03)


def test_nothing_is_found_where_nobody_is_sure():
    outputs, tensors, _ = stored("float32", 0)
    outputs["class_logits"][:] = 0
    for merging in MERGINGS:
        description, _ = described(merging, tensors)
        pixels, scores = panoptic_postprocess.panoptic_map(
            outputs, description, (18, 26)
        )
        assert (pixels == description["segments"]["void"]).all()
        assert scores == {}


def test_it_is_short_and_needs_numpy_alone():
    source = pathlib.Path(panoptic_postprocess.__file__).read_text(encoding="utf-8")
    assert len(source.splitlines()) < 100
    imported = [
        alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    assert imported == ["numpy"]
