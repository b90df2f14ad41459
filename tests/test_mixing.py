"""Mixup and CutMix on whole batches."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from official import bindings, gin
from official.data import mixing

BATCH, HEIGHT, WIDTH = 32, 24, 40
# Image k has the value k everywhere, so that a pixel says where it comes from.
VALUES = np.arange(BATCH, dtype=np.float32)
BEFORE = np.roll(VALUES, 1)


def batch(*, multi_label=False):
    images = np.broadcast_to(VALUES[:, None, None, None], (BATCH, HEIGHT, WIDTH, 3))
    targets = {"label": tf.range(BATCH), "extra": tf.range(BATCH)}
    if multi_label:
        targets = {"labels": tf.one_hot(tf.range(BATCH) % 8, 8)}
    return tf.constant(images), targets


def mixed(mixer, seed=(1, 2), **options):
    """Images and targets of a batch, from tf.data."""
    dataset = tf.data.Dataset.from_tensors(batch(**options))
    dataset = dataset.map(lambda x, y: mixer(x, y, seed=tf.constant(seed)))
    images, targets = next(iter(dataset))
    assert dataset.element_spec[0].shape == (BATCH, HEIGHT, WIDTH, 3)
    return images.numpy(), {name: value.numpy() for name, value in targets.items()}


CUTMIX = mixing.Mixing(mixup_alpha=0.0)
MIXUP = mixing.Mixing(cutmix_alpha=0.0)


@pytest.mark.parametrize("mixer", [CUTMIX, MIXUP, mixing.Mixing()])
def test_the_share_is_how_much_of_the_image_is_its_own(mixer):
    images, targets = mixed(mixer)
    np.testing.assert_array_equal(targets["label"], np.arange(BATCH))
    np.testing.assert_array_equal(targets["other_label"], BEFORE)
    np.testing.assert_array_equal(targets["extra"], np.arange(BATCH))
    share = targets["share"]
    assert (targets["other_label"].dtype, share.dtype) == (np.int32, np.float32)
    means = share * VALUES + (1 - share) * BEFORE
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), means, rtol=1e-4, atol=1e-4)
    assert share.min() >= 0
    assert share.max() <= 1


def test_cutmix_pastes_a_rectangle_of_the_image_before():
    shapes = set()
    for k in range(6):
        images, targets = mixed(CUTMIX, (5, k))
        for number in range(BATCH):
            pasted = (images[number] == BEFORE[number]).all(-1)
            kept = (images[number] == VALUES[number]).all(-1)
            assert (pasted ^ kept).all()
            height, width = pasted.any(1).sum(), pasted.any(0).sum()
            assert pasted.sum() == height * width
            share = 1 - pasted.mean()
            np.testing.assert_allclose(targets["share"][number], share, atol=1e-6)
            shapes.add((height, width))
    assert len(shapes) > 50


def test_the_rectangle_of_cutmix_has_the_shape_of_the_image_where_it_is_whole():
    size = tf.constant([2000, 50, 100])
    inside, shares = mixing._boxes(tf.fill([2000], 0.75), size, tf.constant((1, 2)))
    inside = inside.numpy() == 0
    heights = inside.any(2).sum(1)
    widths = inside.any(1).sum(1)
    # Half of each side leaves three quarters of the area.
    assert abs(heights.max() - 25) <= 1
    assert abs(widths.max() - 50) <= 1
    assert np.median(widths) > 40
    whole = (heights >= 24) & (widths >= 49)
    np.testing.assert_allclose(shares.numpy()[whole], 0.75, atol=0.02)
    np.testing.assert_allclose(1 - inside.mean(axis=(1, 2)), shares, atol=1e-6)
    # Centers are everywhere, so that a quarter at most is lost at each edge.
    covered = inside.mean(axis=0)
    assert covered.min() > 0.05
    assert covered[20:30, 40:60].mean() == pytest.approx(0.25, abs=0.03)


def test_mixup_blends_whole_images():
    images, targets = mixed(MIXUP)
    share = targets["share"]
    expected = share * VALUES + (1 - share) * BEFORE
    np.testing.assert_allclose(
        images, np.broadcast_to(expected[:, None, None, None], images.shape), rtol=1e-5
    )
    assert len(set(share.tolist())) == BATCH  # each image draws its own


@pytest.mark.parametrize("alpha", [0.05, 0.8, 1.0, 5.0])
def test_shares_are_drawn_from_the_beta_distribution(alpha):
    draws = mixing._beta(alpha, 20_000, tf.constant((3, 4))).numpy()
    assert np.isfinite(draws).all()
    assert (draws.min(), draws.max()) >= (0, 0)
    np.testing.assert_allclose(draws.mean(), 0.5, atol=0.02)
    # Beta(a, a) has the variance 1 / (4 (2 a + 1)).
    np.testing.assert_allclose(draws.var(), 1 / (4 * (2 * alpha + 1)), rtol=0.05)


def test_labels_of_several_classes_are_weighted_means():
    images, targets = mixed(mixing.Mixing(), multi_label=True)
    assert set(targets) == {"labels"}
    labels = targets["labels"]
    np.testing.assert_allclose(labels.sum(-1), 1, atol=1e-6)
    own = labels[np.arange(BATCH), np.arange(BATCH) % 8]
    mean = own * VALUES + (1 - own) * BEFORE
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), mean, rtol=1e-4, atol=1e-4)


def test_images_that_are_not_mixed_stay_bit_for_bit():
    mixer = mixing.Mixing(probability=0.3)
    untouched = 0
    for k in range(10):
        images, targets = mixed(mixer, (9, k))
        whole = targets["share"] == 1
        untouched += whole.sum()
        np.testing.assert_array_equal(images[whole], batch()[0].numpy()[whole])
    assert 0.6 < untouched / (10 * BATCH) < 0.8
    never = mixed(mixing.Mixing(probability=0.0))
    np.testing.assert_array_equal(never[0], batch()[0])


@pytest.mark.parametrize(("switch", "expected"), [(0.0, 0.0), (0.25, 0.25), (1.0, 1.0)])
def test_the_switch_decides_between_the_two(switch, expected):
    mixer = mixing.Mixing(switch_probability=switch)
    cut = 0
    for k in range(10):
        images, _ = mixed(mixer, (11, k))
        blended = (images > np.minimum(VALUES, BEFORE)[:, None, None, None]) & (
            images < np.maximum(VALUES, BEFORE)[:, None, None, None]
        )
        cut += (~blended.any(axis=(1, 2, 3))).sum()
    assert cut / (10 * BATCH) == pytest.approx(expected, abs=0.08)


def test_the_same_seed_mixes_alike_and_another_does_not():
    mixer = mixing.Mixing()
    np.testing.assert_array_equal(mixed(mixer)[0], mixed(mixer)[0])
    assert (mixed(mixer)[1]["share"] != mixed(mixer, (1, 3))[1]["share"]).any()


def test_a_batch_of_one_is_mixed_with_itself():
    image = tf.random.stateless_uniform([1, 8, 8, 3], (1, 2), 0.0, 255.0)
    images, targets = mixing.Mixing()(
        image, {"label": tf.constant([4])}, seed=tf.constant((1, 2))
    )
    np.testing.assert_allclose(images, image, rtol=1e-5)
    assert targets["other_label"].numpy().tolist() == [4]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mixup_alpha": -1.0}, "mixup_alpha -1.0: want 0 or more"),
        ({"cutmix_alpha": -1.0}, "cutmix_alpha -1.0"),
        ({"probability": 2.0}, "probability 2.0: want 0..1"),
        ({"switch_probability": -0.5}, "switch_probability -0.5"),
        ({"mixup_alpha": 0.0, "cutmix_alpha": 0.0}, "use None in place of Mixing"),
    ],
)
def test_values_that_make_no_sense_are_refused(fields, message):
    with pytest.raises(ValueError) as caught:
        mixing.Mixing(**fields)
    assert message in str(caught.value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    mixer: mixing.Mixing | None = None


def test_mixing_is_bound_as_a_component():
    setting = gin.parse_setting("mixer = @Mixing(probability=0.2)")
    config = bindings.apply(Config(), [setting])
    assert config == Config(mixer=mixing.Mixing(probability=0.2))
