"""A file divided at the border of what hardware takes: both parts give what it gives."""

import dataclasses
import json
import pathlib

import export_networks as networks
import keras
import numpy as np
import pytest
import small
from ai_edge_litert import interpreter
from ai_edge_litert import schema_py_generated as schema
from test_mapping import constant, file, op, tensor

from official import export_spec, failures
from official.layers import argmax, hard_swish
from tflite_export import __main__ as command
from tflite_export import (
    border,
    calibration,
    check,
    compiled,
    conversion,
    division,
    excerpt,
    export,
    findings,
    flatbuffer,
    inference,
    mapping,
    model_tables,
    predict,
    split,
)
from tflite_export.targets import base as targets_base

EDGETPU = targets_base.find("edgetpu")


def divided_network() -> keras.Model:
    """A trunk with an output of its own, then an activation that does not map."""
    keras.utils.set_random_seed(0)
    images = keras.Input((16, 24, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="stem_conv")(x)
    y = keras.layers.Conv2D(8, 3, padding="same", name="block_conv")(x)
    early = keras.layers.Conv2D(3, 1, name="early_conv")(y)
    z = hard_swish.HardSwish(name="late_activation")(y)
    z = keras.layers.Add(name="late_add")([x, z])
    late = keras.layers.Conv2D(4, 1, name="late_conv")(z)
    return keras.Model(images, {"early": early, "late": late}, name="network")


@pytest.fixture(scope="module")
def content() -> bytes:
    spec = export_spec.Export(input_type="int8", output_type="int8")
    graph = inference.build(divided_network(), spec=spec, precision="int8")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (8, 1, 16, 24, 3)).astype(np.float32)
    return conversion.convert(
        graph, "int8", spec=spec, calibration=calibration.collect(images)
    )


@pytest.fixture
def model(content, tmp_path) -> pathlib.Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def parts(content, tmp_path_factory) -> split.Parts:
    folder = tmp_path_factory.mktemp("divided")
    path = folder / "model.tflite"
    path.write_bytes(content)
    return split.divide(path, target=EDGETPU, folder=folder)


