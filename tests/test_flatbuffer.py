"""Reading .tflite files, of ours and of anyone."""

import pathlib

import export_networks as networks
import numpy as np
import pytest

from official import failures
from tflite_export import flatbuffer

PATH = pathlib.Path("some.tflite")


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_a_file_tells_its_precision(precision):
    assert networks.parsed(precision).precision == precision


def test_weights_of_8_bits_under_a_float_result_are_dynamic():
    # The converter leaves small weights alone: they are written here.
    def narrow(model):
        graph = model.subgraphs[0]
        for op in graph.operators:
            if len(op.inputs) == 3:
                graph.tensors[op.inputs[1]].type = 9  # INT8

    content = networks.edited(networks.content("float32"), narrow)
    assert flatbuffer.parse(content, PATH).precision == "dynamic"


def test_ops_are_named_by_the_layers_they_came_from():
    ops = [(op.name, op.layer) for op in networks.parsed("float32").ops]
    assert ("CONV_2D", "stem_conv") in ops
    assert ("HARD_SWISH", "stem_activation") in ops
    assert ("DEPTHWISE_CONV_2D", "block_depthwise_conv") in ops
    assert ("MEAN", "block_pool") in ops
    assert ("ADD", "block_add") in ops
    assert ops[-1] == ("CONV_2D", "classes")


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("network_1/C4_block2_expand_conv_1/convolution", "C4_block2_expand_conv"),
        ("network_1/norm_1/batchnorm/add_1;network_1/conv_1/convolution;x", "conv"),
        ("network_1/Mul_6", "Mul_6"),
        ("MobilenetV2/Conv_1/Relu6", "MobilenetV2/Conv_1"),
        ("StatefulPartitionedCall:0", ""),
        ("", ""),
    ],
)
def test_a_tensor_name_holds_the_layer(name, layer):
    assert flatbuffer.layer(name) == layer


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(failures.RequestError, match=r"none.tflite: cannot be read: No"):
        flatbuffer.read(tmp_path / "none.tflite")
    with pytest.raises(failures.RequestError, match=r"cannot be read: Is a directory"):
        flatbuffer.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x89PNG" * 9, bytes(100)])
def test_what_is_no_model_is_refused(content):
    with pytest.raises(failures.RequestError, match=r"some.tflite: not a TFLite model"):
        flatbuffer.parse(content, PATH)


def test_every_truncation_is_read_or_refused():
    content = networks.content("int8")
    refused = 0
    for length in range(8, len(content), 37):
        refused += not readable(content[:length])
    assert refused > 10


def test_every_damage_is_read_or_refused():
    random = np.random.default_rng(0)
    original = np.frombuffer(networks.content("int8"), np.uint8)
    refused = 0
    for _ in range(300):
        content = original.copy()
        places = random.integers(8, len(content), 20)
        content[places] = random.integers(0, 256, 20)
        refused += not readable(content.tobytes())
    assert refused > 10


def readable(content: bytes) -> bool:
    try:
        flatbuffer.parse(content, PATH)
    except failures.RequestError:
        return False
    return True


def test_a_forged_count_is_refused_at_once():
    content = bytearray(networks.content("int8"))
    model = flatbuffer.schema.Model.GetRootAs(content)
    graph = model.Subgraphs(0)
    at = graph._tab.Vector(graph._tab.Offset(4)) - 4  # how many tensors there are
    content[at : at + 4] = (2**31 - 1).to_bytes(4, "little")
    with pytest.raises(failures.RequestError, match="damaged TFLite model"):
        flatbuffer.parse(bytes(content), PATH)


def test_published_files_are_read(shared):
    files = {path.name: path for path in (shared / "peers").glob("*.tflite")}
    mobilenet = flatbuffer.read(files["tf2_mobilenet_v2_1.0_224_ptq.tflite"])
    assert mobilenet.size == 4_070_174
    assert len(mobilenet.ops) == 68
    assert mobilenet.precision == "int8"
    assert mobilenet.inputs["input"].shape == (1, 224, 224, 3)
    ssd = flatbuffer.read(files["coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"])
    (custom,) = (op for op in ssd.ops if op.custom)
    assert custom.name == "TFLite_Detection_PostProcess"
    assert not custom.flex
    wake_words = flatbuffer.read(files["vww_96_int8.tflite"])
    assert wake_words.inputs["input_1_int8"].dynamic
