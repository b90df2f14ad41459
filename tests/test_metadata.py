"""What a file says of itself: written, read back, and read from anyone's file."""

import dataclasses
import io
import json
import pathlib
import zipfile

import export_networks as networks
import flatbuffers
import numpy as np
import pytest
import small
from ai_edge_litert import schema_py_generated as schema

from official import failures
from official.tasks.segmentation import Segmentation
from tflite_export import (
    __main__ as command,
)
from tflite_export import android, flatbuffer, interpreter, metadata, metadata_schema

PATH = pathlib.Path("some.tflite")
NAMES = ("road", "sky", "café", "a b", "x,y")
TOLD = metadata.Metadata(
    name="Net Segmentation",
    description="Segmentation into 5 classes",
    inputs=(
        metadata.Image(
            name="images",
            description="RGB image",
            size=(32, 24),
            mean=(128.0,),
            std=(127.5,),
        ),
    ),
    outputs=(
        metadata.Output(
            name="logits", description="of pixels", labels="labels.txt", pixels=True
        ),
    ),
    activation="softmax",
    labels={"labels.txt": NAMES},
)


def attached(precision: str = "int8", told: metadata.Metadata = TOLD) -> bytes:
    return metadata.attach(networks.content(precision), told)


@pytest.mark.parametrize("activation", [None, *metadata.ACTIVATIONS])
def test_what_is_attached_is_read_back(activation):
    told = dataclasses.replace(TOLD, activation=activation)
    assert metadata.parse(attached(told=told), PATH) == told


def test_the_bytes_of_the_model_stay_on_their_alignment():
    original = networks.content("float32")
    content = attached("float32")
    start = content.index(original)
    assert start % 16 == 0
    assert len(content) - len(original) < 2500
    before, after = places_of_buffers(original), places_of_buffers(content)
    assert after[:-1] == [place and place + start for place in before]
    assert after[-1] % 16 == 0  # the metadata, in front


def places_of_buffers(content: bytes) -> list[int]:
    model = schema.Model.GetRootAs(content)
    buffers = [model.Buffers(number) for number in range(model.BuffersLength())]
    return [
        buffer._tab.Vector(buffer._tab.Offset(4)) if buffer.DataLength() else 0
        for buffer in buffers
    ]


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_model_is_the_same_but_for_its_metadata(precision):
    before = schema.ModelT.InitFromPackedBuf(networks.content(precision), 0)
    after = schema.ModelT.InitFromPackedBuf(attached(precision), 0)
    assert after.version == before.version
    assert after.description == before.description
    assert [entry.name for entry in after.metadata[len(before.metadata) :]] == [
        b"TFLITE_METADATA"
    ]
    after.metadata = before.metadata
    assert len(after.buffers) == len(before.buffers) + 1
    after.buffers = after.buffers[:-1]
    assert packed(after) == packed(before)


def packed(model) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_readers_and_litert_find_what_was_there(precision, tmp_path):
    bare = networks.file(tmp_path, precision)
    told = tmp_path / "told.tflite"
    told.write_bytes(attached(precision))
    before, after = flatbuffer.read(bare), flatbuffer.read(told)
    assert after.size > before.size
    same = {"path": bare, "size": before.size}
    assert dataclasses.replace(after, **same) == before
    images = networks.pixels(2)
    expected, found = interpreter.Runner(bare)(images), interpreter.Runner(told)(images)
    assert expected.keys() == found.keys()
    np.testing.assert_array_equal(found["logits"], expected["logits"])


def test_the_labels_are_a_stored_file_at_its_place_in_the_whole():
    content = attached()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (info,) = archive.infolist()
        assert info.filename == "labels.txt"
        assert info.compress_type == zipfile.ZIP_STORED
        assert archive.read(info).decode() == "".join(f"{name}\n" for name in NAMES)
    # Readers without a notion of what is in front of an archive find it, too.
    assert content[info.header_offset :][:4] == b"PK\x03\x04"


def test_weights_that_look_like_an_archive_do_no_harm():
    end = b"PK\x05\x06" + bytes(18)

    def edit(model):
        model.buffers[-1].data = np.frombuffer(end * 40, np.uint8)

    content = metadata.attach(networks.edited(networks.content("int8"), edit), TOLD)
    assert metadata.parse(content, PATH) == TOLD


def test_a_file_is_the_same_every_time():
    assert attached() == attached()


def test_a_file_that_has_metadata_is_not_given_more():
    with pytest.raises(ValueError, match=r"has a buffer 'TFLITE_METADATA' already"):
        metadata.attach(attached(), TOLD)


def test_a_file_without_metadata_has_none():
    assert metadata.parse(networks.content("int8"), PATH) is None


def test_published_files_are_read(shared):
    names = {
        path.name: metadata.read(path) for path in (shared / "peers").glob("*.tflite")
    }
    assert len(names) == 4
    assert names["vww_96_int8.tflite"] is None