def answers(path: pathlib.Path, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a file gives, by the names of its signature."""
    runner = interpreter.Interpreter(str(path)).get_signature_runner("serving_default")
    return runner(**given)


def test_both_in_a_row_give_the_whole_to_the_bit(parts):
    whole = parts.trunk.file.path.with_name("model.tflite")
    random = np.random.default_rng(7)
    for _ in range(3):
        images = random.integers(-128, 128, (1, 16, 24, 3), np.int8)
        expected = answers(whole, {"images": images})
        first = answers(parts.trunk.file.path, {"images": images})
        passed = {name: first[name] for name in parts.passing}
        found = answers(parts.rest.file.path, passed)
        assert set(expected) == {"early", "late"}
        assert len(np.unique(expected["late"])) > 50
        np.testing.assert_array_equal(first["early"], expected["early"])
        np.testing.assert_array_equal(found["late"], expected["late"])


def test_what_passes_has_its_layer_s_name_and_one_quantization_in_both(parts):
    trunk, rest = parts.trunk.file, parts.rest.file
    assert set(trunk.inputs) == {"images"}
    assert set(trunk.outputs) == {"early", "stem_conv", "block_conv"}
    assert set(rest.inputs) == {"stem_conv", "block_conv"}
    assert set(rest.outputs) == {"late"}
    for name, given in rest.inputs.items():
        made = trunk.outputs[name]
        assert (made.dtype, made.shape) == (given.dtype, given.shape)
        assert given.scales
        assert (made.scales, made.zero_points) == (given.scales, given.zero_points)


def test_the_trunk_maps_whole_and_each_op_is_in_one_part(parts):
    assessed = check.assess(parts.trunk.file, target=EDGETPU)
    assert assessed.mapped.ops == assessed.mapped.total_ops
    whole = flatbuffer.read(parts.trunk.file.path.with_name("model.tflite"))
    ops = [*parts.trunk.file.ops, *parts.rest.file.ops]
    assert sorted(op.name for op in ops) == sorted(op.name for op in whole.ops)
    assert parts.rest.file.ops[0].name == "HARD_SWISH"
    assert parts.trunk.multiply_adds == 7 * 11 * 8 * (27 + 72 + 3)
    assert parts.rest.multiply_adds == 7 * 11 * 8 * 4


def test_constants_are_only_where_they_are_read_and_begin_where_the_schema_wants(parts):
    held = []
    for part in (parts.trunk, parts.rest):
        read = schema.Model.GetRootAs(part.file.path.read_bytes())
        for buffer in map(read.Buffers, range(read.BuffersLength())):
            if buffer.DataLength():
                assert buffer._tab.Vector(buffer._tab.Offset(4)) % 16 == 0
                held.append(buffer.DataLength())
    block_conv = 8 * 3 * 3 * 8
    assert held.count(block_conv) == 1
    read = schema.Model.GetRootAs(parts.rest.file.path.read_bytes())
    assert read.OperatorCodesLength() == len(parts.rest.file.histogram)


def test_what_describes_the_whole_is_not_claimed_by_a_part(parts):
    read = schema.Model.GetRootAs(parts.trunk.file.path.read_bytes())
    names = {read.Metadata(i).Name() for i in range(read.MetadataLength())}
    assert names == {b"min_runtime_version", b"CONVERSION_METADATA"}


def place(maps: bool, *, multiply_adds: int = 1) -> mapping.Place:
    status = mapping.MAPS if maps else mapping.CPU
    return mapping.Place(status=status, reason="", multiply_adds=multiply_adds)


IMAGE, A, B, C, D, E = (tensor(number, 1, 4) for number in range(6))


def test_an_input_that_both_read_is_an_input_of_both_and_names_are_told_apart():
    named = [tensor(n, 1, 4, name="net_1/layer_1/op") for n in (1, 2)]
    ops = (
        op("ADD", [IMAGE, IMAGE], [named[0]]),
        op("ADD", [named[0], IMAGE], [named[1]]),
        op("GELU", [named[0]], [C]),
        op("SUB", [named[1], C], [E]),
        op("ADD", [E, IMAGE], [D]),
    )
    given = file(*ops, inputs=[IMAGE], outputs=[D, named[1]])
    places = [place(maps) for maps in (True, True, False, True, True)]
    found = border.find(given, places)
    assert found.trunk.ops == (0, 1)
    # What maps but waits for the rest goes with the rest.
    assert found.rest.ops == (2, 3, 4)
    assert set(found.trunk.inputs) == {"t0"}
    # The whole's own name for its output, the layer's for the other.
    assert set(found.passing) == {"layer", "net_1/layer_1/op"}
    assert set(found.trunk.outputs) == {"layer", "net_1/layer_1/op"}
    assert set(found.rest.inputs) == {"t0", "layer", "net_1/layer_1/op"}
    assert set(found.rest.outputs) == {"t4"}
    assert (found.trunk.multiply_adds, found.rest.multiply_adds) == (2, 3)


def test_two_tensors_of_a_layer_have_two_names():
    named = [tensor(n, 1, 4, name="net_1/layer_1/op") for n in (1, 2)]
    ops = (
        op("ADD", [IMAGE, IMAGE], [named[0]]),
        op("SUB", [IMAGE, IMAGE], [named[1]]),
        op("GELU", named, [C]),
    )
    given = file(*ops, inputs=[IMAGE], outputs=[C])
    found = border.find(given, [place(True), place(True), place(False)])
    assert [*found.passing] == ["layer", "layer_2"]


def test_graphs_that_do_not_run_straight_through_are_refused():
    loop = op("ADD", [A], [B], graph=1)
    with pytest.raises(failures.RequestError, match="has several graphs"):
        border.find(file(loop, inputs=[A], outputs=[B]), [place(True)])
    late = file(op("ADD", [C], [B]), op("ADD", [IMAGE], [C]), inputs=[IMAGE])
    with pytest.raises(failures.RequestError, match="op 0, ADD, reads 't3' before"):
        border.find(late, [place(True), place(False)])


def test_the_first_op_outside_is_one_that_depends_on_the_image():
    ops = (
        op("SOFTMAX", [constant(4, 4)], [A]),
        op("RELU", [IMAGE], [B]),
        op("GELU", [B], [C]),
        op("ADD", [A, C], [D]),
    )
    found = mapping.places(file(*ops, inputs=[IMAGE], outputs=[D]), EDGETPU)
    assert [place.constant for place in found] == [True, False, False, False]
    assert mapping.summarize(found).first_outside == 2
    alone = mapping.places(file(ops[0], outputs=[A]), EDGETPU)
    assert mapping.summarize(alone).first_outside == 0


def test_what_is_for_the_app_is_advised_only_at_the_end():
    ops = (
        op("ARG_MAX", [A, constant(1)], [B]),
        op("ADD", [B, B], [C]),
        op("SOFTMAX", [C], [D]),
        op("DEQUANTIZE", [D], [tensor(7, 1, 4)]),
    )
    given = file(*ops, inputs=[A], outputs=[tensor(7, 1, 4)])
    lines = mapping.advice(given, [place(False)] * 4, EDGETPU)
    assert [line.partition(":")[0] for line in lines] == ["SOFTMAX", "DEQUANTIZE"]


def test_the_check_says_which_blocks_map_and_how_to_divide(model, capsys):
    with pytest.raises(failures.GateError, match="HARD_SWISH from layer 'late_activa"):
        check.run(model, target=EDGETPU)
    lines = capsys.readouterr().out.splitlines()
    assert "maps whole: stem, block, early" in lines
    assert "does not map: late" in lines
    # One row for all that lies behind, whatever its number.
    assert len([line for line in lines if line.startswith("others ")]) == 1
    assert "--all lists every op" in "".join(lines)
    assert (
        "advice: the part that maps and the rest as two files: python -m tflite_export "
        f"split {model} --target=edgetpu"
    ) in lines


def test_the_command_says_what_the_parts_are_and_what_passes(model, tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    status = command.main(["split", str(model), "--target=edgetpu", f"--out={out}"])
    lines = capsys.readouterr().out.splitlines()
    assert status == 0
    assert {path.name for path in out.iterdir()} == {
        "model_trunk.tflite",
        "model_rest.tflite",
    }
    size = (out / "model_trunk.tflite").stat().st_size
    assert lines[0] == (
        f"{out}/model_trunk.tflite: 3 ops, 0.1 of 0.1 million multiply-adds, "
        f"{size / 1e6:.2f} MB, for the Edge TPU"
    )
    assert lines[2:6] == [
        "from one to the other pass 1,232 bytes:",
        "  stem_conv [1, 7, 11, 8] int8, 616 bytes",
        "  block_conv [1, 7, 11, 8] int8, 616 bytes",
        "one after the other they give exactly what the whole gives (3 random inputs)",
    ]
    told = json.loads(lines[-1])
    assert told["trunk"]["size_bytes"] == size
    assert [each["name"] for each in told["passing"]] == ["stem_conv", "block_conv"]
    assert told["rest"]["inputs"][0]["scale"] == told["passing"][0]["scale"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeluHead(small.OneConvolution):
    """Something that the Edge TPU does not run, in front of the logits."""

    def __call__(self, features, num_classes):
        x = keras.layers.Activation("gelu", name="gelu")(features["C2"])
        return super().__call__({"C2": x}, num_classes)


def refusal(path: pathlib.Path, target: str = "edgetpu") -> str:
    with pytest.raises(failures.RequestError) as caught:
        split.divide(path, target=targets_base.find(target), folder=path.parent)
    assert {p.name for p in path.parent.glob("*_*.tflite")} == set()
    return str(caught.value)


def written(path: pathlib.Path, content: bytes) -> pathlib.Path:
    path.write_bytes(content)
    return path


def test_where_there_is_nothing_to_divide_that_is_said(model, parts, content, tmp_path):
    assert "the CPU takes any number of parts of a graph" in refusal(model, "cpu")
    assert refusal(model, "npu").endswith("or give --target=edgetpu")
    whole = written(tmp_path / "a.tflite", parts.trunk.file.path.read_bytes())
    assert refusal(whole) == (
        f"{whole}: the Edge TPU takes all 3 ops; use the file as it is"
    )
    rest = written(tmp_path / "b.tflite", parts.rest.file.path.read_bytes())
    assert refusal(rest).startswith(
        f"{rest}: nothing that multiplies and adds goes to the Edge TPU (HARD_SWISH: "
        "HARD_SWISH is not in the table of the Edge TPU); choose a minimalistic"
    )

    def compile(read):
        read.operatorCodes[0].builtinCode = schema.BuiltinOperator.CUSTOM
        read.operatorCodes[0].deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        read.operatorCodes[0].customCode = "edgetpu-custom-op"

    done = written(tmp_path / "c.tflite", networks.edited(content, compile))
    assert refusal(done).endswith("divide the file that was given to the compiler")


def test_a_float_input_is_refused_with_what_to_set(content, tmp_path):
    def quantize_inside(read):
        """A QUANTIZE of a float input, as the converter puts it there."""
        graph = read.subgraphs[0]
        floats = schema.TensorT()
        floats.name, floats.shape, floats.buffer = "floats", [1, 16, 24, 3], 0
        floats.type = schema.TensorType.FLOAT32
        graph.tensors.append(floats)
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
        read.operatorCodes.append(code)
        first = schema.OperatorT()
        first.opcodeIndex = len(read.operatorCodes) - 1
        first.inputs, first.outputs = [len(graph.tensors) - 1], graph.inputs
        graph.operators.insert(0, first)
        graph.inputs = first.inputs
        read.signatureDefs = []

    path = written(tmp_path / "m.tflite", networks.edited(content, quantize_inside))
    assert refusal(path) == (
        f"{path}: nothing that multiplies and adds goes to the Edge TPU (QUANTIZE: "
        "tensor 'floats' is float32, not 8 bits); feed integers (export.input_type = "
        "'uint8'), keep no layer in float"
    )


def test_files_whose_parts_cannot_stand_alone_are_known(content):
    def reason(edit):
        model = model_tables.unpacked(content)
        edit(model, model.subgraphs[0].tensors[0])
        return excerpt.obstacle(model)

    def blocks(model, tensor):
        tensor.quantization = schema.QuantizationParametersT()
        kind = schema.QuantizationDetails.BlockwiseQuantization
        tensor.quantization.detailsType = kind

    def variable(model, tensor):
        tensor.isVariable = True

    def resource(model, tensor):
        tensor.type = schema.TensorType.RESOURCE

    def graphs(model, tensor):
        model.subgraphs *= 2

    def far(model, tensor):
        model.buffers[-1].offset = 4096

    assert reason(lambda model, tensor: None) is None
    for edit in (variable, resource):
        assert "keeps values from one run to the next (tensor 'serv" in reason(edit)
    assert "has scales for blocks of values" in reason(blocks)
    assert "has 2 graphs" in reason(graphs)
    assert "has constants behind its tables" in reason(far)


def test_damaged_files_are_refused_in_a_line(content, tmp_path):
    def no_such_weights(read):
        """LiteRT refuses it, our reader does not look at sizes of constants."""
        for buffer in read.buffers:
            if buffer.data is not None and len(buffer.data) == 8 * 9 * 8:
                buffer.data = buffer.data[:10]

    def no_such_input(read):
        """Its signature names what the graph makes itself."""
        (entry,) = read.signatureDefs[0].inputs
        entry.tensorIndex = read.subgraphs[0].operators[0].outputs[0]

    def no_such_buffer(read):
        read.metadata[0].buffer = 1_000_000

    edits = (no_such_weights, no_such_input, no_such_buffer)
    forged = [networks.edited(content, edit) for edit in edits]
    for number, bad in enumerate([content[: len(content) // 2], *forged]):
        path = written(tmp_path / f"m{number}.tflite", bad)
        # LiteRT may find out only when it runs a part.
        with pytest.raises(failures.Failure) as caught:
            split.divide(path, target=EDGETPU, folder=path.parent)
        line = str(caught.value)
        assert line.startswith(f"{path}: ")
        assert "\n" not in line
        assert "unexpected" not in line


def test_parts_that_give_something_else_are_not_written(model, monkeypatch):
    found = {"early": 0, "late": 3}
    monkeypatch.setattr(division, "run", lambda *arguments: found)
    with pytest.raises(failures.RunError) as caught:
        split.divide(model, target=EDGETPU, folder=model.parent)
    assert str(caught.value) == (
        f"{model}: the parts give other values than the whole (3 of 'late', over 3 "
        "random inputs), so they are not written"
    )
    assert [path.name for path in model.parent.iterdir()] == ["model.tflite"]


def test_a_file_that_is_refused_leaves_no_parts_of_another(model, parts):
    folder = parts.trunk.file.path.parent
    compiled_trunk = folder / f"{parts.trunk.file.path.stem}_edgetpu.tflite"
    compiled_trunk.write_bytes(b"compiled")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    whole = parts.trunk.file.path.read_bytes()
    path = folder / f"{parts.trunk.file.path.stem.removesuffix('_trunk')}.tflite"
    try:
        path.write_bytes(whole)
        with pytest.raises(split.NothingToDivide, match="takes all 3 ops"):
            split.divide(path, target=EDGETPU, folder=folder)
        assert not any(
            "_trunk" in p.name or "_rest" in p.name for p in folder.iterdir()
        )
    finally:
        for each, content in before.items():
            each.write_bytes(content)
        compiled_trunk.unlink()


def test_a_rest_that_computes_nothing_is_no_reason_to_divide(tmp_path):
    keras.utils.set_random_seed(0)
    images = keras.Input((16, 24, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    x = keras.layers.Conv2D(8, 3, activation="relu", name="stem_conv")(x)
    x = argmax.ArgMax(name="class_ids")(x)
    network = keras.Model(images, {"class_ids": x}, name="network")
    spec = export_spec.Export(input_type="int8", output="class_ids")
    graph = inference.build(network, spec=spec, precision="int8")
    random = np.random.default_rng(0)
    given = random.integers(0, 256, (4, 1, 16, 24, 3)).astype(np.float32)
    made = conversion.convert(
        graph, "int8", spec=spec, calibration=calibration.collect(given)
    )
    line = refusal(written(tmp_path / "model.tflite", made))
    assert "leaves to the CPU (ARG_MAX: ARG_MAX is not in the table" in line
    assert line.endswith("multiplies and adds nothing; use the file as it is")


def test_a_part_is_not_drawn_and_the_whole_is_named(model, tmp_path):
    whole = tmp_path / model.name
    whole.write_bytes(model.read_bytes())
    split.divide(whole, target=EDGETPU, folder=tmp_path)
    trunk, _ = split.paths(whole, tmp_path)
    with pytest.raises(failures.RequestError, match=f"give the whole, {whole}"):
        predict.run(trunk, [tmp_path / "photo.jpg"], out=tmp_path / "drawn")


def test_differences_are_counted_by_bits():
    ours = np.array([1.0, np.nan, 0.0, 2.0], np.float32)
    theirs = np.array([1.0, np.nan, -0.0, 3.0], np.float32)
    assert division._different(ours, theirs) == 2
    assert division._different(ours, ours.astype(np.float64)) == 4


def test_an_export_that_is_to_divide_wants_a_target_of_one_part():
    spec = export_spec.Export(split=True, target="gpu")
    with pytest.raises(failures.RequestError, match=r"set export\.target = 'edgetpu'"):
        targets_base.of(spec)
    assert targets_base.of(export_spec.Export(split=True, target="edgetpu")) == EDGETPU


def test_an_export_divides_describes_the_parts_and_compiles_the_trunk(
    tmp_path, monkeypatch, capsys
):
    given = small.experiment()
    task = dataclasses.replace(given.task, head=GeluHead())
    spec, _ = EDGETPU.adapt(
        export_spec.Export(target="edgetpu", split=True, calibration_examples=4)
    )
    given = dataclasses.replace(given, task=task, export=spec)
    network = task.build(num_classes=3, training=False)
    (tmp_path / "model_edgetpu_int8_trunk_edgetpu.tflite").write_bytes(b"old")
    files = export.write(given, network, folder=tmp_path)
    path = tmp_path / "model_edgetpu_int8.tflite"
    assert files == {"edgetpu int8": path}
    assert not (tmp_path / "model_edgetpu_int8_trunk_edgetpu.tflite").exists()
    assert f"{tmp_path}/model_edgetpu_int8_rest.tflite: " in capsys.readouterr().out
    described = json.loads(path.with_suffix(".json").read_text())["parts"]
    assert described["trunk"]["model"] == "model_edgetpu_int8_trunk.tflite"
    (passing,) = described["passing"]
    assert described["rest"]["inputs"] == described["trunk"]["outputs"] == [passing]
    asked = []

    def compile(path, target):
        asked.append(path.name)
        return [compiled.Outcome(tool="a compiler", line="done")]

    monkeypatch.setattr(findings.compilation, "run", compile)
    _, lines = findings.for_hardware(files, {}, "edgetpu")["edgetpu int8"]
    assert asked == ["model_edgetpu_int8_trunk.tflite"]
    assert lines[-1] == "edgetpu int8: done"
    split.remove(path, tmp_path)
    assert [p.name for p in tmp_path.glob("*.tflite")] == [path.name]
