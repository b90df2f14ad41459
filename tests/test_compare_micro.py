"""The script that compares a file with TFLite Micro's interpreter."""

import argparse
import importlib
import sys

import export_networks as networks
import numpy as np
import pytest
from PIL import Image

from official import failures

SAID = """\
[RecordingMicroAllocator] Arena allocation total 103520 bytes
[RecordingMicroAllocator] Arena allocation head 73728 bytes
[RecordingMicroAllocator] Arena allocation tail 29792 bytes
"""


@pytest.fixture(scope="module")
def script(root):
    sys.path.insert(0, str(root / "scripts"))
    yield importlib.import_module("compare_micro")
    sys.path.remove(str(root / "scripts"))
    del sys.modules["compare_micro"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("micro") / "model.tflite"
    ends = {"input_type": "int8", "output_type": "int8"}
    content = networks.convert(networks.network(), "int8", target="micro", **ends)
    path.write_bytes(content)
    return path


def given(model, *photographs, python=sys.executable):
    return argparse.Namespace(
        model=model, photographs=list(photographs), micro_python=python
    )


def test_allocations_are_read_from_what_the_interpreter_prints(script):
    assert script.allocated(SAID) == {"total": 103520, "head": 73728, "tail": 29792}


def test_pixels_of_an_int8_input_are_128_lower(script):
    pixels = np.array([0, 127, 255], np.uint8)
    np.testing.assert_array_equal(script.as_input(pixels, np.int8), [-128, -1, 127])
    np.testing.assert_array_equal(script.as_input(pixels, np.uint8), pixels)


def test_photographs_of_a_folder_are_stretched_to_the_input(script, tmp_path):
    Image.new("RGB", (30, 20), (1, 2, 3)).save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("no picture")
    found = script.photographs([tmp_path], 8, 6)
    assert (found.shape, found.dtype) == ((1, 8, 6, 3), np.uint8)
    np.testing.assert_array_equal(found[0, 0, 0], [1, 2, 3])
    assert len(script.photographs([], 8, 6)) == 16


def test_a_folder_without_photographs_is_named(script, tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(failures.RequestError, match=rf"{tmp_path}: no photograph"):
        script.photographs([tmp_path], 8, 6)


def test_equal_outputs_pass_and_others_do_not(script, model, capsys, monkeypatch):
    def other(shift):
        def of_micro(path, inputs, python):
            return script.of_litert(path, inputs, reference=True) + shift, SAID

        return of_micro

    monkeypatch.setattr(script, "of_micro", other(0))
    script.compare(given(model))
    out = capsys.readouterr().out
    assert "LiteRT, reference kernels: differs by 0 at most, 100.0 %" in out
    assert "allocates 73728 bytes for activations and 29792 that last" in out
    monkeypatch.setattr(script, "of_micro", other(1))
    with pytest.raises(failures.GateError, match="outputs are not LiteRT's"):
        script.compare(given(model))


def test_a_python_without_tflite_micro_is_told(script, model):
    try:
        importlib.import_module("tflite_micro")
    except ImportError:
        pass
    else:
        pytest.skip("tflite-micro is installed here")
    with pytest.raises(failures.RunError, match="tflite-micro is not installed for"):
        script.compare(given(model))