def test_the_schema_is_the_public_one():
    generated = pytest.importorskip(
        "mediapipe.tasks.metadata.metadata_schema_py_generated",
        reason="MediaPipe is not installed: scripts/test.sh installs it",
    )
    record = metadata._record(TOLD)
    model = generated.ModelMetadataT.InitFromPackedBuf(
        metadata_schema.pack("ModelMetadata", record), 0
    )
    assert model.name == b"Net Segmentation"
    assert model.minParserVersion == b"1.5.0"
    (graph,) = model.subgraphMetadata
    (image,), (output,) = graph.inputTensorMetadata, graph.outputTensorMetadata
    properties = image.content.contentProperties
    assert (properties.defaultSize.height, properties.defaultSize.width) == (32, 24)
    assert properties.colorSpace == generated.ColorSpaceType.RGB
    options = image.processUnits[0].options
    assert (list(options.mean), list(options.std)) == ([128.0], [127.5])
    assert (output.content.range.min, output.content.range.max) == (1, 2)
    (labels,) = output.associatedFiles
    assert labels.name == b"labels.txt"
    assert labels.type == generated.AssociatedFileType.TENSOR_AXIS_LABELS
    assert graph.customMetadata[0].name == b"SEGMENTER_METADATA"


def test_every_truncation_is_read_or_refused():
    content = attached()
    said = [refusal(content[:length]) for length in range(0, len(content), 41)]
    assert said[0]
    assert sum(map(bool, said)) > 10


def test_every_damage_is_read_or_refused():
    random = np.random.default_rng(0)
    original = np.frombuffer(attached(), np.uint8)
    size = len(networks.content("int8"))
    places = np.r_[8 : len(original) - size - 200, len(original) - 200 : len(original)]
    said = []
    for _ in range(400):
        content = original.copy()
        content[random.choice(places, 8)] = random.integers(0, 256, 8)
        said.append(refusal(content.tobytes()))
    assert sum(map(bool, said)) > 50
    words = "some.tflite: damaged TFLite metadata ("
    assert all(each.startswith(words) for each in said if each)


def refusal(content: bytes) -> str:
    try:
        metadata.parse(content, PATH)
    except failures.RequestError as error:
        return str(error)
    return ""


def test_a_forged_count_is_refused_at_once():
    content = bytearray(metadata_schema.pack("ModelMetadata", {"name": "net"}))
    at = content.index(b"net") - 4
    content[at : at + 4] = (2**31 - 1).to_bytes(4, "little")
    with pytest.raises(ValueError, match="more than any metadata has"):
        metadata_schema.unpack("ModelMetadata", bytes(content))


def test_tables_that_share_their_parts_do_not_multiply():
    # 200 graphs that are one, of 200 outputs that are one, and so on, written by hand.
    builder = flatbuffers.Builder(1024)
    child = metadata_schema._add_table(builder, "AssociatedFile", {"name": "x"})
    for slot, name in ((6, "TensorMetadata"), (3, "SubGraphMetadata"), (3, "Model")):
        vector = metadata_schema._add_vector(
            builder, [child] * 200, size=4, align=4, put=builder.PrependUOffsetTRelative
        )
        builder.StartObject(12)
        builder.PrependUOffsetTRelativeSlot(slot, vector, 0)
        child = builder.EndObject()
        del name
    builder.Finish(child, b"M001")
    with pytest.raises(ValueError, match="more than any metadata has"):
        metadata_schema.unpack("ModelMetadata", bytes(builder.Output()))


def test_a_packed_file_that_unfolds_without_end_is_refused():
    content = metadata.attach(
        networks.content("int8"), dataclasses.replace(TOLD, labels={})
    )
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", bytes(50_000_000))
    assert len(stream.getvalue()) < 100_000
    with pytest.raises(failures.RequestError, match=r"labels.txt has more than \d+ by"):
        metadata.parse(stream.getvalue(), PATH)


def test_a_label_file_that_is_not_there_is_refused():
    content = metadata.attach(
        networks.content("int8"), dataclasses.replace(TOLD, labels={})
    )
    with pytest.raises(failures.RequestError, match=r"damaged TFLite metadata \(BadZ"):
        metadata.parse(content, PATH)


def tensor(dtype: str, shape=(1, 32, 24, 3), *, scale=None, zero_point=0):
    return flatbuffer.Tensor(
        index=0,
        name="x",
        dtype=dtype,
        shape=shape,
        scales=(scale,) if scale else (),
        zero_points=(zero_point,) if scale else (),
    )


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (tensor("UINT8", scale=1 / 127.5, zero_point=128), (128, 127.5)),
        (tensor("INT8", scale=1 / 127.5, zero_point=-1), (127, 127.5)),
        (tensor("UINT8"), (0, 1)),
        (tensor("FLOAT32"), (0, 1)),
        (tensor("INT8"), (128, 1)),
    ],
)
def test_the_normalization_gives_every_reader_what_is_fed(image, expected):
    mean, std = android.normalization(image)
    assert (mean, std) == pytest.approx(expected)
    # A reader normalizes, then quantizes.
    pixel = np.arange(256)
    stored = (pixel - mean) / std
    if image.scales:
        stored = np.round(stored / image.scales[0]) + image.zero_points[0]
    shift = 128 if image.dtype == "INT8" else 0
    np.testing.assert_allclose(stored, pixel - shift, atol=1e-9)


