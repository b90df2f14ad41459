"""What a file must not hold."""

import json
import pathlib

import export_networks as networks
import keras
import pytest

from official import failures
from tflite_export import check, flatbuffer
from tflite_export.targets import base as targets_base

CPU = targets_base.find("cpu")
PATH = pathlib.Path("model.tflite")


def require(content: bytes, precision: str) -> None:
    check.require(flatbuffer.parse(content, PATH), precision=precision, target=CPU)


def make_custom(name: str):
    def edit(model):
        code = next(c for c in model.operatorCodes if c.builtinCode == 0)  # ADD
        code.builtinCode = code.deprecatedBuiltinCode = 32  # CUSTOM
        code.customCode = name

    return edit


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic", "int8"])
def test_our_files_pass(precision):
    require(networks.content(precision), precision)


def test_float_inputs_and_outputs_that_were_asked_for_pass():
    content = networks.content("int8", input_type="float32", output_type="float32")
    require(content, "int8")


def test_a_float_island_is_refused_by_layer():
    layer = keras.layers.LayerNormalization(name="sneaky")
    content = networks.convert(networks.with_layer(layer), "int8")
    with pytest.raises(failures.GateError) as caught:
        require(content, "int8")
    assert str(caught.value) == (
        "model.tflite: NEG from layer 'sneaky': tensor 'network_1/sneaky_1/Neg' is "
        "float32 in an int8 file (and 2 more ops)"
    )


def test_a_float_file_is_no_int8_file():
    with pytest.raises(failures.GateError, match=r"is float32 in an int8 file"):
        require(networks.content("float32"), "int8")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("FlexErf", "needs TensorFlow's own kernels"),
        ("MyOwn", "a custom op, for which an app must bring the kernel"),
    ],
)
def test_flex_and_custom_ops_are_refused_by_layer(name, reason):
    content = networks.edited(networks.content("float32"), make_custom(name))
    with pytest.raises(failures.GateError, match=f"{name} from layer '.+': {reason}"):
        require(content, "float32")


def test_a_dynamic_shape_is_refused_by_layer():
    def edit(model):
        for tensor in model.subgraphs[0].tensors:
            if b"block_add" in tensor.name:
                tensor.shapeSignature = [-1, *tensor.shape[1:]]

    content = networks.edited(networks.content("float32"), edit)
    with pytest.raises(
        failures.GateError,
        match=r"ADD from layer 'block_add': .* dynamic shape \[-1, 16, 12, 8\]",
    ):
        require(content, "float32")


def test_the_command_counts_the_ops_and_ends_with_a_line_of_json(tmp_path, capsys):
    check.run(networks.file(tmp_path, "int8"), target=CPU)
    title, _, _, *table, last = capsys.readouterr().out.strip().splitlines()
    assert title == "model_int8.tflite: int8, 16 ops, 0 refused"
    numbers = {line.split()[0]: line.split()[1:] for line in table}
    assert numbers["CONV_2D"] == ["3", "-", "-"]
    assert "block_depthwise_conv" not in "".join(table)
    assert json.loads(last)["precision"] == "int8"
    assert json.loads(last)["refused"] == []


def test_the_command_lists_every_op_if_asked(tmp_path, capsys):
    check.run(networks.file(tmp_path, "int8"), target=CPU, every=True)
    *lines, last = capsys.readouterr().out.splitlines()
    (line,) = (line for line in lines if "block_depthwise_conv" in line)
    (verdict,) = (
        verdict
        for verdict in json.loads(last)["verdicts"]
        if verdict["layer"] == "block_depthwise_conv"
    )
    assert verdict["multiply_adds"] == 16 * 12 * 8 * 9
    assert line.split()[1:] == ["DEPTHWISE_CONV_2D", "block_depthwise_conv", "maps"]


def test_the_command_lists_the_ops_that_are_refused(tmp_path, capsys):
    path = tmp_path / "model.tflite"
    path.write_bytes(networks.edited(networks.content("int8"), make_custom("MyOwn")))
    with pytest.raises(failures.GateError):
        check.run(path, target=CPU)
    text, _, _ = capsys.readouterr().out.rpartition("\n{")
    assert "a custom op" in text
    assert "block_depthwise_conv" not in text


def test_the_command_ends_with_what_is_refused(tmp_path, capsys):
    path = tmp_path / "model.tflite"
    path.write_bytes(networks.edited(networks.content("int8"), make_custom("MyOwn")))
    with pytest.raises(failures.GateError, match="MyOwn from layer"):
        check.run(path, target=CPU)
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert {verdict["op"] for verdict in json.loads(last)["refused"]} == {"MyOwn"}
