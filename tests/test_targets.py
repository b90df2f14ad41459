"""Export targets: what they make of networks, and what their hardware takes of files."""

import contextlib
import functools
import json
import pathlib

import export_networks as networks
import keras
import numpy as np
import pytest

from official import export_spec, failures
from official.backbones import mobilenet_v2, mobilenet_v3, mobilenet_v4
from official.heads import classification, lraspp
from official.layers.hard_swish import HardSwish
from tflite_export import check, flatbuffer, inference
from tflite_export.targets import base as targets_base

PATH = pathlib.Path("model.tflite")
HEAD = classification.Classification()
NETWORKS = {
    "v2": (mobilenet_v2.MobileNetV2(width_multiplier=0.25), HEAD),
    "v3": (
        mobilenet_v3.MobileNetV3(variant="small", width_multiplier=0.25),
        lraspp.LRASPP(filters=16),
    ),
    "v4": (
        mobilenet_v4.MobileNetV4(variant="hybrid_medium", width_multiplier=0.1),
        HEAD,
    ),
    "minimalistic": (
        mobilenet_v3.MobileNetV3(
            variant="small",
            minimalistic=True,
            width_multiplier=0.25,
            activation="relu6",
            output_stride=16,
        ),
        lraspp.LRASPP(filters=16),
    ),
}


@functools.cache
def build(name: str) -> keras.Model:
    """A network that tests leave as it is."""
    keras.utils.set_random_seed(0)
    backbone, head = NETWORKS[name]
    images = keras.Input((*networks.SIZE, 3), name="images")
    pixels = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    model = keras.Model(images, head(backbone(pixels), 8), name="network")
    networks.vary_norms(model)
    return model


def assess(content: bytes, target: str) -> check.Assessment:
    file = flatbuffer.parse(content, PATH)
    return check.assess(file, target=targets_base.find(target))


@pytest.fixture(scope="module")
def hard_swish() -> bytes:
    """An int8 file whose hard-swish is whole."""
    ends = {"input_type": "int8", "output_type": "int8"}
    return networks.convert(networks.network(), "int8", target="micro", **ends)


SPLIT = {"v2": "", "v3": "18 HardSwish in the form 'split'", "v4": ""}
DENSE = {
    "v2": "1 Dense as 1x1 convolution",
    "v3": "",
    "v4": "1 Dense as 1x1 convolution",
}
SINGLE = {
    "v2": "",
    "v3": "",
    "v4": "8 MultiQueryAttention in the form 'single'",
}
CHANGES = {
    "cpu": (SPLIT, SINGLE),
    "edgetpu": (SPLIT, SINGLE, DENSE),
    "gpu": (),
    "micro": (DENSE,),
    "npu": (SPLIT, SINGLE, DENSE),
}


def test_every_target_is_tried():
    assert tuple(CHANGES) == targets_base.names()


