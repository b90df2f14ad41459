"""From the network to the bytes of a file."""

import pathlib

import converters
import export_networks as networks
import keras
import numpy as np
import pytest

from official import export_spec, failures
from official.layers import hard_swish
from official.quantization import rewrite, scheme
from tflite_export import (
    calibration,
    child,
    conversion,
    inference,
    interpreter,
    probe,
)
from tflite_export.targets import base as targets_base

NORM_OPS = {"RSQRT", "SUB", "DIV", "SQUARED_DIFFERENCE"}


def require_close(ours, theirs, *, share: float, clipped: bool) -> None:
    """Errors within a share of the range; of an int8 file, whose ranges leave out the
    oddest values, for 95 of 100 values.
    """
    errors = np.abs(ours - theirs) / np.ptp(theirs)
    assert np.quantile(errors, 0.95 if clipped else 1.0) < share
    assert errors.max() < 0.1


@pytest.mark.parametrize("precision", export_spec.PRECISIONS)
def test_a_file_of_each_precision_gives_what_keras_gives(precision, tmp_path):
    images = networks.pixels()
    runner = interpreter.Runner(networks.file(tmp_path, precision))
    ours = runner(images)["logits"]
    theirs = networks.network().predict_on_batch(images)["logits"]
    # float16 keeps 11 bits of a weight, 8-bit weights or values 8.
    share = {"float32": 1e-5, "float16": 1e-3}.get(precision, 4e-2)
    require_close(ours, theirs, share=share, clipped=precision == "int8")


@pytest.mark.parametrize("precision", export_spec.PRECISIONS)
def test_every_precision_has_a_static_integer_input_and_folded_norms(precision):
    file = networks.parsed(precision)
    assert list(file.inputs) == ["images"]
    wide = precision == "int16x8"  # all its activations have 16 bits
    assert file.inputs["images"].dtype == ("INT16" if wide else "UINT8")
    assert file.inputs["images"].shape == (1, *networks.SIZE, 3)
    assert file.outputs["logits"].shape == (1, 16, 12, 5)
    assert not NORM_OPS & set(file.histogram)


@pytest.mark.parametrize("precision", ["float32", "int8", "mixed"])
def test_a_process_of_its_own_writes_what_a_forked_one_does(precision, monkeypatch):
    forked = networks.convert(networks.network(), precision)
    monkeypatch.setattr(child, "run", converters.process)
    assert networks.convert(networks.network(), precision) == forked


def test_pixels_go_straight_into_an_int8_file():
    image = networks.parsed("int8").inputs["images"]
    assert image.scales == pytest.approx([1 / 127.5], rel=1e-6)
    assert image.zero_points[0] in (127, 128)
    assert networks.parsed("int8").histogram["QUANTIZE"] == 2  # the two borders


def test_weights_of_an_int8_file_have_a_scale_for_each_channel():
    ops = {op.layer: op for op in networks.parsed("int8").ops}
    assert len(ops["stem_conv"].inputs[1].scales) == 8
    assert len(ops["block_depthwise_conv"].inputs[1].scales) == 8
    assert len(ops["classes"].inputs[1].scales) == 5


def test_an_int8_file_splits_hard_swish_and_runs_in_one_piece(tmp_path):
    file = networks.file(tmp_path, "int8")
    assert "HARD_SWISH" not in networks.parsed("int8").histogram
    probed = probe.run(file)
    assert probed.partitions == 1
    assert set(probed.outside) <= {"QUANTIZE"}
    assert probed.peak_memory > 0


def test_a_float_file_keeps_hard_swish_fused():
    assert networks.parsed("float32").histogram["HARD_SWISH"] == 2


def test_rewriting_leaves_the_trained_network_as_it_was():
    network = networks.network()
    rewritten = targets_base.find("cpu").rewrite(network, "int8").model
    forms = {
        layer.form
        for layer in rewritten.layers
        if isinstance(layer, hard_swish.HardSwish)
    }
    assert forms == {"split"}
    assert network.get_layer("stem_activation").form == "fused"
    images = networks.pixels()
    np.testing.assert_allclose(
        rewritten.predict_on_batch(images)["logits"],
        network.predict_on_batch(images)["logits"],
        atol=1e-5,
    )


def test_class_ids_at_input_size_are_those_of_the_enlarged_logits(tmp_path):
    spec = {"output": "class_ids", "output_size": "input", "input_type": "float32"}
    file = networks.file(tmp_path, "int8", **spec)
    images = networks.pixels()
    ids = interpreter.Runner(file)(images)["class_ids"]
    assert ids.dtype == np.int32
    assert ids.shape == (2, *networks.SIZE)
    logits = networks.network().predict_on_batch(images)["logits"]
    large = keras.ops.image.resize(logits, networks.SIZE, interpolation="bilinear")
    assert np.mean(np.argmax(large, -1) == ids) > 0.97
    assert networks.parsed("int8", **spec).inputs["images"].dtype == "FLOAT32"


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_file_with_int8_input_takes_pixels_less_128(precision, tmp_path):
    file = networks.file(tmp_path, precision, input_type="int8", output_type="int8")
    images = networks.pixels()
    runner = interpreter.Runner(file)
    assert runner.file.inputs["images"].dtype == "INT8"
    theirs = networks.network().predict_on_batch(images)["logits"]
    share = 1e-5 if precision == "float32" else 4e-2
    clipped = precision == "int8"
    require_close(runner(images)["logits"], theirs, share=share, clipped=clipped)


