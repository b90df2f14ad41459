"""The child process in which the TensorFlow converter runs.

`python -m tflite_export.worker FOLDER` turns `FOLDER/saved_model` into
`FOLDER/model.tflite` as `FOLDER/request.json` says. Whatever the converter raises goes
to `FOLDER/failure.txt`.
"""

import json
import pathlib
import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from official import export_spec
from tflite_export import flatbuffer


def main(folder: pathlib.Path) -> int:
    """Converts; returns the exit status."""
    request = json.loads((folder / "request.json").read_text())
    try:
        content = _convert(folder, request)
    except Exception as error:  # whatever it is, the parent reports it in one line
        text = str(error) or type(error).__name__
        (folder / "failure.txt").write_text(text)
        return 1
    (folder / "model.tflite").write_bytes(content)
    return 0


def _convert(folder: pathlib.Path, request: dict[str, Any]) -> bytes:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved_model"))
    precision = request["precision"]
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    # With the ranges in the graph, the int8 set of ops would want examples, too.
    calibrated = precision in export_spec.INTEGER and request["calibrated"]
    if calibrated:
        converter.representative_dataset = lambda: _examples(folder, request)
    if precision in export_spec.INTEGER:
        converter.inference_input_type = tf.as_dtype(request["input_type"])
        converter.inference_output_type = tf.as_dtype(request["output_type"])
    if precision == "int8" and calibrated:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        _record_ranges(folder, request)
    if precision == "mixed":
        # It is quantised afterwards, by `islands`.
        converter._experimental_calibrate_only = True
        _record_ranges(folder, request)
    if precision == "int16x8":
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
        return _of_int16(converter)
    return converter.convert()


def _record_ranges(folder: pathlib.Path, request: dict[str, Any]) -> None:
    """Puts `ranges.recorded` between the converter's calibration and its quantization.

    The converter has no setting for it; this process serves one conversion only.
    """
    from tensorflow.lite.python.optimize import calibrator

    from tflite_export import ranges

    record = calibrator.Calibrator.calibrate

    def calibrate(self: Any, generator: Any) -> bytes:
        images = (example["images"] for example in _examples(folder, request))
        return ranges.recorded(
            bytes(record(self, generator)), images, calibration=request["calibration"]
        )

    calibrator.Calibrator.calibrate = calibrate


def _of_int16(converter: Any) -> bytes:
    """Converts; an op without a kernel for 16 bits is named with its layer.

    Raises:
        ValueError: If there is one: some the quantizer knows, others only LiteRT.
    """
    from tensorflow.lite.python.optimize import calibrator

    given: list[bytes] = []
    quantize = calibrator.Calibrator.calibrate_and_quantize

    def keep(self: Any, *arguments: Any, **named: Any) -> bytes:
        given.append(bytes(self._model_content))
        return quantize(self, *arguments, **named)

    calibrator.Calibrator.calibrate_and_quantize = keep
    try:
        content = bytes(converter.convert())
    except RuntimeError as error:
        refused = re.search(r"not yet supported for op: '(\w+)'", str(error))
        if not refused or not given:
            raise
        ops = flatbuffer.parse(given[0], pathlib.Path("model.tflite")).ops
        layers = [op.layer for op in ops if op.name == refused[1]]
        raise ValueError(_no_int16(refused[1], layers)) from error
    _require_kernels(content)
    return content


def _require_kernels(content: bytes) -> None:
    from ai_edge_litert import interpreter

    loaded = interpreter.Interpreter(model_content=content)
    try:
        loaded.allocate_tensors()
    except RuntimeError as error:
        node = re.search(r"Node number (\d+) \((\w+)\) failed to prepare", str(error))
        if not node:
            raise
        ops = flatbuffer.parse(content, pathlib.Path("model.tflite")).ops
        raise ValueError(_no_int16(node[2], [ops[int(node[1])].layer])) from error


def _no_int16(op: str, layers: list[str]) -> str:
    named = [layer for layer in dict.fromkeys(layers) if layer]
    of = f" of layer {named[0]!r}" if named else ""
    return (
        f"the op {op}{of} has no TFLite kernel with 16-bit activations; build it of "
        "other ops, or export to int8 or mixed"
    )


def _examples(
    folder: pathlib.Path, request: dict[str, Any]
) -> Iterator[dict[str, np.ndarray]]:
    for image in np.load(folder / "calibration.npy", mmap_mode="r"):
        pixels = image[None].astype(np.float32)
        yield {"images": pixels * np.float32(request["scale"]) + request["offset"]}


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
