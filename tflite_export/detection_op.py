"""`TFLite_Detection_PostProcess`, appended to a file of encoded boxes and scores.

LiteRT brings the op, as a custom one; `detection_postprocess.cc` in
`tensorflow/lite/kernels` has its inputs, options and outputs. The converter makes it of
a TensorFlow function that only stands for it, and only on some of its ways; here it is
put into the finished file, so that it is the same behind a file of any precision. Its
boxes are then cut at the border of the image: MediaPipe moves a corner from outside to
the border and keeps the size of the box.
"""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from official.tasks import detector as detector_lib
from tflite_export import flatbuffer, model_tables

NAME = "TFLite_Detection_PostProcess"

INPUTS = ("box_encodings", "scores")
"""Outputs of the file that the op is put behind: `[1, A, 4]` and `[1, A, K]`."""

OUTPUTS = ("boxes_yxyx", "class_ids", "scores", "count")
"""Of the op, in its order: `[1, N, 4]` in shares of the image's sides, `[1, N]`,
`[1, N]`, `[1]`, all float32. Beyond the count the rows mean nothing."""

_VERSION = 1


def append(content: bytes, detector: detector_lib.Detector | None) -> bytes:
    """The file with the op at its end, and the op's outputs in the place of its own.

    Args:
        content: As the converter writes it; its signature names `INPUTS`, which are
            float32.

        detector: Of the task that gives this form of outputs.

    Raises:
        ValueError: If the outputs are others, or not one row for each anchor, or there
            is no detector.
    """
    if detector is None:
        raise ValueError("a task that gives 'detections' says how: see Task.detector")
    model = model_tables.unpacked(content)
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    given = {
        model_tables.text(each.name): each.tensorIndex for each in signature.outputs
    }
    classes = _require_inputs(given, graph, len(detector.anchors))
    anchors = _constant(model, graph, "anchors", detector.centers)
    outputs = [_added(graph, name, shape) for name, shape in _outputs(detector)]
    op = _op(model, schema.BuiltinOperator.CUSTOM, code=NAME)
    op.inputs = [*(given[name] for name in INPUTS), anchors]
    op.outputs = list(outputs)
    op.customOptions = list(_options(detector, classes))
    op.customOptionsFormat = schema.CustomOptionsFormat.FLEXBUFFERS
    outputs[0] = _within_image(model, graph, outputs[0], detector.total)
    graph.outputs = outputs
    signature.outputs = [
        model_tables.named(name, index)
        for name, index in zip(OUTPUTS, outputs, strict=True)
    ]
    return model_tables.packed(model)


def tail(file: flatbuffer.File) -> list[flatbuffer.Op]:
    """The op and those that it feeds; empty where a file does not have it."""
    found: list[flatbuffer.Op] = []
    made: set[tuple[int, int]] = set()
    for op in file.ops:
        fed = any((op.graph, tensor.index) in made for tensor in op.inputs)
        if fed or (op.name == NAME and op.custom):
            found.append(op)
            made |= {(op.graph, tensor.index) for tensor in op.outputs}
    return found


def _require_inputs(given: dict[str, int], graph: Any, anchors: int) -> int:
    """The number of classes that the scores are of."""
    if set(given) != set(INPUTS):
        raise ValueError(f"the outputs are {sorted(given)}, want {sorted(INPUTS)}")
    tensors = [graph.tensors[given[name]] for name in INPUTS]
    for name, tensor in zip(INPUTS, tensors, strict=True):
        shape = [int(size) for size in tensor.shape]
        if tensor.type != schema.TensorType.FLOAT32:
            raise ValueError(f"{name} is of type {tensor.type}, want float32")
        if len(shape) != 3 or shape[:2] != [1, anchors]:
            raise ValueError(f"{name} is {shape}, want [1, {anchors} anchors, ...]")
    return int(tensors[1].shape[2])


def _options(detector: detector_lib.Detector, classes: int) -> bytes:
    y_scale, x_scale, h_scale, w_scale = map(float, detector.scales)
    options = {
        "max_detections": detector.total,
        "max_classes_per_detection": 1,
        "detections_per_class": detector.per_class,
        "use_regular_nms": True,  # class by class; the other way is an approximation
        "nms_score_threshold": float(detector.file_score_threshold),
        "nms_iou_threshold": float(detector.iou_threshold),
        "num_classes": classes,
        "y_scale": y_scale,
        "x_scale": x_scale,
        "h_scale": h_scale,
        "w_scale": w_scale,
    }
    return bytes(flexbuffers.Dumps(options))


def _outputs(detector: detector_lib.Detector) -> list[tuple[str, list[int]]]:
    most = detector.total
    shapes = ([1, most, 4], [1, most], [1, most], [1])
    return [
        (f"{NAME}:{number}" if number else NAME, shape)
        for number, shape in enumerate(shapes)
    ]


def _within_image(model: Any, graph: Any, boxes: int, count: int) -> int:
    """Ops that every runtime knows, instead of one of a later version."""
    for name, kind, bound in (
        ("boxes_from_0", schema.BuiltinOperator.MAXIMUM, 0.0),
        ("boxes_to_1", schema.BuiltinOperator.MINIMUM, 1.0),
    ):
        op = _op(model, kind)
        limit = _constant(model, graph, f"{name}_bound", np.array([bound]))
        op.inputs = [boxes, limit]
        op.builtinOptionsType = schema.BuiltinOptions.MaximumMinimumOptions
        op.builtinOptions = schema.MaximumMinimumOptionsT()
        boxes = _added(graph, name, [1, count, 4])
        op.outputs = [boxes]
    return boxes


def _op(model: Any, kind: int, *, code: str | None = None) -> Any:
    """A new op at the end of the graph."""
    known = schema.OperatorCodeT()
    known.builtinCode = known.deprecatedBuiltinCode = kind
    known.customCode = code
    known.version = _VERSION
    model.operatorCodes.append(known)
    op = schema.OperatorT()
    op.opcodeIndex = len(model.operatorCodes) - 1
    model.subgraphs[0].operators.append(op)
    return op


def _constant(model: Any, graph: Any, name: str, values: np.ndarray) -> int:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.astype("<f4").tobytes(), np.uint8)
    model.buffers.append(buffer)
    index = _added(graph, name, list(values.shape))
    graph.tensors[index].buffer = len(model.buffers) - 1
    return index


def _added(graph: Any, name: str, shape: list[int]) -> int:
    """A float32 tensor without values."""
    tensor = schema.TensorT()
    tensor.name = name
    tensor.shape = shape
    tensor.type = schema.TensorType.FLOAT32
    tensor.buffer = 0  # by the schema an empty one
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1