def test_an_operation_outside_of_a_layer_survives_the_copies():
    images = keras.Input((*networks.SIZE, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    x = (
        keras.ops.relu(keras.layers.Conv2D(4, 3, name="conv")(x) + 0.25)
        - x[:, 1:-1, 1:-1, :1]
    )
    network = keras.Model(images, {"logits": x})
    copy = targets_base.find("cpu").rewrite(network, "int8").model
    graph = inference.build(
        copy, spec=export_spec.Export(input_type="float32"), precision="int8"
    )
    pixels = networks.pixels(1)
    np.testing.assert_allclose(
        graph.model(pixels)["logits"], network(pixels)["logits"], atol=1e-6
    )


@keras.saving.register_keras_serializable(package="tests")
class Bessel(keras.layers.Layer):
    def call(self, x):
        import tensorflow as tf

        return tf.math.bessel_i0(x)


def test_an_op_without_a_kernel_is_one_line_that_names_op_and_layer():
    with pytest.raises(failures.RunError) as caught:
        networks.convert(networks.with_layer(Bessel(name="odd")), "float32")
    assert str(caught.value) == (
        "conversion to float32 failed: the op BesselI0 of layer 'odd' has no TFLite "
        "kernel; build it of other ops"
    )
    assert "BesselI0" in caught.value.__notes__[0]  # what --debug shows


def test_an_input_range_other_than_all_pixels_is_refused():
    spec = export_spec.Export()
    graph = inference.build(networks.network(), spec=spec, precision="int8")
    narrow = np.full((2, *networks.SIZE, 3), 100, np.uint8)
    with pytest.raises(failures.RunError, match=r"want 0.00784314 and 127.5 to within"):
        conversion.convert(graph, "int8", spec=spec, calibration=narrow)


def test_calibration_images_hold_all_levels_without_new_edges():
    ramp = np.linspace(60.4, 180.6, 8, dtype=np.float32)
    images = [np.full((1, 4, 8, 3), 99.6, np.float32), np.empty((1, 4, 8, 3))]
    images[1][...] = ramp[None, None, :, None]
    collected = calibration.collect(images)
    assert collected.dtype == np.uint8
    assert (collected[0] == 100).all()  # rounded, and otherwise as it was
    # The one with the widest range is stretched to all levels, in the same order.
    assert (collected[1].min(), collected[1].max()) == (0, 255)
    assert (np.diff(collected[1, 0, :, 0].astype(int)) > 30).all()


def test_blank_calibration_images_get_a_ramp():
    collected = calibration.collect([np.full((1, 4, 256, 3), 7, np.float32)])
    assert (collected.min(), collected.max()) == (0, 255)
    assert np.diff(collected[0, 0, :, 0].astype(int)).max() == 1


def test_a_network_without_its_normalisation_layer_is_named():
    images = keras.Input((8, 8, 3))
    logits = keras.layers.Conv2D(2, 1, name="conv")(images)
    network = keras.Model(images, {"logits": logits}, name="bare")
    with pytest.raises(ValueError, match="'bare' has no Rescaling layer 'normalize'"):
        inference.build(network, spec=export_spec.Export(), precision="float32")


def test_an_unknown_target_gets_the_nearest_name():
    with pytest.raises(failures.RequestError, match=r"'cpus' is unknown.*mean cpu"):
        targets_base.find("cpus")


def test_every_module_of_targets_holds_one_target():
    for name in targets_base.names():
        assert isinstance(targets_base.find(name), targets_base.Target)
    assert pathlib.Path(targets_base.__file__).stem not in targets_base.names()


def test_each_channel_of_a_constant_bias_keeps_its_own_scale(tmp_path):
    """As the scores of a detector start, low and all alike."""
    images = keras.Input((8, 8, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    convolution = keras.layers.Conv2D(
        4, 1, bias_initializer=keras.initializers.Constant(-4.6), name="scores"
    )
    model = keras.Model(images, {"logits": convolution(x)})
    kernel = np.ones((1, 1, 3, 4), "float32") * (0.01, 0.02, 0.03, 0.04)
    convolution.set_weights([kernel, convolution.bias.numpy()])
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3)).astype("float32")
    network = scheme.QuantScheme().apply(model)
    rewrite.observe(network, [pixels])
    spec = export_spec.Export()
    built = inference.build(network, spec=spec, precision="int8")
    path = tmp_path / "model.tflite"
    path.write_bytes(conversion.convert(built, "int8", spec=spec))
    (given,) = interpreter.Runner(path)(pixels).values()
    np.testing.assert_allclose(
        given, model.predict_on_batch(pixels)["logits"], atol=0.05
    )
