"""Layer by layer: how far an integer file is from the float network."""

import json

import export_networks as networks
import keras
import numpy as np
import pytest

from official import export_spec
from official.layers import attention, hard_swish
from official.report import html
from official.report import layer_errors as drawn
from tflite_export import inference, layer_errors
from tflite_export.targets import base as targets_base


def graph(network: keras.Model, precision: str) -> inference.Graph:
    rewritten = targets_base.find("cpu").rewrite(network, precision).model
    return inference.build(rewritten, spec=export_spec.Export(), precision=precision)


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> layer_errors.Report:
    path = networks.file(tmp_path_factory.mktemp("layers"), "int8")
    found = graph(networks.network(), "int8")
    return layer_errors.measure(path, found, networks.pixels(3), calibration="mse")


def test_every_layer_of_the_network_is_found_once_in_order(report):
    names = [row.layer for row in report.layers]
    assert names == [
        "stem_norm",
        "stem_activation",
        "block_depthwise_norm",
        "block_activation",
        "block_pool",
        "block_gate",
        "block_multiply",
        "block_add",
        "classes",
    ]
    assert report.images == 3
    # Within the two hard-swishes and the gate, whose first ops end no layer. (The gate's
    # x + 3 is in the bias of its convolution.)
    kinds = sorted(op.split()[0] for op in report.unmatched)
    assert kinds == ["ADD", "ADD", "CONV_2D", "MUL", "MUL"]


def test_a_layer_adds_less_error_than_all_before_it_together(report):
    for row in report.layers[1:]:
        assert row.own_snr_db > row.snr_db - 3, row.layer
    assert all(20 < row.own_snr_db < 80 for row in report.layers)
    assert all(0.1 < row.range_use <= 1 for row in report.layers)


def test_a_file_of_16_bits_errs_less(report, tmp_path):
    path = networks.file(tmp_path, "int16x8")
    finer = layer_errors.measure(
        path,
        graph(networks.network(), "int16x8"),
        networks.pixels(1),
        calibration="mse",
    )
    coarse = {row.layer: row.snr_db for row in report.layers}
    assert {row.layer for row in finer.layers} >= set(coarse)
    assert all(
        row.snr_db > coarse[row.layer] for row in finer.layers if row.layer in coarse
    )


def test_a_range_cut_in_half_is_called_clipped(tmp_path):
    def narrow(model):
        graph = model.subgraphs[0]
        for tensor in graph.tensors:
            if b"block_add" in tensor.name and tensor.quantization.scale is not None:
                tensor.quantization.scale = [0.3 * tensor.quantization.scale[0]]

    path = tmp_path / "model.tflite"
    path.write_bytes(networks.edited(networks.content("int8"), narrow))
    found = layer_errors.measure(
        path, graph(networks.network(), "int8"), networks.pixels(2), calibration="mse"
    )
    (row,) = (row for row in found.layers if row.layer == "block_add")
    assert row.clipped > 0.01
    assert "of the values lie beyond the range" in row.advice
    assert "block_add" in [row.layer for row in found.worst]


def row(**changes) -> layer_errors.LayerError:
    usual = {
        "layer": "x",
        "op": "CONV_2D",
        "snr_db": 10.0,
        "own_snr_db": 15.0,
        "range_use": 0.8,
        "clipped": 0.0,
        "channel_spread": 2.0,
    }
    return layer_errors.LayerError(**(usual | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"own_snr_db": 40.0, "clipped": 0.2}, ""),
        ({"clipped": 0.125}, "12.5 % of the values lie beyond the range"),
        ({"channel_spread": 20.0}, "the largest channel reaches 20 times as far"),
        ({"range_use": 0.1}, "10 % of the levels hold nearly all values"),
        ({"op": "DEPTHWISE_CONV_2D"}, "a depthwise kernel sums few products"),
        ({}, "rounding of weights and values"),
    ],
)
def test_advice_names_the_reason(changes, words):
    advice = layer_errors._advice(row(**changes), "average")
    assert advice.startswith(words)
    assert bool(advice) == bool(words)


@pytest.mark.parametrize(
    ("changes", "calibration", "end"),
    [
        ({"clipped": 0.1}, "average", "on more images, or with 'min_max' or 'mse'"),
        ({"clipped": 0.1}, "mse", "on more images, or with 'min_max'"),
        ({"clipped": 0.1}, "min_max", "on more images"),
        ({"range_use": 0.1}, "min_max", "calibrate with 'percentile' or 'mse'"),
        ({"range_use": 0.1}, "percentile", "calibrate with 'mse'"),
        ({"range_use": 0.1}, "mse", "calibrate with 'percentile'"),
    ],
)
def test_the_calibration_that_is_set_is_not_advised(changes, calibration, end):
    assert layer_errors._advice(row(**changes), calibration).endswith(end)


def test_decibels_have_ends():
    assert layer_errors._decibels(1.0, 0.0) == 100
    assert layer_errors._decibels(0.0, 1.0) == -100
    assert layer_errors._decibels(100.0, 1.0) == pytest.approx(20)


