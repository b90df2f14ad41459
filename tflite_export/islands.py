"""The child process that quantizes a calibrated file, but for some of its layers.

`python -m tflite_export.islands FOLDER` turns `FOLDER/calibrated.tflite` into
`FOLDER/model.tflite` as `FOLDER/request.json` says; where that asks for "measure", the
noise of each layer goes to `FOLDER/noise.json` instead. Whatever is raised goes to
`FOLDER/failure.txt`.

The quantizer is the one that TensorFlow's converter runs after its calibration. It is
given the outputs of ops to be left alone, puts QUANTIZE and DEQUANTIZE around them, and
quantizes all others exactly as in an int8 file.
"""

import json
import pathlib
import sys
from collections.abc import Collection
from typing import Any

import numpy as np

from tflite_export import flatbuffer

_CALIBRATED = "calibrated.tflite"


def main(folder: pathlib.Path) -> int:
    """Quantizes or measures; returns the exit status."""
    request = json.loads((folder / "request.json").read_text())
    calibrated = (folder / _CALIBRATED).read_bytes()
    try:
        if request.get("measure"):
            noise = measure(calibrated, _inputs(folder, request))
            (folder / "noise.json").write_text(json.dumps(noise))
            content = b"measured"
        else:
            content = quantize(
                calibrated,
                request["float_layers"],
                input_type=request["input_type"],
                output_type=request["output_type"],
            )
    except Exception as error:  # whatever it is, the parent reports it in one line
        text = str(error) or type(error).__name__
        (folder / "failure.txt").write_text(text)
        return 1
    (folder / "model.tflite").write_bytes(content)
    return 0


def quantize(
    calibrated: bytes,
    float_layers: Collection[str],
    *,
    input_type: str,
    output_type: str,
) -> bytes:
    """A file of 8 bits but for some layers.

    Raises:
        ValueError: If a layer makes no op.
    """
    import tensorflow as tf
    from tensorflow.lite.python import convert

    ops = flatbuffer.parse(calibrated, pathlib.Path(_CALIBRATED)).ops
    unknown = set(float_layers) - {op.layer for op in ops}
    if unknown:
        raise ValueError(f"no op comes from the layer {sorted(unknown)[0]!r}")
    left = [t.name for op in ops if op.layer in float_layers for t in op.outputs]
    return bytes(
        convert.mlir_quantize(
            calibrated,
            input_data_type=tf.as_dtype(input_type),
            output_data_type=tf.as_dtype(output_type),
            denylisted_nodes=left,
        )
    )


def measure(calibrated: bytes, images: np.ndarray) -> dict[str, float]:
    """By layer, the noise at the outputs when this layer alone is quantized.

    The noise is its power as a share of the signal's, in the mean over the outputs; of
    class ids, the share that changed.

    Args:
        images: `[N, 1, H, W, 3]`, as the file takes them.
    """
    ops = flatbuffer.parse(calibrated, pathlib.Path(_CALIBRATED)).ops
    layers = dict.fromkeys(op.layer for op in ops)
    expected = _outputs(calibrated, images)
    noise = {}
    for layer in filter(None, layers):
        alone = quantize(
            calibrated,
            [other for other in layers if other != layer],
            input_type="float32",
            output_type="float32",
        )
        noise[layer] = _noise(expected, _outputs(alone, images))
    return noise


def _outputs(content: bytes, images: np.ndarray) -> list[np.ndarray]:
    """`[N, ...]` for each output, in the order of the file."""
    from ai_edge_litert import interpreter

    loaded = interpreter.Interpreter(model_content=content, num_threads=1)
    loaded.allocate_tensors()
    (given,) = loaded.get_input_details()
    details = sorted(loaded.get_output_details(), key=lambda detail: detail["name"])
    rows = []
    for image in images:
        loaded.set_tensor(given["index"], image)
        loaded.invoke()
        rows.append([loaded.get_tensor(detail["index"]) for detail in details])
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _noise(expected: list[np.ndarray], found: list[np.ndarray]) -> float:
    shares = []
    for ours, theirs in zip(found, expected, strict=True):
        if np.issubdtype(theirs.dtype, np.integer):
            shares.append(np.mean(ours != theirs))
        else:
            power = np.sum(np.square(theirs, dtype=np.float64)) or 1.0
            shares.append(np.sum(np.square(ours - theirs, dtype=np.float64)) / power)
    return float(np.mean(shares))


def _inputs(folder: pathlib.Path, request: dict[str, Any]) -> np.ndarray:
    pixels = np.load(folder / "calibration.npy").astype(np.float32)[:, None]
    return pixels * np.float32(request["scale"]) + np.float32(request["offset"])


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
