"""Files of a detector: their three forms, against boxes worked out with NumPy."""

import functools
import json
import pathlib

import numpy as np
import pytest
import small_detector
from ai_edge_litert import interpreter as litert
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from official import export_spec, failures
from official.quantization import rewrite, scheme
from official.training import preparation
from tflite_export import (
    benchmark,
    calibration,
    check,
    conversion,
    detection_op,
    export,
    findings,
    flatbuffer,
    inference,
    interpreter,
    layer_errors,
    metadata,
    op_parity,
    sidecar,
)
from tflite_export.targets import base as targets_base

CPU = targets_base.find("cpu")
# Behind files of the other precisions the op is put in the same way.
PRECISIONS = ("float16", "int8")
PIXELS = calibration.collect(small_detector.images(8)[:, None])
FACTS = small_detector.experiment().task.detector


@functools.cache
def converted(precision: str) -> bytes:
    """A file of boxes, encoded, and scores."""
    chosen = small_detector.experiment()
    _, built = findings.graph(chosen, small_detector.network(chosen), precision)
    images = PIXELS if precision in export_spec.INTEGER else None
    return conversion.convert(built, precision, spec=chosen.export, calibration=images)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> pathlib.Path:
    """As an export leaves it, in int8."""
    chosen = small_detector.experiment(precisions=("int8",))
    network = small_detector.network(chosen)
    files = export.write(chosen, network, folder=tmp_path_factory.mktemp("written"))
    assert list(files) == ["int8 detections"]
    return files["int8 detections"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory, written) -> dict[str, pathlib.Path]:
    """A file with the op of each precision."""
    folder = tmp_path_factory.mktemp("plain")
    paths = {"int8": written}
    for precision in PRECISIONS:
        if precision not in paths:
            path = paths[precision] = folder / f"model_{precision}.tflite"
            path.write_bytes(detection_op.append(converted(precision), FACTS))
    return paths


