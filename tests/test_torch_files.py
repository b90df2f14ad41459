import io
import json
import os
import pathlib
import pickle
import re
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from safetensors import numpy as safetensors_numpy

from official import failures
from official.weights import torch_files

GOLDENS = pathlib.Path(__file__).parent / "goldens"


def _is_the_saved(tensors):
    """What the golden files hold: torch.save() of these, in PyTorch 2.13."""
    np.testing.assert_array_equal(tensors["a.weight"], [[0, 1, 2], [3, 4, 5]])
    # A transposed view of a storage.
    np.testing.assert_array_equal(tensors["a.t"], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(
        tensors["b.half"], (np.arange(4) / np.float16(3)).astype("float16")
    )
    np.testing.assert_array_equal(
        tensors["b.bf"], np.float32([1.5, -2.25, 0.333984375])
    )
    assert tensors["n"] == 7
    assert tensors["n"].shape == ()


@pytest.mark.parametrize("name", ["zip.pth", "stream.pth"])
def test_what_torch_saves_is_read(name):
    _is_the_saved(torch_files.read(GOLDENS / name))


def test_safetensors_are_read_with_bfloat16(tmp_path):
    half = struct.pack("<3H", 0x3FC0, 0xC010, 0x3EAB)
    header = {
        "w": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]},
        "n": {"dtype": "I64", "shape": [], "data_offsets": [6, 14]},
        "b": {"dtype": "BOOL", "shape": [2], "data_offsets": [14, 16]},
    }
    text = json.dumps(header).encode()
    file = tmp_path / "x.safetensors"
    file.write_bytes(
        struct.pack("<Q", len(text)) + text + half + struct.pack("<q", 7) + b"\0\1"
    )
    tensors = torch_files.read(file)
    np.testing.assert_array_equal(tensors["w"], np.float32([1.5, -2.25, 0.333984375]))
    assert tensors["w"].dtype == "float32"
    assert tensors["n"] == 7
    assert tensors["b"].tolist() == [False, True]


def test_safetensors_keep_shapes(tmp_path):
    written = {
        "a": np.arange(6, dtype="float32").reshape(2, 3),
        "h": np.ones(2, "float16"),
    }
    safetensors_numpy.save_file(written, tmp_path / "x.safetensors")
    tensors = torch_files.read(tmp_path / "x.safetensors")
    assert set(tensors) == {"a", "h"}
    np.testing.assert_array_equal(tensors["a"], written["a"])


class _Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def _archive(file, saved):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps(saved))
    return file


def test_a_pickle_runs_nothing(tmp_path):
    made = tmp_path / "made"
    for file in (
        _archive(tmp_path / "zip.pth", {"w": _Evil(made)}),
        tmp_path / "stream.pth",
    ):
        if not file.exists():
            file.write_bytes(pickle.dumps(_Evil(made)))
        with pytest.raises(
            failures.RequestError,
            match=r"it names (posix|nt)\.mkdir, which no state dict",
        ):
            torch_files.read(file)
    assert not made.exists()


def test_a_whole_module_is_refused():
    message = (
        "module.pth: not a readable PyTorch file (UnpicklingError: it names "
        "torch.nn.modules.linear.Linear, which no state dict needs; load it in PyTorch "
        "if you trust it, and save model.state_dict())"
    )
    with pytest.raises(failures.RequestError, match=re.escape(message)):
        torch_files.read(GOLDENS / "module.pth")


def _tar(file):
    with tarfile.open(file, "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"), io.BytesIO())
    return file


def _bytes(file, content):
    file.write_bytes(content)
    return file


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda f: _tar(f / "old.pth"),
            "old.pth: in the tar format of PyTorch before 0.1.10",
        ),
        (
            lambda f: _bytes(f / "a.pth", b"no pickle"),
            "a.pth: not a readable PyTorch file",
        ),
        (
            lambda f: _bytes(f / "e.pth", b""),
            "e.pth: not a readable PyTorch file (EOFError",
        ),
        (
            lambda f: _bytes(f / "a.pth", pickle.dumps(3)),
            "(ValueError: not a file of torch.save)",
        ),
        (
            lambda f: _bytes(f / "a.safetensors", b"x"),
            "a.safetensors: not a readable PyTorch file",
        ),
        (lambda f: _archive(f / "s.pth", {"epoch": 3}), "s.pth: holds no state dict"),
        (
            lambda f: _bytes(f / "cut.pth", (GOLDENS / "stream.pth").read_bytes()[:-4]),
            "cut.pth: not a readable PyTorch file",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path, make, message):
    with pytest.raises(failures.RequestError, match=re.escape(message)) as caught:
        torch_files.read(make(tmp_path))
    assert "\n" not in str(caught.value)