def task() -> Segmentation:
    return small.experiment().task


def file_of(name="logits", *, image="UINT8", **output) -> flatbuffer.File:
    """A file with another input or output than `networks.parsed("int8")` has."""
    file = networks.parsed("int8")
    (old_image,), (old,) = file.inputs.values(), file.outputs.values()
    return dataclasses.replace(
        file,
        inputs={"images": dataclasses.replace(old_image, dtype=image)},
        outputs={name: dataclasses.replace(old, **output)},
    )


def told_of(file=None, names=NAMES) -> metadata.Metadata:
    content = networks.content("int8")
    return android.describe(content, file or file_of(), task=task(), class_names=names)


def test_a_segmenter_is_told_the_activation_that_its_output_wants():
    assert told_of().activation == "softmax"
    scores = told_of(file_of("scores"))
    assert scores.activation == "none"
    assert scores.outputs[0].name == "scores"
    assert scores.labels == {"labels.txt": NAMES}


def test_class_ids_have_no_labels_and_no_task():
    told = told_of(file_of("class_ids", shape=(1, 16, 12), dtype="INT32"))
    assert told.outputs == (
        metadata.Output(
            name="class_ids", description="class of each pixel", pixels=True
        ),
    )
    assert told.labels == {}
    assert told.activation is None


def test_more_names_than_classes_are_refused():
    with pytest.raises(
        failures.RequestError, match=r"names 6 classes, the output 'logits' tells 5"
    ):
        told_of(names=(*NAMES, "more"))


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "two\u2028lines"])
def test_a_name_that_is_no_line_is_refused(name):
    with pytest.raises(failures.RequestError, match=r"class 4 is called .*rename it"):
        told_of(names=(*NAMES[:4], name))


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ({"image": "INT8"}, "the input is int8, MediaPipe takes uint8 or float32"),
        ({"dtype": "INT8"}, "the output is int8, MediaPipe takes uint8 or float32"),
        ({"name": "class_ids"}, "'class_ids', MediaPipe wants the values of all class"),
    ],
)
def test_files_that_no_task_takes_say_why(file, words):
    found = android.fit(file_of(**file), task())
    assert found.task is None
    assert words in found.warning


def test_several_outputs_have_no_task_and_are_told_in_the_order_of_the_graph():
    file = networks.parsed("int8")
    (image,), (output,) = file.inputs.values(), file.outputs.values()
    # Here the input stands for a second output; the signature has it first.
    file = dataclasses.replace(file, outputs={"boxes": image, "logits": output})
    assert "2 outputs (boxes, logits)" in android.fit(file, task()).warning

    def edit(model):
        model.subgraphs[0].outputs = [output.index, image.index]

    content = networks.edited(networks.content("int8"), edit)
    told = android.describe(content, file, task=task(), class_names=NAMES)
    assert [each.name for each in told.outputs] == ["logits", "boxes"]


def test_a_segmenter_fits_without_a_warning_and_a_classifier_of_logits_with_one():
    found = android.fit(file_of(), task())
    assert (found.task, found.warning) == ("ImageSegmenter", "")
    found = android.fit(file_of(shape=(1, 5)), task())
    assert found.task == "ImageClassifier"
    assert "set export.output = 'scores'" in found.warning
    found = android.fit(file_of("scores", shape=(1, 5)), task())
    assert (found.task, found.warning) == ("ImageClassifier", "")


def test_the_check_tells_the_metadata_in_a_line(tmp_path, capsys):
    path = tmp_path / "told.tflite"
    path.write_bytes(attached())
    assert command.main(["check", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = " ".join(" ".join(lines[1 : lines.index("")]).split())
    assert shown == (
        "metadata: Net Segmentation; input 'images' of (pixel - 128) / 127.5; output "
        "'logits', 5 labels (road, sky, café, ...); activation softmax"
    )
    content = json.loads(lines[-1])
    assert content["metadata"]["labels"] == {"labels.txt": list(NAMES)}
    assert command.main(["check", str(networks.file(tmp_path, "int8"))]) == 0
    assert "metadata: none" in capsys.readouterr().out


def test_damaged_metadata_is_one_line_and_status_2(tmp_path, capsys):
    path = tmp_path / "told.tflite"
    content = bytearray(attached())
    content[content.index(b"M001")] = 0
    path.write_bytes(content)
    assert command.main(["check", str(path)]) == 2
    line = capsys.readouterr().err.strip()
    assert line.startswith(f"error: {path}: damaged TFLite metadata (ValueError: ident")
    assert "\n" not in line


def test_what_a_file_calls_itself_cannot_steer_the_terminal():
    told = dataclasses.replace(TOLD, name="a\x1b[2Jb\nc")
    assert android.summary(told).startswith("metadata: a?[2Jb?c;")
