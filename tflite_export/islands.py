"""The child process that quantizes a calibrated file, but for some of its layers.

`python -m tflite_export.islands FOLDER` turns `FOLDER/calibrated.tflite` into
`FOLDER/model.tflite` as `FOLDER/request.json` says; where that asks for "measure", the
noise of each layer goes to `FOLDER/noise.json` instead. Whatever is raised goes to
`FOLDER/failure.txt`.

The quantizer is the one that TensorFlow's converter runs after its calibration. It is
given the outputs of ops to be left alone, puts QUANTIZE and DEQUANTIZE around them, and
quantizes all others exactly as in an int8 file.

The kernels of `calibrated.tflite` are prepared for 8 bits (see `rounding`), which in a
float layer is an error of its own: those left alone get the constants of
`FOLDER/plain.tflite`, the same file made without that.
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
    plain = (folder / "plain.tflite").read_bytes()
    try:
        if request.get("measure"):
            noise = measure(calibrated, plain, _inputs(folder, request))
            (folder / "noise.json").write_text(json.dumps(noise))
            content = b"measured"
        else:
            content = quantize(
                calibrated,
                plain,
                float_layers=request["float_layers"],
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
    plain: bytes,
    *,
    float_layers: Collection[str],
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
            _with_constants(calibrated, plain, float_layers),
            input_data_type=tf.as_dtype(input_type),
            output_data_type=tf.as_dtype(output_type),
            denylisted_nodes=left,
        )
    )


def _with_constants(calibrated: bytes, plain: bytes, layers: Collection[str]) -> bytes:
    """The calibrated file with the constants that some layers have in the plain one.

    Raises:
        ValueError: If the files have different ops.
    """
    if not layers:
        return calibrated
    from tensorflow.lite.tools import flatbuffer_utils

    ops = flatbuffer.parse(calibrated, pathlib.Path(_CALIBRATED)).ops
    names = [op.name for op in flatbuffer.parse(plain, pathlib.Path("plain")).ops]
    if names != [op.name for op in ops]:
        raise ValueError("kernels prepared for 8 bits made a graph of other ops")
    changed = flatbuffer_utils.convert_bytearray_to_object(calibrated)
    source = flatbuffer_utils.convert_bytearray_to_object(plain)
    ours, theirs = changed.subgraphs[0], source.subgraphs[0]
    for op, own, other in zip(ops, ours.operators, theirs.operators, strict=True):
        if op.layer not in layers:
            continue
        for index, place in zip(own.inputs, other.inputs, strict=True):
            buffer = source.buffers[theirs.tensors[place].buffer]
            if index >= 0 and buffer.data is not None and len(buffer.data):
                changed.buffers.append(buffer)
                ours.tensors[index].buffer = len(changed.buffers) - 1
    return bytes(flatbuffer_utils.convert_object_to_bytearray(changed))


def measure(calibrated: bytes, plain: bytes, images: np.ndarray) -> dict[str, float]:
    """By layer, the noise at the outputs when this layer alone is quantized.

    The noise is its power as a share of the signal's, in the mean over the outputs; of
    class ids, the share that changed.

    Args:
        images: `[N, 1, H, W, 3]`, as the file takes them.
    """
    ops = flatbuffer.parse(calibrated, pathlib.Path(_CALIBRATED)).ops
    layers = dict.fromkeys(op.layer for op in ops)
    expected = _outputs(plain, images)
    noise = {}
    for layer in filter(None, layers):
        alone = quantize(
            calibrated,
            plain,
            float_layers=[other for other in layers if other != layer],
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
