import keras
import numpy as np
import pytest
import tensorflow as tf

from official.losses import center_offsets

LOSSES = [center_offsets.CenterLoss(), center_offsets.OffsetLoss()]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=["centers", "offsets"])


def _drawn(images, *, share=0.4):
    generator = np.random.default_rng(0)
    shape = (images, 4, 6)
    targets = {
        "center_heatmap": generator.uniform(size=(*shape, 1)),
        "offsets": generator.normal(size=(*shape, 2)),
        "center_weights": generator.uniform(size=shape) < share,
        "offset_weights": generator.uniform(size=shape) < share,
    }
    outputs = {
        "center_heatmap": generator.normal(size=(*shape, 1)),
        "offsets": generator.normal(size=(*shape, 2)),
    }
    return (
        {name: value.astype("float32") for name, value in targets.items()},
        {name: value.astype("float32") for name, value in outputs.items()},
    )


def test_the_loss_of_centers_worked_by_hand():
    targets = {
        "center_heatmap": np.float32([1.0, 0.5, 0.0]).reshape(1, 1, 3, 1),
        "center_weights": np.float32([[[1, 1, 0]]]),
    }
    found = np.float32([0.8, 0.6, 9.0]).reshape(1, 1, 3, 1)
    # The third pixel does not count: (0.04 + 0.01) / 2, times 200.
    loss = center_offsets.CenterLoss()
    assert float(loss(targets, {"center_heatmap": found})) == pytest.approx(5.0)


def test_the_loss_of_offsets_worked_by_hand():
    targets = {
        "offsets": np.float32([[[[10, -4], [0, 0], [2, 2]]]]),
        "offset_weights": np.float32([[[1, 0, 3]]]),
    }
    found = np.float32([[[[7, 0], [np.inf, -99], [2, 3]]]])
    # 3 + 4 of the first and 1 of the last, which weighs three times; of weights of 4.
    loss = center_offsets.OffsetLoss()
    assert float(loss(targets, {"offsets": found})) == pytest.approx(0.01 * 10 / 4)


@every_loss
def test_halves_of_a_batch_weigh_as_the_whole(loss):
    targets, outputs = _drawn(4)
    halves = [
        float(
            loss(
                {k: v[part] for k, v in targets.items()},
                {k: v[part] for k, v in outputs.items()},
            )
        )
        for part in (slice(0, 1), slice(1, 2), slice(2, 3), slice(3, 4))
    ]
    assert halves[0] != pytest.approx(halves[1], rel=1e-3)
    assert sum(halves) / 4 == pytest.approx(float(loss(targets, outputs)), rel=1e-5)


@every_loss
@pytest.mark.parametrize("share", [0.0, 0.4])
def test_losses_of_half_precision_and_their_gradients_are_finite(loss, share):
    targets, outputs = _drawn(2, share=share)
    variables = {k: tf.constant(100 * v, "float16") for k, v in outputs.items()}
    with tf.GradientTape() as tape:
        tape.watch(variables)
        value = loss(targets, variables)
    assert value.dtype == "float32"
    assert np.isfinite(value)
    assert (float(value) > 0) == (share > 0)
    gradients = tape.gradient(value, variables)
    assert all(np.isfinite(g).all() for g in gradients.values() if g is not None)


@every_loss
def test_a_loss_is_saved_with_its_settings(loss):
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert copy.get_config() == loss.get_config()