def test_the_page_shows_picture_and_table(tmp_path):
    rows = [
        {
            **vars(row(layer=f"layer{n}", own_snr_db=40.0 - n)),
            "advice": "" if n else "x!",
        }
        for n in range(12)
    ]
    (tmp_path / "config.gin").write_text("# nothing\n")
    drawn.write(
        tmp_path, {"int8": {"images": 8, "layers": rows, "unmatched": ["MUL a"]}}
    )
    text = html.write(tmp_path).read_text()
    assert "Error of the int8 file, layer by layer" in text
    assert "12 layers; 1 ops with no counterpart" in text
    assert "x!" in text
    assert text.count("<svg") == 1
    # The one with advice first, then those that add most.
    assert [r["layer"] for r in drawn.worst(rows)][:3] == [
        "layer0",
        "layer11",
        "layer10",
    ]
    assert "layer1<" not in text  # the tenth place is the last
    assert json.loads((tmp_path / "export" / "layer_errors.json").read_text())


def test_a_run_without_measurements_has_no_such_part(tmp_path):
    (tmp_path / "config.gin").write_text("# nothing\n")
    assert "layer by layer" not in html.write(tmp_path).read_text()


def test_a_layer_that_becomes_several_ops_counts_once(report):
    names = [row.layer for row in report.layers]
    assert len(set(names)) == len(names)


def test_equal_values_have_no_error():
    values = np.linspace(-1, 1, 9)
    assert list(layer_errors._powers(values, values))[1] == 0


def test_queries_scaled_in_their_convolution_are_nobodys(tmp_path):
    keras.utils.set_random_seed(0)
    images = keras.Input((*networks.SIZE, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    x = keras.layers.Conv2D(16, 4, strides=4, name="stem_conv")(x)
    queries = keras.layers.Conv2D(32, 1, name="query_conv")(x)
    keys = keras.layers.Conv2D(16, 1, name="key_conv")(x)
    values = keras.layers.Conv2D(16, 1, name="value_conv")(x)
    x = attention.MultiQueryAttention(name="attention")(queries, keys, values)
    x = keras.layers.BatchNormalization(name="mean_norm")(x)
    x = keras.layers.ReLU(name="mean_activation")(x)
    logits = keras.layers.Conv2D(5, 1, name="classes")(x)
    network = keras.Model(images, {"logits": logits}, name="segmenter")
    networks.vary_norms(network)
    path = tmp_path / "model.tflite"
    path.write_bytes(networks.convert(network, "int8"))
    found = layer_errors.measure(
        path, graph(network, "int8"), networks.pixels(3), calibration="mse"
    )
    rows = {row.layer: row for row in found.layers}
    # The file holds queries / sqrt(16).
    assert "query_conv" not in rows
    assert rows["key_conv"].own_snr_db > 25
    assert rows["attention"].own_snr_db > 20
    # The norm behind follows no convolution: a product and a sum.
    ends = [rows[name] for name in ("mean_norm", "mean_activation") if name in rows]
    assert ends
    for row in ends:
        assert row.op != "MUL", row
        assert row.own_snr_db > 25, row
    assert any(op.endswith("query_conv") for op in found.unmatched)


def test_a_constant_error_is_no_multiple():
    random = np.random.default_rng(0)
    expected = random.normal(size=(4, 8))
    assert layer_errors._is_multiple(expected, 0.25 * expected)
    assert not layer_errors._is_multiple(expected, expected.round(1))
    assert not layer_errors._is_multiple(expected, expected + 2)
    assert not layer_errors._is_multiple(expected, expected.clip(-0.5, 0.5))
    assert not layer_errors._is_multiple(0 * expected, expected)


def test_a_gate_whose_first_part_is_in_its_convolution_is_nobodys(tmp_path):
    keras.utils.set_random_seed(0)
    images = keras.Input((*networks.SIZE, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    x = keras.layers.Conv2D(16, 4, strides=4, activation="relu", name="stem_conv")(x)
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True, name="gate_pool")(x)
    open_gate = keras.initializers.RandomUniform(1, 6)  # mostly above 3, where it ends
    gate = keras.layers.Conv2D(16, 1, bias_initializer=open_gate, name="gate_conv")(
        gate
    )
    gate = hard_swish.HardSigmoid(name="gate")(gate)
    x = keras.layers.Multiply(name="gated")([x, gate])
    logits = keras.layers.Conv2D(5, 1, name="classes")(x)
    network = keras.Model(images, {"logits": logits}, name="segmenter")
    path = tmp_path / "model.tflite"
    path.write_bytes(networks.convert(network, "int8"))
    found = layer_errors.measure(
        path, graph(network, "int8"), networks.pixels(3), calibration="mse"
    )
    assert "gate_conv" not in {row.layer for row in found.layers}
    assert any(op.endswith("gate_conv") for op in found.unmatched)
    assert not [row.layer for row in found.worst]


def test_only_what_hard_sigmoid_makes_of_values_is_within_one():
    random = np.random.default_rng(0)
    expected = random.normal(3, 2, size=(4, 8))
    within = layer_errors._is_within_hard_sigmoid
    assert within(expected, np.clip(expected + 3, 0, 6))
    assert not within(expected, expected.round(1))
    assert not within(expected, expected.clip(0, 6))
