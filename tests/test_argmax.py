"""The class-ids layer."""

import keras
import numpy as np

from official.layers import argmax

LOGITS = np.random.default_rng(0).normal(size=(2, 4, 3, 5)).astype("float32")


def test_it_gives_the_index_of_the_largest_channel_as_int32():
    ids = keras.ops.convert_to_numpy(argmax.ArgMax()(LOGITS))
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(ids, LOGITS.argmax(-1))


def test_both_implementations_agree_and_take_the_first_of_equals():
    logits = np.concatenate([LOGITS, np.zeros_like(LOGITS), -np.abs(LOGITS)])
    logits[:, 0, 0] = [1, 3, 3, -2, 3]
    fast = np.asarray(argmax.with_tensorflow(logits))
    neutral = keras.ops.convert_to_numpy(argmax.with_any_backend(logits))
    np.testing.assert_array_equal(fast, neutral)
    assert (fast[:, 0, 0] == 1).all()
    assert fast.dtype == neutral.dtype == np.int32


def test_it_tells_its_output_and_survives_saving(tmp_path):
    inputs = keras.Input((4, 3, 5))
    outputs = argmax.ArgMax(name="class_ids")(inputs)
    assert (outputs.shape, outputs.dtype) == ((None, 4, 3), "int32")
    keras.Model(inputs, outputs).save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(LOGITS), LOGITS.argmax(-1))