@pytest.mark.parametrize("name", ["v2", "v3", "v4"])
def test_every_target_keeps_the_function_and_says_what_it_changed(name):
    model = build(name)
    images = networks.pixels(1)
    theirs = model(images)["logits"]
    weights = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
    for target, changes in CHANGES.items():
        rewritten = targets_base.find(target).rewrite(model, "int8")
        assert set(rewritten.changes) == {change[name] for change in changes} - {""}
        if not rewritten.changes:
            continue
        ours = rewritten.model(images)["logits"]
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    for before, after in zip(weights, model.weights, strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_edge_tpu_takes_the_whole_minimalistic_segmenter():
    content = networks.convert(build("minimalistic"), "int8", target="edgetpu")
    assessed = assess(content, "edgetpu")
    assert assessed.mapped.first_outside == -1
    assert assessed.mapped.ops == assessed.mapped.total_ops
    # What the documents leave open, as they do: sizes of resizing and reshaping.
    doubtful = {verdict.op for verdict in assessed.verdicts if verdict.reason}
    assert doubtful <= {"RESIZE_BILINEAR", "RESHAPE"}
    assert "SPACE_TO_BATCH_ND" not in flatbuffer.parse(content, PATH).histogram
    assert assessed.lines()[0].endswith("(100.0 %)")


def test_the_edge_tpu_takes_the_whole_segmenter_with_split_hard_swish():
    assessed = assess(networks.content("int8"), "edgetpu")
    assert assessed.mapped.share == 1
    assert {verdict.status for verdict in assessed.verdicts} == {"maps"}


def test_the_edge_tpu_refuses_hard_swish_and_names_its_layer(
    hard_swish, tmp_path, capsys
):
    path = tmp_path / "model.tflite"
    path.write_bytes(hard_swish)
    with pytest.raises(failures.GateError) as caught:
        check.run(path, target=targets_base.find("edgetpu"))
    assert str(caught.value) == (
        f"{path}: HARD_SWISH from layer 'stem_activation': HARD_SWISH is not in the "
        "table of the Edge TPU; here the part for the Edge TPU ends, with 65.8 % of the "
        "multiply-adds"
    )
    text = capsys.readouterr().out
    assert "first op outside: number 1, HARD_SWISH from layer 'stem_activation'" in text
    assert "advice: HARD_SWISH: choose a minimalistic MobileNetV3" in text
    content = json.loads(text.splitlines()[-1])
    assert [verdict["layer"] for verdict in content["refused"]] == ["stem_activation"]
    assert content["target"] == "edgetpu"
    # In the order of execution: the stem, and what ends the part.
    statuses = [verdict["status"] for verdict in content["verdicts"]]
    assert statuses[:3] == ["maps", "refused", "cpu"]
    assert content["verdicts"][0]["multiply_adds"] == 16 * 12 * 8 * 27
    assert content["mapped"]["multiply_adds"] == 16 * 12 * 8 * 27


def test_other_targets_run_hard_swish(hard_swish):
    for target in ("cpu", "gpu", "micro"):
        assessed = assess(hard_swish, target)
        assert not [v for v in assessed.verdicts if v.op == "HARD_SWISH" and v.reason]
    assessed = assess(hard_swish, "npu")
    assert [v.status for v in assessed.verdicts if v.op == "HARD_SWISH"] == ["cpu"] * 2


def test_attention_is_left_to_the_cpu_by_the_edge_tpu():
    content = networks.convert(build("v4"), "int8", target="edgetpu")
    assessed = assess(content, "edgetpu")
    first = assessed.verdicts[assessed.mapped.first_outside]
    assert "attention" in first.layer
    assert 0 < assessed.mapped.share < 1
    # It runs nevertheless, and is written with what is known about it.
    file = flatbuffer.parse(content, PATH)
    check.require(file, precision="int8", target=targets_base.find("edgetpu"))


def test_a_float_file_for_the_gpu_maps_whole():
    spec, _ = targets_base.find("gpu").adapt(export_spec.Export(target="gpu"))
    types = {"input_type": spec.input_type, "output_type": spec.output_type}
    content = networks.convert(networks.network(), "float32", target="gpu", **types)
    assessed = assess(content, "gpu")
    assert {verdict.status for verdict in assessed.verdicts} == {"maps"}
    assert flatbuffer.parse(content, PATH).histogram["HARD_SWISH"] == 2


def test_pixels_of_8_bits_need_a_cast_that_the_gpu_does_not_have():
    assessed = assess(networks.content("float32"), "gpu")
    assert assessed.verdicts[0].op == "CAST"
    assert assessed.verdicts[0].status == "cpu"
    assert "CAST: feed floats (export.input_type = 'float32')" in assessed.advice


def test_a_file_for_microcontrollers_has_int8_ends_and_an_arena(hard_swish):
    spec, changes = targets_base.find("micro").adapt(export_spec.Export(target="micro"))
    assert spec.precisions == ("int8",)
    assert changes == (
        "float32 left out: TFLite Micro runs int8 only",
        "input_type 'int8', not 'uint8': TFLite Micro has kernels for int8",
        "output_type 'int8', not 'uint8': TFLite Micro has kernels for int8",
    )
    assessed = assess(hard_swish, "micro")
    assert not [verdict for verdict in assessed.verdicts if verdict.problems]
    memory = assessed.arena
    # The stem's input and output live while it runs: 32 x 24 x 3 and 16 x 12 x 8.
    assert memory.least >= 32 * 24 * 3 + 16 * 12 * 8
    assert memory.least <= memory.planned <= 1.5 * memory.least
    assert assessed.lines()[-1].startswith("arena: ")


def test_check_prints_what_an_app_for_microcontrollers_registers(
    hard_swish, tmp_path, capsys
):
    path = tmp_path / "model.tflite"
    path.write_bytes(hard_swish)
    check.run(path, target=targets_base.find("micro"))
    (line,) = (
        line
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("in the app: ")
    )
    ops = flatbuffer.read(path).histogram
    assert f"MicroMutableOpResolver<{len(ops)}> resolver;" in line
    assert line.count("resolver.Add") == len(ops)
    assert "resolver.AddHardSwish();" in line


def test_methods_have_the_names_of_the_resolver():
    names = {
        "ADD_N": "AddAddN",
        "AVERAGE_POOL_2D": "AddAveragePool2D",
        "BATCH_MATMUL": "AddBatchMatMul",
        "BATCH_TO_SPACE_ND": "AddBatchToSpaceNd",
        "L2_POOL_2D": "AddL2Pool2D",
        "PADV2": "AddPadV2",
        "RELU6": "AddRelu6",
        "SELECT_V2": "AddSelectV2",
        "SPLIT_V": "AddSplitV",
        "TFLite_Detection_PostProcess": "AddDetectionPostprocess",
    }
    (line,) = targets_base.find("micro").for_app(list(names))
    assert line.startswith(
        "in the app: tflite::MicroMutableOpResolver<10> resolver; resolver.AddAddN(); "
    )
    for name in names.values():
        assert f" resolver.{name}();" in line
    assert targets_base.find("cpu").for_app(["ADD"]) == []


def test_whole_hard_swish_needs_less_memory_than_split():
    model = networks.with_layer(HardSwish(name="swish"))
    ends = {"input_type": "int8", "output_type": "int8"}
    whole, split = (
        assess(networks.convert(model, "int8", target=target, **ends), "micro").arena
        for target in ("micro", "cpu")
    )
    assert whole.least < split.least
    assert whole.planned < split.planned


def test_an_op_without_a_kernel_for_microcontrollers_is_refused():
    def edit(model):
        code = next(c for c in model.operatorCodes if c.builtinCode == 0)  # ADD
        code.builtinCode, code.deprecatedBuiltinCode = 150, 127  # GELU

    content = networks.edited(networks.content("int8"), edit)
    file = flatbuffer.parse(content, PATH)
    with pytest.raises(
        failures.GateError,
        match=r"GELU from layer '.+': TFLite Micro does not run GELU",
    ):
        check.require(file, precision="int8", target=targets_base.find("micro"))


@pytest.mark.parametrize("target", ["edgetpu", "npu", "micro"])
def test_a_float_file_alone_is_no_request_to_integer_hardware(target):
    spec = export_spec.Export(target=target, precisions=("float32",))
    with pytest.raises(
        failures.RequestError, match=r"runs int8 files only; set --prec"
    ):
        targets_base.find(target).adapt(spec)


@pytest.mark.parametrize("target", ["edgetpu", "gpu", "npu"])
def test_the_argmax_is_left_to_the_app(target):
    spec = export_spec.Export(target=target, output="class_ids")
    adapted = targets_base.find(target).adapt(spec)
    assert adapted.spec.output == "logits"
    assert "output 'logits', not 'class_ids'" in " ".join(adapted.changes)


def test_the_cpu_takes_any_settings():
    spec = export_spec.Export(output="class_ids", input_type="float32")
    assert targets_base.find("cpu").adapt(spec) == (spec, ())


def test_dilation_stays_within_the_depthwise_convolution():
    backbone = mobilenet_v2.MobileNetV2(width_multiplier=0.1, output_stride=8)
    images = keras.Input((*networks.SIZE, 3), name="images")
    pixels = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    outputs = lraspp.LRASPP(filters=8)(backbone(pixels), 3)
    content = networks.convert(keras.Model(images, outputs), "float32")
    file = flatbuffer.parse(content, PATH)
    assert not {"SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"} & set(file.histogram)
    dilations = {op.options.get("dilationHFactor", 1) for op in file.ops}
    assert dilations == {1, 2, 4}


def test_dilated_convolutions_of_one_map_stay_whole_and_take_in_their_norms():
    """TensorFlow would pad and cut that map once for both."""
    images = keras.Input((*networks.SIZE, 3), name="images")
    pixels = keras.layers.Rescaling(1 / 127.5, offset=-1, name="normalize")(images)
    x = keras.layers.Conv2D(4, 3, strides=2, name="stem_conv")(pixels)
    branches = []
    for name in ("one", "two"):
        y = keras.layers.Conv2D(
            4, 3, dilation_rate=3, padding="same", use_bias=False, name=f"{name}_conv"
        )(x)
        y = keras.layers.BatchNormalization(name=f"{name}_norm")(y)
        branches.append(keras.layers.ReLU(name=f"{name}_activation")(y))
    logits = keras.layers.Concatenate(name="logits")(branches)
    model = keras.Model(images, {"logits": logits}, name="network")
    networks.vary_norms(model)
    spec = export_spec.Export(input_type="float32", output_type="float32")
    built = inference.build(model, spec=spec, precision="float32").model
    given = networks.pixels(1)
    theirs = model(given)["logits"]
    np.testing.assert_allclose(built(given)["logits"], theirs, atol=1e-5)
    content = networks.convert(model, "float32", input_type="float32")
    ops = [op for op in flatbuffer.parse(content, PATH).ops if op.layer != "normalize"]
    assert [op.name for op in ops] == ["CONV_2D"] * 3 + ["CONCATENATION"]


@pytest.mark.parametrize(
    ("name", "outside", "share"),
    [
        ("tf2_mobilenet_v2_1.0_224_ptq", None, 1.0),
        ("deeplabv3_mnv2_pascal_quant", "ARG_MAX", 1.0),
        (
            "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29",
            "TFLite_Detection_PostProcess",
            1.0,
        ),
        ("vww_96_int8", "QUANTIZE", 0.0),
    ],
)
def test_published_files_on_the_edge_tpu(shared, name, outside, share):
    content = (shared / "peers" / f"{name}.tflite").read_bytes()
    assessed = assess(content, "edgetpu")
    assert assessed.mapped.share == share
    if outside is None:
        assert assessed.mapped.first_outside == -1
        # Sandler et al., 2018, Table 4: 300 million.
        assert assessed.mapped.total_multiply_adds == pytest.approx(300e6, rel=0.01)
    elif share:
        assert assessed.verdicts[assessed.mapped.first_outside].op == outside
    else:
        assert "dynamic shape [-1, 96, 96, 3]" in assessed.verdicts[0].reason


@pytest.mark.parametrize("target", targets_base.names())
def test_damaged_files_end_in_a_message(target):
    content = networks.content("int8")
    random = np.random.default_rng(0)
    for _ in range(60):
        damaged = np.frombuffer(content, np.uint8).copy()
        # The tables stand before the weights' end and behind it; hit both.
        places = random.integers(8, len(damaged), 30)
        damaged[places] = random.integers(0, 256, 30)
        # Any other exception would be a traceback.
        with contextlib.suppress(failures.RequestError):
            assess(damaged.tobytes(), target).lines()


def test_ops_that_lack_what_they_need_do_not_map():
    odd = flatbuffer.Op(name="CONV_2D", custom=False, inputs=(), outputs=())
    file = flatbuffer.File(
        path=PATH, size=0, ops=(odd,), tensors=(), inputs={}, outputs={}
    )
    for target in ("edgetpu", "npu"):
        (verdict,) = check.assess(file, target=targets_base.find(target)).verdicts
        if target == "edgetpu":
            assert verdict.status == "cpu"
            assert verdict.reason == (
                "lacks inputs or options that such an op should have"
            )
