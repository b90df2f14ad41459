"""The pixel cross-entropy against values worked by hand."""

import math

import keras
import numpy as np
import pytest

from official.losses import cross_entropy


def logits(*probabilities) -> np.ndarray:
    """`[1, 1, W, C]` logits whose softmax gives these rows."""
    return np.log(np.array([[probabilities]], np.float32))


def value(loss, labels, outputs) -> float:
    return float(loss({"semantic": np.array(labels)}, {"logits": outputs}))


def test_the_mean_over_labelled_pixels():
    outputs = logits([0.5, 0.5], [0.25, 0.75], [0.9, 0.1])
    found = value(cross_entropy.PixelCrossEntropy(), [[[0, 0, 255]]], outputs)
    assert found == pytest.approx((math.log(2) + math.log(4)) / 2, rel=1e-6)


def test_class_weights_scale_the_pixels_of_their_class():
    outputs = logits([0.5, 0.5], [0.25, 0.75])
    loss = cross_entropy.PixelCrossEntropy(class_weights=(3.0, 1.0))
    found = value(loss, [[[0, 1]]], outputs)
    assert found == pytest.approx((3 * math.log(2) + math.log(4 / 3)) / 2, rel=1e-6)


def test_only_the_hardest_pixels_count():
    outputs = logits([0.5, 0.5], [0.25, 0.75], [0.125, 0.875], [0.9, 0.1])
    loss = cross_entropy.PixelCrossEntropy(hardest_fraction=0.5)
    found = value(loss, [[[0, 0, 0, 0]]], outputs)
    assert found == pytest.approx((math.log(4) + math.log(8)) / 2, rel=1e-6)


def test_ignored_pixels_are_never_among_the_hardest():
    outputs = logits([0.01, 0.99], [0.5, 0.5], [0.01, 0.99], [0.01, 0.99])
    loss = cross_entropy.PixelCrossEntropy(hardest_fraction=0.5)
    assert value(loss, [[[255, 0, 255, 255]]], outputs) == pytest.approx(math.log(2))


def test_an_image_without_labels_has_no_loss():
    found = value(cross_entropy.PixelCrossEntropy(), [[[255]]], logits([0.5, 0.5]))
    assert found == 0.0


def test_each_image_weighs_the_same():
    outputs = np.concatenate(
        [logits([0.5, 0.5], [0.5, 0.5]), logits([0.25, 0.75], [0.1, 0.9])]
    )
    found = value(cross_entropy.PixelCrossEntropy(), [[[0, 0]], [[0, 255]]], outputs)
    assert found == pytest.approx((math.log(2) + math.log(4)) / 2, rel=1e-6)


def test_coarse_logits_are_resized_to_the_labels():
    coarse = np.zeros((1, 2, 2, 3), np.float32)
    found = value(cross_entropy.PixelCrossEntropy(), np.zeros((1, 8, 8), int), coarse)
    assert found == pytest.approx(math.log(3), rel=1e-6)


def test_half_precision_logits_lose_nothing_at_the_loss():
    exact = logits([0.3, 0.7], [0.6, 0.4])
    half = keras.ops.cast(exact, "float16")
    loss = cross_entropy.PixelCrossEntropy()
    found = float(loss({"semantic": np.zeros((1, 1, 2), int)}, {"logits": half}))
    assert found == pytest.approx(value(loss, [[[0, 0]]], exact), rel=2e-3)


def test_the_config_rebuilds_it():
    loss = cross_entropy.PixelCrossEntropy(
        class_weights=(1.0, 2.0), hardest_fraction=0.5
    )
    again = cross_entropy.PixelCrossEntropy(**loss.get_config())
    outputs = logits([0.5, 0.5], [0.25, 0.75])
    assert value(again, [[[0, 1]]], outputs) == value(loss, [[[0, 1]]], outputs)