def inside(path: pathlib.Path, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the op is given: boxes `[A, 4]`, encoded, and scores `[A, K]`."""
    (op,) = (op for op in flatbuffer.read(path).ops if op.custom)
    kernels = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    loaded = litert.Interpreter(
        str(path),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=kernels,
    )
    loaded.allocate_tensors()
    (detail,) = loaded.get_input_details()
    loaded.set_tensor(detail["index"], interpreter.stored(image, detail)[None])
    loaded.invoke()
    encodings, scores = (loaded.get_tensor(t.index)[0] for t in op.inputs[:2])
    return encodings, scores


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_op_finds_what_suppression_class_by_class_finds(plain, precision):
    runner = interpreter.Runner(plain[precision])
    for image in small_detector.images(2):
        encodings, scores = inside(plain[precision], image)
        boxes = small_detector.decoded(encodings, FACTS)
        expected = small_detector.found(boxes, scores, FACTS)
        ours = runner(image[None])
        assert int(ours["count"][0]) == len(expected) > 3
        for row, (box, class_id, score) in enumerate(expected):
            np.testing.assert_allclose(
                ours["boxes_yxyx"][0, row], box.clip(0, 1), atol=1e-5
            )
            assert ours["class_ids"][0, row] == class_id
            assert ours["scores"][0, row] == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_stands_before_the_op_is_what_the_precision_promises(plain, precision):
    file = flatbuffer.read(plain[precision])
    check.require(file, precision=precision, target=CPU)
    assert file.precision == precision
    names = [op.name for op in file.ops]
    assert names[-3:] == [detection_op.NAME, "MAXIMUM", "MINIMUM"]
    assert tuple(file.outputs) == detection_op.OUTPUTS


def test_a_float_op_before_the_op_is_refused_still(plain):
    with pytest.raises(failures.GateError, match="is float32 in an int8 file"):
        check.require(flatbuffer.read(plain["float16"]), precision="int8", target=CPU)


def options(content: bytes) -> dict:
    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    (op,) = (x for x in model.subgraphs[0].operators if x.customOptions is not None)
    return flexbuffers.Loads(bytes(bytearray(op.customOptions)))


def test_options_are_those_that_published_files_have(plain, shared):
    published = shared / "peers" / "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
    theirs = options(published.read_bytes())
    ours = options(plain["float16"].read_bytes())
    assert set(theirs) - set(ours) == {"_output_quantized"}  # read by no kernel
    assert {k: type(ours[k]) for k in theirs if k in ours} == {
        k: type(theirs[k]) for k in theirs if k in ours
    }
    scales = [f"{axis}_scale" for axis in "yxhw"]
    assert [ours[k] for k in scales] == [theirs[k] for k in scales] == [10, 10, 5, 5]
    assert ours["use_regular_nms"] is True


def test_a_file_with_other_outputs_gets_no_op(plain):
    with pytest.raises(ValueError, match=r"want \['box_encodings', 'scores'\]"):
        detection_op.append(plain["float16"].read_bytes(), FACTS)
    few = small_detector.detector.Detector(
        **{**vars(FACTS), "anchors": FACTS.anchors[:7]}
    )
    with pytest.raises(ValueError, match=r"see Task\.detector"):
        detection_op.append(converted("float16"), None)
    with pytest.raises(ValueError, match=r"is \[1, 192, 4\], want \[1, 7 anchors"):
        detection_op.append(converted("float16"), few)


def test_metadata_names_the_outputs_as_mediapipe_does(written):
    told = metadata.read(written)
    assert [output.name for output in told.outputs] == [
        "location",
        "category",
        "score",
        "number of detections",
    ]
    location, category, score, number = told.outputs
    assert (location.boxes, location.entries, score.boxes) == (True, True, False)
    assert (category.labels, category.ids) == ("labels.txt", True)
    assert told.labels == {"labels.txt": small_detector.NAMES}
    assert not number.entries
    assert not number.labels
    assert told.decoding is None


def test_the_description_says_how_boxes_were_chosen(written):
    content = json.loads(sidecar.path_of(written).read_text())
    assert content["mediapipe"]["task"] == "ObjectDetector"
    assert content["detector"] == {
        "anchors": 192,
        "scales_yxhw": [10, 10, 5, 5],
        "score_threshold": 0.3,
        "file_score_threshold": 0.3,
        "iou_threshold": 0.5,
        "most_per_class": 10,
        "most": 20,
    }
    assert set(content["postprocessing"]) == set(detection_op.OUTPUTS)
    assert {each["dtype"] for each in content["outputs"]} == {"float32"}


@pytest.mark.parametrize(
    ("name", "left"), [("edgetpu", "cpu"), ("npu", "cpu"), ("micro", "maps")]
)
def test_targets_leave_the_op_to_the_cpu(written, name, left):
    target = targets_base.find(name)
    file = flatbuffer.read(written)
    assessed = check.assess(file, target=target)
    (verdict,) = (x for x in assessed.verdicts if x.op == detection_op.NAME)
    assert verdict.status == left
    assert assessed.mapped.share == 1.0  # of the multiply-adds
    assert assessed.lines()


def test_speed_and_errors_by_layer_are_measured_in_spite_of_the_op(written):
    (figures,) = benchmark.measure([written])
    assert figures.latency_ms > 0
    chosen = small_detector.experiment()
    _, built = findings.graph(chosen, small_detector.network(chosen), "int8")
    report = layer_errors.measure(
        written, built, small_detector.images(2), calibration="mse"
    )
    assert {"encodings", "scores"} <= {row.layer for row in report.layers}


def test_a_trained_network_of_integers_ends_in_the_op_too(tmp_path):
    chosen = small_detector.experiment(precisions=("int8",))
    plan = scheme.QuantScheme()
    network = plan.apply(CPU.rewrite(small_detector.network(chosen), "int8").model)
    rewrite.observe(network, [small_detector.images(8)])
    finished = chosen.task.finish(network, output="detections", size="head")
    built = inference.build(finished, spec=chosen.export, precision="int8")
    content = conversion.convert(built, "int8", spec=chosen.export)
    path = tmp_path / "model.tflite"
    path.write_bytes(detection_op.append(content, FACTS))
    check.require(flatbuffer.read(path), precision="int8", target=CPU)
    report = op_parity.compare(path, built, small_detector.images(2))
    assert report.worst <= 1
    ends = {c.layer for c in report.comparisons}
    assert {"boxes_conv_range", "scores_range"} <= ends


def test_the_background_is_no_class_of_a_file():
    chosen = small_detector.experiment(activation="softmax", output="raw")
    network = small_detector.network(chosen)
    finished = chosen.task.finish(network, output="raw", size="head")
    images = small_detector.images(2)
    logits = network.predict_on_batch(images)["logits"]
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares = powers / powers.sum(axis=-1, keepdims=True)
    given = finished.predict_on_batch(images)
    assert set(given) == {"box_encodings", "scores"}
    np.testing.assert_allclose(given["scores"], shares[..., 1:], atol=1e-6)


def test_a_form_that_the_task_does_not_have_is_refused_before_training():
    chosen = small_detector.experiment(output="logits")
    with pytest.raises(failures.RequestError) as caught:
        preparation._require_consistent(chosen)
    assert str(caught.value) == (
        "export.output = 'logits': what a file of Boxes can give here is one of "
        "'detections', 'raw', 'decoded'; set export.output = 'detections'"
    )
