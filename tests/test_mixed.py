"""Files that are int8 but for the layers whose rounding costs most."""

import functools
import json
import pathlib

import export_networks as networks
import numpy as np
import pytest

from official import export_spec, failures
from tflite_export import (
    calibration,
    check,
    conversion,
    flatbuffer,
    inference,
    interpreter,
    islands,
    mixed,
)
from tflite_export.targets import base as targets_base

CPU = targets_base.find("cpu")
SPEC = export_spec.Export()
FLOAT = ("block_depthwise_conv", "classes")


@functools.cache
def graph() -> inference.Graph:
    network = CPU.rewrite(networks.network(), "mixed").model
    return inference.build(network, spec=SPEC, precision="mixed")


@functools.cache
def calibrated() -> conversion.Calibrated:
    pixels = calibration.collect(networks.pixels(8)[:, None])
    return conversion.calibrate(graph(), spec=SPEC, calibration=pixels)


@functools.cache
def content(*layers: str) -> bytes:
    return conversion.quantize(calibrated(), graph(), spec=SPEC, float_layers=layers)


def parsed(*layers: str) -> flatbuffer.File:
    return flatbuffer.parse(content(*layers), pathlib.Path("model.tflite"))


def test_the_layers_asked_for_are_float_and_the_others_as_in_an_int8_file():
    kinds = {op.layer: op.outputs[0].dtype for op in parsed(*FLOAT).ops if op.layer}
    assert {layer for layer, kind in kinds.items() if kind == "FLOAT32"} >= {FLOAT[0]}
    assert kinds["stem_conv"] == kinds["block_add"] == "INT8"
    check.require(parsed(*FLOAT), precision="mixed", target=CPU, float_layers=FLOAT)


def test_a_float_layer_that_was_not_asked_for_is_refused():
    with pytest.raises(failures.GateError, match=r"is float32 in a mixed file"):
        check.require(
            parsed(*FLOAT), precision="mixed", target=CPU, float_layers=FLOAT[:1]
        )
    with pytest.raises(failures.GateError, match=r"is float32 in an int8 file"):
        check.require(parsed(*FLOAT), precision="int8", target=CPU)


def test_with_no_layer_in_float_it_is_the_int8_file(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(content())
    other = networks.file(tmp_path, "int8")
    images = networks.pixels()
    np.testing.assert_array_equal(
        interpreter.Runner(path)(images)["logits"],
        interpreter.Runner(other)(images)["logits"],
    )


def test_the_noise_of_a_layer_is_measured_in_a_child_process():
    noise = conversion.noise(calibrated(), graph(), networks.pixels(1).astype(np.uint8))
    assert {"stem_conv", "block_add", "classes"} <= set(noise)
    assert all(0 < value < 0.1 for value in noise.values())


def test_with_every_layer_in_float_it_is_the_float_network(tmp_path):
    """Kernels that were clipped for 8 bits, and shifted means, would be an error."""
    layers = {op.layer for op in parsed().ops if op.layer}
    whole = islands.quantize(
        calibrated().prepared,
        calibrated().plain,
        float_layers=layers,
        input_type="float32",
        output_type="float32",
    )
    path, images = tmp_path / "model.tflite", networks.pixels()
    path.write_bytes(whole)
    wanted = networks.network().predict_on_batch(images)["logits"]
    found = interpreter.Runner(path)((images / 127.5 - 1).astype(np.float32))["logits"]
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_a_layer_that_does_not_exist_is_named():
    with pytest.raises(failures.RunError, match="no op comes from the layer 'block9'"):
        conversion.quantize(calibrated(), graph(), spec=SPEC, float_layers=("block9",))


@pytest.fixture
def without_children(monkeypatch):
    """The search makes many files: each in this process, not in one of its own."""

    def quantize(calibrated, graph, *, spec, float_layers):
        return islands.quantize(
            calibrated.prepared,
            calibrated.plain,
            float_layers=float_layers,
            input_type=spec.input_type,
            output_type=spec.output_type,
        )

    def noise(calibrated, graph, pixels):
        images = pixels[:, None].astype(np.float32)
        scale, offset = np.float32(graph.scale), np.float32(graph.offset)
        return islands.measure(
            calibrated.prepared, calibrated.plain, images * scale + offset
        )

    monkeypatch.setattr(conversion, "calibrate", lambda *_, **__: calibrated())
    monkeypatch.setattr(conversion, "quantize", quantize)
    monkeypatch.setattr(conversion, "noise", noise)


@pytest.mark.usefixtures("without_children")
def test_every_layer_has_noise_and_cost_and_the_search_takes_few(tmp_path):
    """The bound is set between what int8 and what float logits lose."""
    images = networks.pixels(4)
    expected = networks.network().predict_on_batch(images)["logits"]

    def lost(content: bytes) -> float:
        path = tmp_path / "model.tflite"
        path.write_bytes(content)
        found = interpreter.Runner(path)(images)["logits"]
        return float(100 * np.sqrt(np.mean((found - expected) ** 2)) / np.ptp(expected))

    all_int8 = lost(content())
    spec = export_spec.Export(max_drop_mixed=0.6 * all_int8)
    found = mixed.search(
        graph(),
        spec=spec,
        calibration=calibration.collect(networks.pixels(8)[:, None]),
        drop=lost,
    )
    assert found.drop <= spec.max_drop_mixed
    assert 0 < len(found.float_layers) < len(found.table)
    assert sum(row.cost for row in found.table) == pytest.approx(1)
    assert all(row.noise > 0 for row in found.table)
    worth = [row.noise / row.cost for row in found.table]
    assert worth == sorted(worth, reverse=True)
    recorded = json.loads(mixed.record(found))
    assert recorded["layers"][0] == {
        "layer": found.table[0].layer,
        "noise": found.table[0].noise,
        "cost": found.table[0].cost,
        "float": True,
    }


def drops(values: list[float]):
    tried = []

    def made(count: int) -> tuple[bytes, float]:
        tried.append(count)
        return bytes([count]), values[count]

    return made, tried


@pytest.mark.parametrize("enough", range(10))
def test_the_fewest_layers_are_found_by_doubling_and_halving(enough):
    made, tried = drops([2.0] * enough + [0.4] * (10 - enough))
    count, found = mixed._fewest(9, made, bound=0.5)
    assert (count, found) == (enough, (bytes([enough]), 0.4))
    assert len(tried) <= 8


def test_a_loss_that_is_not_of_the_8_bits_is_said():
    made, _ = drops([2.0] * 10)
    with pytest.raises(failures.GateError, match=r"loses 2.00 points \(allowed 0.5\)"):
        mixed._fewest(9, made, bound=0.5)


def test_the_command_reads_beside_a_file_what_was_asked_for(tmp_path, capsys):
    path = tmp_path / "model_mixed.tflite"
    path.write_bytes(content(*FLOAT))
    with pytest.raises(failures.GateError):
        check.run(path, target=CPU)
    described = {"class_names": [], "palette": [], "float_layers": list(FLOAT)}
    path.with_suffix(".json").write_text(json.dumps(described))
    capsys.readouterr()
    check.run(path, target=CPU, every=True)
    text = capsys.readouterr().out
    assert "model_mixed.tflite: mixed" in text
    assert "in float, as asked for: block_depthwise_conv, classes" in text
    (line,) = (x for x in text.splitlines() if "DEPTHWISE_CONV_2D  block" in x)
    assert line.endswith("float, as asked for")
    assert json.loads(text.splitlines()[-1])["float_layers"] == list(FLOAT)
