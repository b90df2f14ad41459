"""Running files."""

import subprocess

import export_networks as networks
import numpy as np
import pytest

from official import failures
from tflite_export import benchmark, child, interpreter, probe


def test_a_uint8_file_rounds_its_pixels(tmp_path):
    runner = interpreter.Runner(networks.file(tmp_path, "float32"))
    images = networks.pixels()
    shifted = (images + 0.3).clip(0, 255)
    np.testing.assert_array_equal(runner(images)["logits"], runner(shifted)["logits"])


def test_a_float_input_is_not_rounded(tmp_path):
    runner = interpreter.Runner(
        networks.file(tmp_path, "float32", input_type="float32")
    )
    images = networks.pixels() / 255 * 254 + 0.3
    theirs = networks.network().predict_on_batch(images)["logits"]
    np.testing.assert_allclose(runner(images)["logits"], theirs, atol=1e-4)


def test_a_batch_is_run_image_by_image(tmp_path):
    runner = interpreter.Runner(networks.file(tmp_path, "int8"))
    images = networks.pixels(3)
    each = [runner(image[None])["logits"][0] for image in images]
    outputs = runner(images)
    assert outputs["logits"].dtype == np.float32
    np.testing.assert_array_equal(outputs["logits"], each)


def test_images_of_another_size_are_refused(tmp_path):
    runner = interpreter.Runner(networks.file(tmp_path, "int8"))
    with pytest.raises(
        failures.RequestError, match=r"takes images of \(32, 24\), not \(16, 16\)"
    ):
        runner(np.zeros((1, 16, 16, 3), np.float32))


def test_a_file_that_takes_no_image_is_refused(tmp_path):
    def edit(model):
        graph = model.subgraphs[0]
        for tensor in graph.tensors:
            if len(tensor.shape) == 4 and list(tensor.shape) == [1, 32, 24, 3]:
                tensor.shape = [1, 32, 8, 9]

    path = tmp_path / "model.tflite"
    content = networks.content("float32", input_type="float32")
    path.write_bytes(networks.edited(content, edit))
    with pytest.raises(failures.RequestError, match=r"want one image|cannot run it"):
        interpreter.Runner(path)


def test_nothing_is_printed_on_loading(tmp_path, capfd):
    interpreter.Runner(networks.file(tmp_path, "int8"))
    assert capfd.readouterr() == ("", "")


def test_a_lone_output_without_a_name_is_told_by_its_type(tmp_path):
    def strip(model):
        model.signatureDefs = []

    path = tmp_path / "model.tflite"
    path.write_bytes(networks.edited(networks.content("int8"), strip))
    assert list(interpreter.Runner(path)(networks.pixels())) == ["logits"]


def test_a_flex_file_is_refused_by_the_probe_in_one_line(tmp_path):
    def edit(model):
        model.operatorCodes[0].builtinCode = 32
        model.operatorCodes[0].deprecatedBuiltinCode = 32
        model.operatorCodes[0].customCode = "FlexErf"

    path = tmp_path / "model.tflite"
    path.write_bytes(networks.edited(networks.content("float32"), edit))
    with pytest.raises(failures.RequestError, match="LiteRT cannot run it") as caught:
        probe.run(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_ends_the_process_is_refused(tmp_path, monkeypatch):
    def crash(module, argument, *, timeout):
        return subprocess.CompletedProcess([module, argument], -11, "", "")

    path = networks.file(tmp_path, "int8")
    monkeypatch.setattr(child, "run", crash)
    with pytest.raises(failures.RequestError, match=r"ended the process \(SIGSEGV\)"):
        probe.run(path)


def test_damaged_files_never_end_this_process(tmp_path):
    random = np.random.default_rng(0)
    original = np.frombuffer(networks.content("int8"), np.uint8)
    path = tmp_path / "model.tflite"
    outcomes = []
    for _ in range(4):
        content = original.copy()
        places = random.integers(8, len(content), 3)
        content[places] = random.integers(0, 256, 3)
        path.write_bytes(content.tobytes())
        try:
            outcomes.append(probe.run(path).partitions)
        except failures.RequestError as error:
            outcomes.append(str(error))
    assert len(outcomes) == 4
    assert all("\n" not in str(outcome) for outcome in outcomes)


def test_the_benchmark_measures_every_file(tmp_path, capsys):
    paths = [networks.file(tmp_path, name) for name in ("float32", "int8")]
    rows = benchmark.measure(paths, threads=2)
    benchmark.show(rows)
    assert "model_int8" in capsys.readouterr().out
    for row, path in zip(rows, paths, strict=True):
        assert row.size == path.stat().st_size
        assert 0 < row.latency_ms < 1000
        assert (row.threads, row.partitions) == (2, 1)
        assert row.ops > 5


def test_published_files_run(shared):
    paths = sorted((shared / "peers").glob("*.tflite"))
    rows = {row.path.name: row for row in benchmark.measure(paths)}
    assert len(rows) == len(paths) >= 4
    assert rows["tf2_mobilenet_v2_1.0_224_ptq.tflite"].partitions == 1
    ssd = rows["coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"]
    assert "TFLite_Detection_PostProcess" in ssd.outside
    runner = interpreter.Runner(shared / "peers" / "deeplabv3_mnv2_pascal_quant.tflite")
    ids = runner(np.full((1, 513, 513, 3), 128, np.float32))["class_ids"]
    assert ids.shape == (1, 513, 513)
