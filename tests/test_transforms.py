"""Geometry and color, eagerly and in tf.data."""

import colorsys

import numpy as np
import pytest
import tensorflow as tf

from official.data import transforms

SEED = (3, 14)


def _both(function, *arrays):
    """Results of a function called eagerly; those of tf.data must be the same."""
    eager = function(*(tf.constant(array) for array in arrays))
    mapped = tf.data.Dataset.from_tensors(arrays).map(function)
    for one, other in zip(
        tf.nest.flatten(eager), tf.nest.flatten(next(iter(mapped))), strict=True
    ):
        # Compiled graphs may fuse multiply and add: a few units in the last place.
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-3)
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), eager)


def _noise(height, width, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (height, width, 3), np.uint8)


def _labels_and_image(height, width):
    """Labels in blocks of 8x8 pixels, and an image whose pixels are 10 times the label."""
    y, x = np.mgrid[:height, :width]
    labels = ((y // 8) * 3 + x // 8).astype(np.int32) % 25
    return np.repeat((labels * 10)[..., None], 3, -1).astype(np.uint8), labels


def test_resize_uses_half_pixel_centers_and_no_antialiasing():
    image = np.array([[0, 100, 200, 40]], np.uint8)[..., None].repeat(3, -1)
    resized = _both(lambda x: transforms.resize(x, (1, 2)), image)
    assert resized.dtype == np.float32
    # Centers at 1 and 3 of 4: between pixels 0 and 1, and between pixels 2 and 3.
    np.testing.assert_allclose(resized[0, :, 0], [50, 120])


def test_resize_labels_takes_the_nearest_center():
    labels = np.array([[1, 2, 3, 4, 5, 6]], np.int32)
    assert _both(lambda x: transforms.resize_labels(x, (1, 2)), labels).tolist() == [
        [2, 5]
    ]
    larger = _both(lambda x: transforms.resize_labels(x, (1, 12)), labels)
    assert larger.tolist() == [[1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]]
    assert larger.dtype == np.int32


def _crop(
    image, labels, scale_range=(1.0, 1.0), crop_size=(32, 48), seed=SEED, **options
):
    return transforms.random_scale_crop(
        image,
        labels,
        base_size=(64, 96),
        scale_range=scale_range,
        crop_size=crop_size,
        seed=tf.constant(seed),
        **options,
    )


@pytest.mark.parametrize("scale", [0.25, 0.4, 0.7, 1.0, 1.3, 2.0])
def test_labels_stay_with_their_pixels(scale):
    image, labels = _both(
        lambda i, m: _crop(i, m, (scale, scale), fill=0.0), *_labels_and_image(64, 96)
    )
    assert image.shape == (32, 48, 3)
    assert labels.shape == (32, 48)
    assert labels.dtype == np.int32
    inside = labels != 255
    error = np.abs(image[..., 0] - labels * 10.0)[inside]
    # Off the borders of the blocks, pixels are exactly ten times their label.
    assert np.mean(error < 1e-3) > 0.5
    assert np.median(error) < 1e-3


@pytest.mark.parametrize("scale", [0.3, 0.75, 1.5])
def test_a_crop_equals_the_resized_image_there(scale):
    y, x = np.mgrid[:64, :96]
    ramp = np.stack([2 * x, 3 * y, x + y], -1).astype(np.uint8)  # place from color
    image, labels = _crop(
        tf.constant(ramp), tf.zeros((64, 96), tf.int32), (scale, scale)
    )
    image, inside = image.numpy(), labels.numpy() == 0
    rows, columns = inside.any(1), inside.any(0)
    image = image[rows][:, columns]
    assert image.shape[:2] == (
        min(32, round(64 * scale)),
        min(48, round(96 * scale)),
    )
    # Away from the clamped border a step of one pixel is 1 / scale pixels of the ramp;
    # the window is rounded by half a pixel of the original over the 48 of the crop.
    step = np.diff(image[5, 3:-3, 0]) / 2
    np.testing.assert_allclose(step, 96 / round(96 * scale), atol=0.5 / 48)


def test_padding_is_filled_and_ignored():
    image, labels = _both(
        lambda i, m: _crop(i, m, (0.25, 0.25)), *_labels_and_image(64, 96)
    )
    padding = labels == 255
    assert padding.sum() == 32 * 48 - 16 * 24
    assert (image[padding] == 127.5).all()


def test_crops_and_scales_vary_and_cover_the_image():
    image, labels = _labels_and_image(64, 96)
    crops = [_crop(image, labels, (0.5, 2.0), seed=(0, k)) for k in range(20)]
    assert len({crop[1].numpy().tobytes() for crop in crops}) == 20
    corners = [
        _crop(image, np.arange(64 * 96, dtype=np.int32).reshape(64, 96), seed=(1, k))[1]
        for k in range(150)
    ]
    tops = {int(corner[0, 0]) // 96 for corner in corners}
    lefts = {int(corner[0, 0]) % 96 for corner in corners}
    assert {min(tops), max(tops)} == {0, 32}
    assert {min(lefts), max(lefts)} == {0, 48}


def test_one_pixel_images_survive():
    image, labels = _crop(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.int32))
    assert image.shape == (32, 48, 3)
    assert (labels.numpy() == 0).all()


def test_random_flip_mirrors_half_of_the_images_with_their_labels():
    image, labels = _labels_and_image(16, 24)
    flipped = 0
    for k in range(100):
        turned = transforms.random_flip(
            tf.constant(image), tf.constant(labels), seed=tf.constant((0, k))
        )
        np.testing.assert_array_equal(turned[0][..., 0], turned[1] * 10)
        flipped += bool((turned[1].numpy() == labels[:, ::-1]).all())
    assert 30 < flipped < 70


def test_random_flip_works_in_a_pipeline():
    _both(
        lambda i, m: transforms.random_flip(i, m, seed=tf.constant(SEED)),
        *_labels_and_image(16, 24),
    )


def _jitter(image, seed=SEED, **ranges):
    given = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0} | ranges
    return transforms.color_jitter(image, seed=tf.constant(seed), **given)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_every_range_changes_colors_and_none_leaves_0_to_255(name):
    image = _noise(8, 8)
    jittered = _both(lambda x: _jitter(x, **{name: 0.4}), image)
    assert np.abs(jittered - image).max() > 5
    assert jittered.min() >= 0
    assert jittered.max() <= 255


def test_no_range_changes_nothing():
    image = _noise(8, 8)
    np.testing.assert_array_equal(_both(_jitter, image), image)


def test_brightness_shifts_all_pixels_alike():
    image = np.full((4, 4, 3), 128, np.uint8)
    shifts = [
        float(_jitter(image, (0, k), brightness=0.2)[0, 0, 0]) - 128 for k in range(200)
    ]
    assert -51 <= min(shifts) < -45
    assert 45 < max(shifts) <= 51


def test_saturation_and_hue_leave_gray_alone():
    gray = np.full((4, 4, 3), 90, np.uint8)
    jittered = _jitter(gray, saturation=0.9, hue=0.5)
    # The rows I and Q sum to 0 up to a thousandth.
    np.testing.assert_allclose(jittered, gray, atol=0.3)


def test_contrast_keeps_the_mean_gray():
    image = _noise(16, 16) // 2 + 64
    gray = np.asarray(_jitter(image, contrast=0.3)) @ (0.299, 0.587, 0.114)
    np.testing.assert_allclose(
        gray.mean(), (image @ (0.299, 0.587, 0.114)).mean(), atol=0.05
    )


def test_hue_turns_the_color_circle():
    image = np.full((2, 2, 3), (180, 90, 90), np.uint8)
    hues = []
    for k in range(60):
        red, green, blue = np.asarray(_jitter(image, (0, k), hue=0.5))[0, 0] / 255
        hues.append(colorsys.rgb_to_hsv(red, green, blue)[0])
    assert np.histogram(hues, bins=6, range=(0, 1))[0].min() > 0


def test_the_same_seed_gives_the_same_result_and_another_another():
    image, labels = _noise(64, 96), _labels_and_image(64, 96)[1]

    def augment(seed):
        one = _crop(image, labels, (0.5, 2.0), seed=seed)
        one = transforms.random_flip(*one, seed=tf.constant(seed))
        return np.asarray(_jitter(one[0], seed, brightness=0.2, hue=0.1))

    np.testing.assert_array_equal(augment((5, 6)), augment((5, 6)))
    assert (augment((5, 6)) != augment((5, 7))).any()
