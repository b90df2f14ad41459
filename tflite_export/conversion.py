"""From a Keras graph to the bytes of a .tflite file."""

import dataclasses
import functools
import json
import math
import pathlib
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
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
    float_layers: Sequence[str] = (),
) -> bytes:
    """Converts in a child process.

    The converter leaks about 22 MB a call (TensorFlow issue 122598), prints a lot, and
    can end the process that it runs in.

    Args:
        graph: From `inference.build` for the same spec and precision.
        calibration: uint8 `[N, H, W, 3]`, for the precisions of `export_spec.INTEGER`;
            see `calibration.collect`. A network that was trained quantization-aware
            has its ranges for "int8" already.
        float_layers: Layers that a "mixed" file has in float.

    Raises:
        RunError: If the converter fails; one line of what it said.
    """
    if precision == "mixed":
        calibrated = calibrate(graph, spec=spec, calibration=calibration)
        return quantize(calibrated, graph, spec=spec, float_layers=float_layers)
    content = _converted(graph, precision, spec=spec, calibration=calibration)
    if precision == "int8" and spec.input_type != "float32":
        _verify_input(content, graph)
    return content


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibrated:
    """Float files whose activations carry their ranges, of the same ops.

    Attributes:
        prepared: Its kernels are prepared to be rounded; see `rounding`.
        plain: Its kernels are the network's.
    """

    prepared: bytes
    plain: bytes


def calibrate(
    graph: "inference.Graph",
    *,
    spec: export_spec.Export,
    calibration: np.ndarray | None,
) -> Calibrated:
    """What `quantize` and `noise` start from.

    Args:
        graph: From `inference.build` for the same spec and "mixed".
        calibration: As for `convert`.

    Raises:
        RunError: If the converter fails.
    """
    made = functools.partial(
        _converted, graph, "mixed", spec=spec, calibration=calibration
    )
    return Calibrated(prepared=made(), plain=made(prepare=False))


def quantize(
    calibrated: Calibrated,
    graph: "inference.Graph",
    *,
    spec: export_spec.Export,
    float_layers: Sequence[str],
) -> bytes:
    """A file of 8 bits but for some layers; takes a tenth of the time of `convert`.

    Args:
        calibrated: From `calibrate`.
        graph: What that was made from.
        float_layers: As `flatbuffer.Op.layer` has them.

    Raises:
        RunError: If the quantizer fails, or a layer is not there.
    """
    request = {
        "input_type": spec.input_type,
        "output_type": _output_type(spec, "mixed"),
        "float_layers": list(float_layers),
    }
    with tempfile.TemporaryDirectory(prefix="tflite_export_") as name:
        folder = pathlib.Path(name)
        (folder / "calibrated.tflite").write_bytes(calibrated.prepared)
        (folder / "plain.tflite").write_bytes(calibrated.plain)
        (folder / "request.json").write_text(json.dumps(request))
        content = _run(folder, "mixed", module="islands")
    if spec.input_type != "float32":
        _verify_input(content, graph)
    return content


def noise(
    calibrated: Calibrated, graph: "inference.Graph", pixels: np.ndarray
) -> dict[str, float]:
    """By layer, the noise at the outputs when it alone is quantized.

    Args:
        calibrated: From `calibrate`.
        graph: What that was made from.
        pixels: uint8 `[N, H, W, 3]`.

    Returns:
        See `islands.measure`.

    Raises:
        RunError: If the child process fails.
    """
    request = {"measure": True, "scale": graph.scale, "offset": graph.offset}
    with tempfile.TemporaryDirectory(prefix="tflite_export_") as name:
        folder = pathlib.Path(name)
        (folder / "calibrated.tflite").write_bytes(calibrated.prepared)
        (folder / "plain.tflite").write_bytes(calibrated.plain)
        np.save(folder / "calibration.npy", pixels)
        (folder / "request.json").write_text(json.dumps(request))
        _run(folder, "mixed", module="islands")
        return json.loads((folder / "noise.json").read_text())


def _converted(
    graph: "inference.Graph",
    precision: str,
    *,
    spec: export_spec.Export,
    calibration: np.ndarray | None,
    prepare: bool = True,
) -> bytes:
    # Not before: Keras brings TensorFlow, which --help should not wait for.
    from official.quantization import rewrite
    from tflite_export import rounding

    with tempfile.TemporaryDirectory(prefix="tflite_export_") as name:
        folder = pathlib.Path(name)
        model = graph.model
        trained = rewrite.is_quantized(model)
        calibrated = precision in export_spec.INTEGER
        if trained and precision == "int8":
            calibrated = False  # the ranges are in the graph
        elif trained:
            # The converter finds the ranges of 16-bit activations itself alone.
            model = rewrite.without_ranges(model, rounded=True)
        if calibrated:
            if calibration is None:
                raise ValueError(f"an {precision} file needs calibration images")
            np.save(folder / "calibration.npy", calibration)
            if prepare and not trained:
                model = rounding.prepared(model, _inputs(graph, calibration))
        _save(model, folder / "saved_model")
        request = {
            "precision": precision,
            "input_type": _input_type(spec, precision),
            "output_type": _output_type(spec, precision),
            "calibrated": calibrated,
            "calibration": spec.calibration,
            "scale": graph.scale,
            "offset": graph.offset,
        }
        (folder / "request.json").write_text(json.dumps(request))
        return _run(folder, precision, module="worker")


def _input_type(spec: export_spec.Export, precision: str) -> str:
    integer = spec.input_type != "float32"
    return "int16" if precision == "int16x8" and integer else spec.input_type


def _output_type(spec: export_spec.Export, precision: str) -> str:
    # Class ids are int32 in any case; the converter wants to be told nothing of them.
    # What makes detections of boxes and scores takes floats.
    typed = spec.output not in ("class_ids", "detections")
    if not typed or spec.output_type == "float32":
        return "float32"
    return "int16" if precision == "int16x8" else spec.output_type


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


def _run(folder: pathlib.Path, precision: str, *, module: str) -> bytes:
    ended = child.run(module, str(folder))
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
