"""Files made to break who reads them: one line, exit status 2, and no delay."""

import os
import pathlib
import struct
import time
import zipfile

import export_networks as networks
import numpy as np
import pytest
from PIL import Image

from official import failures
from tflite_export import __main__ as command
from tflite_export import check, child, flatbuffer, interpreter, labels, probe
from tflite_export.targets import base as targets_base

PATH = pathlib.Path("some.tflite")
NUMBERS = (0, 1, 2, 127, 255, 65536, 100_000, 2**31 - 1, 2**31, 2**32 - 4, 2**32 - 1)
TARGET = targets_base.find("cpu")


def refused(content: bytes) -> bool:
    """Everything that a command does with a file before it is run in a child."""
    try:
        file = flatbuffer.parse(content, PATH)
    except failures.RequestError as error:
        line = str(error)
    else:
        line = ""
    if line:
        assert line.startswith("some.tflite: ")
        assert "\n" not in line
        return True
    verdicts = check.verdicts(file, precision=file.precision, target=TARGET)
    bad = [verdict for verdict in verdicts if verdict.problems]
    if bad:
        assert check.summary(PATH, bad).isprintable()
    interpreter._named_outputs(file)
    return False


def places_read(content: bytes, monkeypatch) -> list[int]:
    """Where the reader takes a number from: the tables, not the weights."""
    import flatbuffers.encode

    places, get = set(), flatbuffers.encode.Get

    def record(kind, data, place):
        places.add(int(place))
        return get(kind, data, place)

    with monkeypatch.context() as patch:
        patch.setattr(flatbuffers.encode, "Get", record)
        flatbuffer.parse(content, PATH)
    return sorted(place for place in places if 8 <= place < len(content) - 4)


@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_changed_tables_are_read_or_refused_at_once(precision, monkeypatch):
    random = np.random.default_rng(0)
    original = networks.content(precision)
    places = places_read(original, monkeypatch)
    assert len(places) > 300
    outcomes = []
    for _ in range(150):
        content = bytearray(original)
        for place in random.choice(places, random.integers(1, 4)):
            kind = random.integers(4)
            if kind == 0:
                content[place] = random.integers(256)
            elif kind == 1:
                number = NUMBERS[random.integers(len(NUMBERS))]
                struct.pack_into("<I", content, place, number)
            elif kind == 2:  # an offset to something else that is read
                struct.pack_into("<i", content, place, random.choice(places) - place)
            else:
                struct.pack_into("<H", content, place, random.integers(65536))
        start = time.monotonic()
        outcomes.append(refused(bytes(content)))
        assert time.monotonic() - start < 20
    assert 20 < sum(outcomes) < 150


