import re

import numpy as np
import pytest

from official.heads import anchors, ssdlite

STRIDES = (16, 32, 64, 128, 256, 512)


def _sides(boxes):
    """Heights and widths."""
    return boxes[..., 2:] - boxes[..., :2]


@pytest.mark.parametrize(
    ("kind", "size", "count"),
    [
        # 20 * 20 * 3 + (100 + 25 + 9 + 4 + 1) * 6
        (anchors.SSDAnchors(), (320, 320), 2034),
        # 19 * 19 * 3 + (100 + 25 + 9 + 4 + 1) * 6
        (anchors.SSDAnchors(), (300, 300), 1917),
        # (400 + 100 + 25 + 9 + 4 + 1) * 6
        (anchors.TorchvisionAnchors(), (320, 320), 3234),
        # (20 * 12) * 3 + (10 * 6 + 5 * 3 + 3 * 2 + 2 * 1 + 1) * 6
        (anchors.SSDAnchors(), (320, 192), 1224),
    ],
)
def test_the_number_of_anchors(kind, size, count):
    boxes = kind.boxes(STRIDES, size)
    assert boxes.shape == (count, 4)
    assert boxes.dtype == np.float32


def test_ssd_anchors_worked_by_hand():
    boxes = anchors.SSDAnchors().boxes(STRIDES, (320, 320))
    half = 0.5 / 20
    # The first cell: a square of 0.1; then at scale 0.2 widths of 0.2 sqrt(2), heights
    # of 0.2 / sqrt(2), and the other way round.
    np.testing.assert_allclose(
        boxes[:3],
        [
            [half - 0.05, half - 0.05, half + 0.05, half + 0.05],
            [half - 0.070711, half - 0.141421, half + 0.070711, half + 0.141421],
            [half - 0.141421, half - 0.070711, half + 0.141421, half + 0.070711],
        ],
        atol=1e-6,
    )
    # Its neighbour to the right, then the next row.
    np.testing.assert_allclose(boxes[3] - boxes[0], [0, 0.05, 0, 0.05], atol=1e-6)
    np.testing.assert_allclose(boxes[60] - boxes[0], [0.05, 0, 0.05, 0], atol=1e-6)
    # The second level: scale 0.35, the next 0.5.
    np.testing.assert_allclose(
        _sides(boxes[1200:1206]),
        [
            [0.35, 0.35],
            [0.35 / 2**0.5, 0.35 * 2**0.5],
            [0.35 * 2**0.5, 0.35 / 2**0.5],
            [0.35 / 3**0.5, 0.35 * 3**0.5],
            [0.35 / 0.3333**0.5, 0.35 * 0.3333**0.5],
            [(0.35 * 0.5) ** 0.5] * 2,
        ],
        atol=1e-6,
    )
    # The last level has one cell; its interpolated square reaches to a scale of 1.
    np.testing.assert_allclose(
        boxes[-1], [0.5 - 0.95**0.5 / 2] * 2 + [0.5 + 0.95**0.5 / 2] * 2, atol=1e-6
    )


def test_scales_of_ssd_are_of_the_shorter_side():
    boxes = anchors.SSDAnchors().boxes(STRIDES, (192, 320))
    # A square of 0.1 * 192 pixels.
    np.testing.assert_allclose(_sides(boxes[0]), [0.1, 0.1 * 192 / 320], atol=1e-6)


def test_scales_of_torchvision_are_of_both_sides():
    boxes = anchors.TorchvisionAnchors().boxes(STRIDES, (192, 320))
    np.testing.assert_allclose(
        _sides(boxes[:4]),
        [
            [0.2, 0.2],
            [(0.2 * 0.35) ** 0.5] * 2,
            [0.2 / 2**0.5, 0.2 * 2**0.5],
            [0.2 * 2**0.5, 0.2 / 2**0.5],
        ],
        atol=1e-6,
    )


def test_no_side_of_torchvision_s_is_longer_than_the_image():
    sides = _sides(anchors.TorchvisionAnchors().boxes(STRIDES, (320, 320))[-6:])
    # At a scale of 0.95 with ratios of 2 and 3.
    np.testing.assert_allclose(
        sides[2:],
        [
            [0.95 / 2**0.5, 1],
            [1, 0.95 / 2**0.5],
            [0.95 / 3**0.5, 1],
            [1, 0.95 / 3**0.5],
        ],
        atol=1e-6,
    )


def test_pyramid_anchors_grow_with_their_stride():
    boxes = anchors.PyramidAnchors().boxes((8, 16), (64, 128))
    assert len(boxes) == (8 * 16 + 4 * 8) * 6
    pixels = _sides(boxes) * [64, 128]
    np.testing.assert_allclose(
        pixels[:6],
        [
            [32, 32],
            [32 * 2**0.5] * 2,
            [32 / 2**0.5, 32 * 2**0.5],
            [32, 64],
            [32 * 2**0.5, 32 / 2**0.5],
            [64, 32],
        ],
        rtol=1e-5,
    )
    np.testing.assert_allclose(pixels[-1], 2 * pixels[5], rtol=1e-5)


def test_cells_divide_the_image_evenly_where_a_stride_does_not():
    boxes = anchors.SSDAnchors().boxes((16,), (40, 40))
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert sorted({round(float(y), 4) for y in centres[:, 0]}) == [0.1667, 0.5, 0.8333]


def test_fitted_anchors_lie_as_they_are_told():
    kind = anchors.FittedAnchors(shapes=(((0.1, 0.2),), ((0.5, 0.25), (1.0, 1.0))))
    assert kind.counts((16, 32)) == [1, 2]
    boxes = kind.boxes((16, 32), (32, 32))
    np.testing.assert_allclose(boxes[0], [0.2, 0.15, 0.3, 0.35], atol=1e-6)
    np.testing.assert_allclose(boxes[4:], [[0.25, 0.375, 0.75, 0.625], [0, 0, 1, 1]])
    with pytest.raises(ValueError, match="has 2 levels, the head 6: fit them"):
        ssdlite.SSDLite(anchors=kind)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: anchors.SSDAnchors(min_scale=0.0), "SSDAnchors.min_scale = 0.0"),
        (lambda: anchors.TorchvisionAnchors(max_scale=0.1), "max_scale = 0.1: must be"),
        (
            lambda: anchors.PyramidAnchors(aspect_ratios=()),
            "PyramidAnchors.aspect_ratios = (): must be numbers above 0",
        ),
        (
            lambda: anchors.FittedAnchors(shapes=(((0.1, 0.0),),)),
            "must give each level at least one shape",
        ),
    ],
)
def test_a_wrong_value_is_refused(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
