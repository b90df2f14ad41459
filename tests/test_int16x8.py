"""Files with 16-bit activations."""

import export_networks as networks
import keras
import numpy as np
import pytest

from official import failures
from official.layers import attention
from tflite_export import check, flatbuffer, interpreter
from tflite_export.targets import base as targets_base


def test_input_is_int16_of_pixels_and_everything_within_is_integer(tmp_path):
    file = flatbuffer.read(networks.file(tmp_path, "int16x8"))
    image = file.inputs["images"]
    assert (image.dtype, image.zero_points) == ("INT16", (0,))
    assert 32767 * image.scales[0] == pytest.approx(255, rel=1e-4)
    assert file.outputs["logits"].dtype == "INT16"
    assert file.precision == "int16x8"
    check.require(file, precision="int16x8", target=targets_base.find("cpu"))


def test_it_is_nearer_to_keras_than_8_bits(tmp_path):
    images = networks.pixels()
    theirs = networks.network().predict_on_batch(images)["logits"]
    ours = interpreter.Runner(networks.file(tmp_path, "int16x8"))(images)["logits"]
    coarse = interpreter.Runner(networks.file(tmp_path, "int8"))(images)["logits"]
    assert np.std(ours - theirs) < 0.3 * np.std(coarse - theirs)


def head() -> keras.Model:
    """What heads and hybrid backbones have: attention, resize, softmax."""
    keras.utils.set_random_seed(0)
    conv = keras.layers.Conv2D
    images = keras.Input((*networks.SIZE, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    x = conv(8, 3, strides=4, padding="same", name="stem_conv")(x)
    keys, values = conv(4, 1, name="keys")(x), conv(4, 1, name="values")(x)
    x = attention.MultiQueryAttention(name="attention")(x, keys, values)
    x = keras.layers.Resizing(16, 12, interpolation="bilinear", name="resize")(x)
    x = conv(5, 1, name="classes")(x)
    return keras.Model(images, {"logits": keras.layers.Softmax(name="shares")(x)})


def test_attention_resize_and_softmax_have_kernels_of_16_bits(tmp_path):
    path, images = tmp_path / "model.tflite", networks.pixels()
    path.write_bytes(networks.convert(head(), "int16x8"))
    check.require(
        flatbuffer.read(path), precision="int16x8", target=targets_base.find("cpu")
    )
    theirs = head().predict_on_batch(images)["logits"]
    np.testing.assert_allclose(
        interpreter.Runner(path)(images)["logits"], theirs, atol=5e-3
    )


def test_an_op_without_a_kernel_of_16_bits_is_named_with_its_layer():
    layer = keras.layers.LayerNormalization(name="odd")
    with pytest.raises(failures.RunError) as caught:
        networks.convert(networks.with_layer(layer), "int16x8")
    assert str(caught.value) == (
        "conversion to int16x8 failed: the op NEG of layer 'odd' has no TFLite kernel "
        "with 16-bit activations; build it of other ops, or export to int8 or mixed"
    )
