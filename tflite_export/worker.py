"""The child process in which the TensorFlow converter runs.

`python -m tflite_export.worker FOLDER` turns `FOLDER/saved_model` into
`FOLDER/model.tflite` as `FOLDER/request.json` says. Whatever the converter raises goes
to `FOLDER/failure.txt`.
"""

import json
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


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
    if precision == "int8":
        # With the ranges in the graph, the int8 set of ops would want examples, too.
        if request["calibrated"]:
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.representative_dataset = lambda: _examples(folder, request)
            _average_ranges(lambda: _examples(folder, request))
        converter.inference_input_type = tf.as_dtype(request["input_type"])
        converter.inference_output_type = tf.as_dtype(request["output_type"])
    return converter.convert()


def _average_ranges(examples: Callable[[], Iterator[dict[str, np.ndarray]]]) -> None:
    """Puts `ranges.average` between the converter's calibration and its quantization.

    The converter has no setting for it; this process serves one conversion only.
    """
    from tensorflow.lite.python.optimize import calibrator

    from tflite_export import ranges

    record = calibrator.Calibrator.calibrate

    def calibrate(self: Any, generator: Any) -> bytes:
        images = (example["images"] for example in examples())
        return ranges.average(bytes(record(self, generator)), images)

    calibrator.Calibrator.calibrate = calibrate


def _examples(
    folder: pathlib.Path, request: dict[str, Any]
) -> Iterator[dict[str, np.ndarray]]:
    for image in np.load(folder / "calibration.npy", mmap_mode="r"):
        pixels = image[None].astype(np.float32)
        yield {"images": pixels * np.float32(request["scale"]) + request["offset"]}


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
