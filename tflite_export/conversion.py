"""From a Keras graph to the bytes of a .tflite file."""

import json
import math
import pathlib
import re
import subprocess
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from official import export_spec, failures
from tflite_export import child, flatbuffer

if TYPE_CHECKING:
    import keras

    from tflite_export import inference

_MOMENT_IMAGES = 32


def convert(
    graph: "inference.Graph",
    precision: str,
    *,
    spec: export_spec.Export,
    calibration: np.ndarray | None = None,
) -> bytes:
    """Converts in a child process.

    The converter leaks about 22 MB a call (TensorFlow issue 122598), prints a lot, and
    can end the process that it runs in.

    Args:
        graph: From `inference.build` for the same spec and precision.
        calibration: uint8 `[N, H, W, 3]`, for "int8"; see `calibration.collect`. A
            network that was trained quantization-aware has its ranges already.

    Raises:
        RunError: If the converter fails; one line of what it said.
    """
    # Not before: Keras brings TensorFlow, which --help should not wait for.
    from official.quantization import rewrite

    with tempfile.TemporaryDirectory(prefix="tflite_export_") as name:
        folder = pathlib.Path(name)
        model = graph.model
        trained = rewrite.is_quantized(model)
        if precision == "int8" and not trained:
            if calibration is None:
                raise ValueError("an int8 file needs calibration images")
            from tflite_export import rounding

            np.save(folder / "calibration.npy", calibration)
            model = rounding.prepared(model, _inputs(graph, calibration))
        _save(model, folder / "saved_model")
        request = {
            "precision": precision,
            "input_type": spec.input_type,
            "output_type": _output_type(spec),
            "scale": graph.scale,
            "offset": graph.offset,
            "calibrated": precision == "int8" and not trained,
        }
        (folder / "request.json").write_text(json.dumps(request))
        content = _run(folder, precision)
    if precision == "int8" and spec.input_type != "float32":
        _verify_input(content, graph)
    return content


def _output_type(spec: export_spec.Export) -> str:
    # Class ids are int32 in any case; the converter wants to be told nothing of them.
    return "float32" if spec.output == "class_ids" else spec.output_type


def _inputs(graph: "inference.Graph", pixels: np.ndarray) -> Iterator[np.ndarray]:
    """Some calibration images as the graph takes them; enough for means."""
    dtype = graph.model.input.dtype
    for image in pixels[:_MOMENT_IMAGES]:
        given = image[None].astype(np.float32) * graph.scale + graph.offset
        yield given.astype(dtype)


def _save(model: "keras.Model", folder: pathlib.Path) -> None:
    import tensorflow as tf

    images = model.input
    signature = tf.TensorSpec(images.shape, images.dtype, name="images")

    @tf.function(input_signature=[signature], autograph=False)
    def serve(images):
        return model(images, training=False)

    # Tracked are the variables, not the model: with the functions that Keras adds
    # for training they would count as mutable and stay variables in the file.
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})


def _run(folder: pathlib.Path, precision: str) -> bytes:
    ended = child.run("worker", str(folder))
    file = folder / "model.tflite"
    if ended.returncode == 0 and file.exists():
        return file.read_bytes()
    error = failures.RunError(
        f"conversion to {precision} failed: {_reason(folder, ended)}"
    )
    tail = "\n".join((ended.stdout + ended.stderr).splitlines()[-20:])
    error.add_note(f"The converter's last lines:\n{tail}")
    raise error


def _reason(folder: pathlib.Path, ended: subprocess.CompletedProcess[str]) -> str:
    """One line: the op and its layer, or else what the converter says last."""
    failure = folder / "failure.txt"
    text = failure.read_text() if failure.exists() else ""
    if not text.strip():
        return f"the converter ended with {child.ending(ended.returncode)}"
    missing = re.search(r"'tf\.(\w+)' op is neither a custom op nor a flex op", text)
    if missing:
        name = re.search(rf'"([^"@]+)@[^"]*"[^\n]*{re.escape(missing[0])}', text)
        layer = flatbuffer.layer(name[1]) if name else ""
        of = f" of layer {layer!r}" if layer else ""
        return f"the op {missing[1]}{of} has no TFLite kernel; build it of other ops"
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    line = next((line for line in lines if "error:" in line), lines[-1])
    return line.rpartition("error: ")[2][:300]


def _verify_input(content: bytes, graph: "inference.Graph") -> None:
    """The input's quantisation parameters must be the normalisation.

    Raises:
        RunError: If they are not.
    """
    (tensor,) = flatbuffer.parse(content, pathlib.Path("model.tflite")).inputs.values()
    shift = 128 if tensor.dtype == "INT8" else 0
    exact = -graph.offset / graph.scale - shift
    if (
        len(tensor.scales) != 1
        or not math.isclose(tensor.scales[0], graph.scale, rel_tol=1e-5)
        or abs(tensor.zero_points[0] - exact) > 0.5
    ):
        raise failures.RunError(
            f"the input of the int8 file has scale {tensor.scales} and zero point "
            f"{tensor.zero_points}, want {graph.scale:.8f} and {exact:g} to within a "
            "half: pixels would be read wrongly"
        )