def test_every_cut_is_refused_or_read(monkeypatch):
    content = networks.content("int8")
    places = places_read(content, monkeypatch)
    cuts = [refused(content[:place]) for place in places[:: len(places) // 150]]
    assert sum(cuts) > 100


def test_one_graph_given_a_hundred_thousand_times_is_refused_at_once():
    """Offsets may all lead to one table: a small file that is endless to read."""
    content = bytearray(networks.content("int8"))
    model = flatbuffer.schema.Model.GetRootAs(content)
    graph = model.Subgraphs(0)._tab.Pos
    content += bytes(-len(content) % 4)
    at, count = len(content), 100_000
    content += struct.pack("<I", count)
    for number in range(count):
        content += struct.pack("<I", 2**32 + graph - (at + 4 + 4 * number) & 0xFFFFFFFF)
    # Offsets point forwards only, so the graphs stand behind the vector: as a copy.
    field = model._tab.Pos + model._tab.Offset(8)
    struct.pack_into("<I", content, field, at - field)
    start = time.monotonic()
    assert refused(bytes(content))
    assert time.monotonic() - start < 10


def test_long_names_given_again_and_again_are_refused(monkeypatch):
    def edit(model):
        for tensor in model.subgraphs[0].tensors:
            tensor.name = "x" * 1000

    content = networks.edited(networks.content("int8"), edit)
    assert not refused(content)
    monkeypatch.setattr(flatbuffer, "_MOST_VALUES", 20_000)
    assert refused(content)


def convolution(graph):
    """The first op with weights and a bias."""
    return next(op for op in graph.operators if len(op.inputs) == 3)


@pytest.mark.parametrize(
    "edit",
    [
        lambda graph: setattr(convolution(graph), "inputs", [0]),
        lambda graph: setattr(convolution(graph), "outputs", []),
        lambda graph: setattr(convolution(graph), "inputs", [0, 10**6, 2]),
        lambda graph: setattr(convolution(graph), "opcodeIndex", 99),
        lambda graph: setattr(graph.tensors[3], "buffer", 9999),
        lambda graph: setattr(graph, "outputs", [10**6]),
    ],
)
def test_indices_out_of_range_are_refused(edit):
    def without_signature(model):
        model.signatureDefs = []
        edit(model.subgraphs[0])

    assert refused(networks.edited(networks.content("int8"), without_signature))


def test_names_that_break_lines_or_move_the_cursor_are_made_harmless():
    def edit(model):
        for tensor in model.subgraphs[0].tensors:
            tensor.name = "a\nb\x1b[2J/c"
            tensor.shapeSignature = [-1, 2]

    content = networks.edited(networks.content("int8"), edit)
    file = flatbuffer.parse(content, PATH)
    assert all(tensor.name.isprintable() for tensor in file.tensors)
    verdicts = check.verdicts(file, precision="int8", target=TARGET)
    assert "\n" not in check.summary(PATH, verdicts)


def cyclic(model) -> None:
    """The first op reads what the last one makes."""
    ops = model.subgraphs[0].operators
    ops[1].inputs = [ops[-1].outputs[0], *list(ops[1].inputs)[1:]]


def wrong_buffers(model) -> None:
    """Weights of one byte."""
    for buffer in model.buffers:
        if buffer.data is not None and len(buffer.data) > 1:
            buffer.data = [1]


def two_gigabytes(model) -> None:
    """The image is far larger than the memory."""
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].shape = [1, 32768, 65536, 3]
    graph.tensors[graph.inputs[0]].shapeSignature = None


@pytest.mark.parametrize("edit", [cyclic, wrong_buffers, two_gigabytes])
def test_what_looks_right_and_cannot_run_ends_in_the_child(edit, tmp_path, capsys):
    path = tmp_path / "model.tflite"
    path.write_bytes(networks.edited(networks.content("int8"), edit))
    start = time.monotonic()
    status, line = run(capsys, "benchmark", path)
    assert status == 2
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    assert time.monotonic() - start < 60


def run(capsys, *arguments) -> tuple[int, str]:
    try:
        status = command.main([str(argument) for argument in arguments])
    except SystemExit as stopped:
        status = stopped.code
    return status, capsys.readouterr().err


def no_models(folder: pathlib.Path) -> dict[str, tuple[pathlib.Path, str]]:
    """Paths of what is no model, and what is said of them."""
    text, empty = folder / "text.tflite", folder / "empty.tflite"
    text.write_text("this is no model, but long enough to be one\n" * 9)
    empty.write_bytes(b"")
    pipe = folder / "pipe.tflite"
    os.mkfifo(pipe)
    huge = folder / "huge.tflite"
    with huge.open("wb") as file:  # takes no space on the disk
        file.truncate(2**31 + 5)
    return {
        "text": (text, "not a TFLite model"),
        "empty": (empty, "not a TFLite model"),
        "pipe": (pipe, "is a pipe or a device"),
        "huge": (huge, "a TFLite model has at most 2147483647"),
        "folder": (folder, "cannot be read: Is a directory"),
        "nothing": (folder / "nothing.tflite", "No such file or directory"),
        "device": (pathlib.Path("/dev/zero"), "is a pipe or a device"),
    }


@pytest.mark.parametrize("name", ["benchmark", "check", "evaluate", "predict"])
def test_what_is_no_model_is_one_line_and_status_2(name, tmp_path, capsys):
    photo = tmp_path / "photo.png"
    Image.new("RGB", (8, 8)).save(photo)
    more = {"evaluate": ["--experiment=mnv3_seg_synthetic"], "predict": [photo]}
    for path, words in no_models(tmp_path).values():
        status, error = run(capsys, name, path, *more.get(name, []))
        assert status == 2, error
        assert error.startswith(f"error: {path}: ")
        assert words in error
        assert error.count("\n") == 1


def test_a_file_without_permission_is_one_line_and_status_2(
    tmp_path, monkeypatch, capsys
):
    path = networks.file(tmp_path, "int8")

    def denied(self):
        raise PermissionError(13, "Permission denied", str(self))

    # Whoever runs the tests as root may read everything.
    monkeypatch.setattr(pathlib.Path, "read_bytes", denied)
    assert run(capsys, "benchmark", path) == (
        2,
        f"error: {path}: cannot be read: Permission denied\n",
    )


def test_a_file_that_never_ends_is_given_up(tmp_path, monkeypatch):
    def hangs(module, argument, *, timeout):
        raise child.subprocess.TimeoutExpired([module], timeout)

    monkeypatch.setattr(child, "run", hangs)
    with pytest.raises(
        failures.RequestError, match="running it once took more than 60 s"
    ):
        probe.run(networks.file(tmp_path, "int8"))


def with_archive(folder: pathlib.Path, **files: str) -> pathlib.Path:
    """A model with a zip archive behind it."""
    path = networks.file(folder, "int8")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.txt", text)
    return path


def test_names_come_from_the_list_that_fits(tmp_path):
    path = with_archive(tmp_path, licence="a\nb", labels="red\ngreen\nblue\nx\ny\n")
    assert labels.read(path, classes=5) == ("red", "green", "blue", "x", "y")
    assert labels.read(path) == ("a", "b")
    path.unlink()
    assert labels.read(networks.file(tmp_path, "int8")) == ()


def test_a_bomb_in_the_archive_is_not_unpacked(tmp_path):
    path = with_archive(tmp_path, labels="a" * 50_000_000)
    assert path.stat().st_size < 200_000
    start = time.monotonic()
    assert labels.read(path) == ()
    # Nor one that claims to be small.
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    struct.pack_into("<I", content, entry + 24, 100)
    path.write_bytes(content)
    assert sum(map(len, labels.read(path))) <= 100
    assert time.monotonic() - start < 5


def test_damaged_archives_hold_no_names(tmp_path):
    random = np.random.default_rng(0)
    path = with_archive(tmp_path, labels="red\ngreen\n")
    original = path.read_bytes()
    start = original.rindex(b"PK\x03\x04")
    for _ in range(200):
        content = bytearray(original)
        for place in random.integers(start, len(content), 3):
            content[place] = random.integers(256)
        path.write_bytes(content)
        assert all(name.isprintable() for name in labels.read(path))
