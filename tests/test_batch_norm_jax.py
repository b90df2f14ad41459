"""The norm on JAX, in a process of its own, against Keras's layer."""

import jax_process

SCRIPT = """
import jax
import keras
import numpy as np

from official.layers import batch_norm

generator = np.random.default_rng(0)
images = generator.normal(2, 3, size=(4, 5, 3, 6)).astype("float32")
values = [generator.uniform(0.5, 2, 6).astype("float32") for _ in range(4)]


def train(kind, images, **settings):
    layer = kind(**settings)
    layer.build(images.shape)
    layer.set_weights(values[: len(layer.weights)])
    held = [v.value for v in layer.trainable_variables]
    moving = [v.value for v in layer.non_trainable_variables]

    def loss(trained, images):
        outputs, after = layer.stateless_call(trained, moving, images, training=True)
        return keras.ops.sum(keras.ops.sin(keras.ops.cast(outputs, "float32"))), (
            outputs,
            after,
        )

    (_, (outputs, after)), gradients = jax.jit(
        jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
    )(held, images)
    assert outputs.dtype == layer.compute_dtype
    found = [outputs, *after, *gradients[0], gradients[1]]
    return [np.asarray(x, "float32") for x in found]


once = []
made = batch_norm._normalize_on_jax

for at_once, settings in (
    (False, {}),
    (True, {}),
    (True, {"momentum": 0.5, "epsilon": 1e-2}),
    (False, {"scale": False}),
    (True, {"center": False}),
    (False, {"synchronized": True}),
    (False, {"dtype": "mixed_bfloat16"}),
    (True, {"dtype": "mixed_bfloat16"}),
):
    batch_norm._normalize_on_jax = lambda **given: once.append(1) or made(
        at_once=at_once
    )
    half = "dtype" in settings
    x = jax.numpy.asarray(images, "bfloat16" if half else "float32")
    theirs = {k: v for k, v in settings.items() if k != "synchronized"}
    wanted = train(keras.layers.BatchNormalization, x, **theirs)
    got = train(batch_norm.BatchNormalization, x, **settings)
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        # float32 sums in another order; 4 units of bfloat16's mantissa
        tolerance = 4e-2 if half else 3e-5
        np.testing.assert_allclose(a, b, atol=tolerance, rtol=tolerance)
assert len(once) == 8, once

# Far from zero the squares of the values alone would leave nothing of the variance.
far = images * 1e-3 + 1000
layer = batch_norm.BatchNormalization(momentum=0.0)
layer.build(far.shape)
layer.moving_mean.assign(np.full(6, 1000.0))
layer(far, training=True)
wanted = far.astype("float64").var((0, 1, 2))
np.testing.assert_allclose(layer.moving_variance, wanted, rtol=2e-2)

# Nor where the moving mean is a hundred deviations away.
far = images + 300
layer = batch_norm.BatchNormalization(momentum=0.0)
layer(far, training=True)
wanted = far.astype("float64").var((0, 1, 2))
np.testing.assert_allclose(layer.moving_variance, wanted, rtol=1e-2)

# What is not [B, H, W, C], is frozen, or masked, stays Keras's.
once.clear()
train(batch_norm.BatchNormalization, images[:, 0, 0])
layer.trainable = False
layer(images, training=True)
layer(images, training=False)
assert not once, once
print("equal")
"""


@jax_process.needs_jax
def test_training_on_jax_equals_the_keras_layers(root):
    assert jax_process.printed(SCRIPT, root) == "equal"
