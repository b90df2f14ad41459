"""Windows of images, eagerly and in tf.data."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from official.data import crops

HEIGHT, WIDTH = 90, 120


def ramps(height=HEIGHT, width=WIDTH):
    """Row and column in the first two channels: a pixel says where it comes from."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y, x, np.zeros_like(x)], -1).astype(np.float32)


def window(crop, size):
    """Top, left, height and width of the window that a resized crop of ramps shows."""
    rows, columns = crop[:, :, 0].mean(1), crop[:, :, 1].mean(0)
    middle = slice(size // 4, -(size // 4))  # away from the edges, which are held
    places = np.arange(size)[middle]
    (down, top), (right, left) = (
        np.polyfit(places, line[middle], 1) for line in (rows, columns)
    )
    top, left = top + 0.5 - down / 2, left + 0.5 - right / 2
    return top, left, down * size, right * size


def drawn(count, size=32, **options):
    """Windows of inception crops for several seeds, from tf.data."""
    image = tf.constant(ramps())
    seeds = tf.data.Dataset.from_tensor_slices([(5, k) for k in range(count)])
    cut = seeds.map(
        lambda seed: crops.inception_crop(
            {"image": image}, size=(size, size), seed=seed, **options
        )
    )
    assert cut.element_spec.shape == (size, size, 3)
    found = list(cut.as_numpy_iterator())
    return np.array([window(one, size) for one in found]), found


def test_areas_and_shapes_of_windows_are_those_asked_for():
    windows, _ = drawn(400)
    tops, lefts, heights, widths = windows.T
    assert tops.min() > -0.01
    assert lefts.min() > -0.01
    assert (tops + heights).max() < HEIGHT + 0.01
    assert (lefts + widths).max() < WIDTH + 0.01
    np.testing.assert_allclose(heights, np.round(heights), atol=0.02)  # whole pixels
    areas = heights * widths / (HEIGHT * WIDTH)
    assert 0.07 < areas.min() < 0.12
    assert 0.85 < areas.max() <= 1
    # Uniform over 0.08..1, but for large windows of which fewer shapes fit.
    low, middle = np.mean(areas < 0.31), np.mean((areas >= 0.31) & (areas < 0.54))
    assert 0.2 < low < 0.36
    assert 0.2 < middle < 0.36
    aspects = np.log(widths / heights)
    assert aspects.min() > np.log(3 / 4) - 0.06  # sides are rounded
    assert aspects.max() < np.log(4 / 3) + 0.06
    assert abs(aspects[areas < 0.4].mean()) < 0.05


def test_windows_are_spread_over_the_image():
    windows, _ = drawn(300, area_range=(0.1, 0.1), aspect_range=(1.0, 1.0))
    tops, lefts, heights, widths = windows.T
    side = round(np.sqrt(0.1 * HEIGHT * WIDTH))
    np.testing.assert_allclose(heights, side, atol=0.02)
    np.testing.assert_allclose(widths, side, atol=0.02)
    assert tops.min() < 2
    assert tops.max() > HEIGHT - side - 2
    np.testing.assert_allclose(tops.mean(), (HEIGHT - side) / 2, atol=5)
    np.testing.assert_allclose(lefts.mean(), (WIDTH - side) / 2, atol=7)


def test_where_no_window_fits_the_largest_central_one_is_taken():
    (found, *_), _ = drawn(1, area_range=(1.0, 1.0), aspect_range=(1.0, 1.0))
    np.testing.assert_allclose(found, (0, 15, 90, 90), atol=0.02)
    (found, *_), _ = drawn(1, area_range=(1.0, 1.0), aspect_range=(2.0, 3.0))
    np.testing.assert_allclose(found, (15, 0, 60, 120), atol=0.02)


def test_the_whole_image_is_a_window_too():
    (found, *_), images = drawn(
        1, area_range=(1.0, 1.0), aspect_range=(WIDTH / HEIGHT, WIDTH / HEIGHT)
    )
    np.testing.assert_allclose(found, (0, 0, HEIGHT, WIDTH), atol=0.02)
    assert images[0].dtype == np.float32


def test_the_same_seed_crops_alike_and_another_does_not():
    first, again = drawn(20)[1], drawn(20)[1]
    np.testing.assert_array_equal(first, again)
    assert len({one.tobytes() for one in first}) == 20


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 3)])
def test_tiny_and_thin_images_survive(shape):
    image = tf.zeros((*shape, 3), tf.uint8)
    for k in range(5):
        cut = crops.inception_crop(
            {"image": image}, size=(16, 16), seed=tf.constant((0, k))
        )
        assert cut.shape == (16, 16, 3)
    assert crops.center_crop(image, size=(16, 16)).shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("size", "share", "expected"),
    [
        ((64, 64), 1.0, (0, 15, 90, 90)),
        ((64, 64), 0.5, (22, 37, 45, 45)),
        ((64, 64), 0.875, (5, 20, 79, 79)),  # 78.75 and 5.5 rounded
    ],
)
def test_the_central_window_is_a_share_of_the_shorter_side(size, share, expected):
    cut = crops.center_crop(tf.constant(ramps()), size=size, share=share)
    np.testing.assert_allclose(window(cut.numpy(), 64), expected, atol=0.02)


def test_the_central_window_keeps_the_aspect_of_its_size():
    cut = crops.center_crop(tf.constant(ramps()), size=(30, 80), share=1.0).numpy()
    assert cut.shape == (30, 80, 3)
    # 120 wide, 45 high: from row 22 on.
    np.testing.assert_allclose(np.diff(cut[10, 5:-5, 1]), 1.5, atol=1e-3)
    np.testing.assert_allclose(np.diff(cut[5:-5, 10, 0]), 1.5, atol=1e-3)
    np.testing.assert_allclose(cut[:, 10, 0].mean(), 22 + 45 / 2 - 0.5, atol=0.1)


def test_antialiasing_is_pils_and_the_default_is_the_phones(shared):
    file = min((shared / "data" / "flowers" / "val").glob("*/*.jpg"))
    with Image.open(file) as photo:
        photo = photo.convert("RGB")
    image, side = tf.constant(np.asarray(photo)), min(photo.size)
    smooth = crops.center_crop(image, size=(48, 48), share=1.0, antialias=True)
    sharp = crops.center_crop(image, size=(48, 48), share=1.0)
    left, top = (photo.width - side) // 2, (photo.height - side) // 2
    box = (left, top, left + side, top + side)
    expected = photo.crop(box).resize((48, 48), Image.Resampling.BILINEAR)
    expected = np.asarray(expected, np.float32)
    # PIL rounds to whole values, twice.
    assert np.abs(smooth - expected).max() < 1.5
    assert np.abs(sharp - expected).mean() > 2.0


def test_flips_mirror_half_of_the_images():
    image = tf.constant(ramps(4, 6))
    flipped = 0
    for k in range(100):
        turned = crops.random_flip(image, seed=tf.constant((0, k))).numpy()
        mirrored = (turned == image.numpy()[:, ::-1]).all()
        assert mirrored or (turned == image.numpy()).all()
        flipped += mirrored
    assert 30 < flipped < 70
