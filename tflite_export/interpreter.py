"""Running a .tflite file with LiteRT."""

import math
import pathlib
from typing import Any

import numpy as np

from official import export_spec, failures
from tflite_export import calibration, detection_op, flatbuffer, quiet

# An image of 8192x8192; more than that is a mistake, or meant to fill the memory.
_MOST_INPUT_VALUES = 3 * 2**26


def load(path: pathlib.Path | str, *, threads: int = 1) -> Any:
    """A LiteRT interpreter with its tensors allocated.

    Raises:
        RequestError: If LiteRT cannot run the file.
    """
    from ai_edge_litert import interpreter

    try:
        with quiet.stderr():  # it tells of its delegates
            loaded = interpreter.Interpreter(str(path), num_threads=threads)
            loaded.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise cannot_run(path, error) from error
    return loaded


def cannot_run(path: pathlib.Path | str, error: Exception) -> failures.RequestError:
    """What LiteRT says, in one line."""
    line = flatbuffer.printable(" ".join(str(error).split()))[:200]
    return failures.RequestError(f"{path}: LiteRT cannot run it: {line}")


def fill(loaded: Any, *, seed: int = 0) -> None:
    """Sets every input to random values: all integers, floats in 0..255.

    Raises:
        RequestError: If an input holds something else than numbers, or far too many.
    """
    random = np.random.default_rng(seed)
    for detail in loaded.get_input_details():
        shape, dtype = detail["shape"].tolist(), np.dtype(detail["dtype"])
        if dtype.kind not in "biuf" or math.prod(shape) > _MOST_INPUT_VALUES:
            raise failures.RequestError(
                f"input {flatbuffer.printable(detail['name'])!r} takes {dtype.name} "
                f"{shape}: no numbers, or too many of them, to try it with"
            )
        values = random.uniform(0, 255, detail["shape"])
        if detail["dtype"] == np.int8:
            values -= 128
        if detail["dtype"] == np.int16:
            values = 257 * values - 32768
        loaded.set_tensor(detail["index"], values.astype(detail["dtype"]))


class Runner:
    """Runs a file on images; a predictor as `official.tasks.evaluation` wants it.

    The file must take one image `[1, H, W, 3]` and be trusted: see `probe`.

    `image_size` is the height and width that it takes; `outputs` are its outputs by
    what they are: "logits", "scores" or "class_ids" where that can be told, the
    `detection_op.OUTPUTS` of a detector; `shapes` are theirs once the file is loaded.

    Args:
        path: The file.
        threads: Of the CPU.

    Raises:
        RequestError: If the file cannot be run, or takes something else.
    """

    def __init__(self, path: pathlib.Path | str, *, threads: int = 1):
        self.file = flatbuffer.read(path)
        self._interpreter = load(path, threads=threads)
        details = self._interpreter.get_input_details()
        if reason := _no_image(details):
            raise failures.RequestError(f"{path}: {reason}")
        self._input = details[0]
        height, width = self._input["shape"][1:3].tolist()
        self.image_size: tuple[int, int] = (height, width)
        self.outputs = _named_outputs(self.file)
        self._details = {
            name: self._detail(tensor) for name, tensor in self.outputs.items()
        }

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            name: _without_channel(name, tuple(detail["shape"].tolist()))
            for name, detail in self._details.items()
        }

    def _detail(self, tensor: flatbuffer.Tensor) -> Any:
        for detail in self._interpreter.get_output_details():
            if detail["index"] == tensor.index:
                return detail
        raise failures.RequestError(
            f"{self.file.path}: its signature names the output {tensor.name!r}, which "
            "its graph does not give; export or download it again"
        )

    @property
    def input_dtype(self) -> np.dtype:
        return np.dtype(self._input["dtype"])

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs by name: reals as float32, class ids as they are.

        Args:
            images: `[B, H, W, 3]`, pixels 0..255. A file with 8-bit input is fed them
                rounded, one with int8 input less 128, one with int16 input rounded and
                divided by the input's scale, one with float input as is.

        Raises:
            RequestError: If the images have another size than the file's.
        """
        if tuple(images.shape[1:3]) != self.image_size:
            raise failures.RequestError(
                f"{self.file.path}: takes images of {self.image_size}, not "
                f"{tuple(images.shape[1:3])} (height, width): is this the experiment "
                "that it was exported from?"
            )
        rows = [self._run(image) for image in images]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    def _run(self, image: np.ndarray) -> dict[str, np.ndarray]:
        value = stored(image, self._input)
        self._interpreter.set_tensor(self._input["index"], value[None])
        self._interpreter.invoke()
        outputs = {}
        for name, detail in self._details.items():
            values = _real(self._interpreter.get_tensor(detail["index"]), detail)
            outputs[name] = values.reshape(_without_channel(name, values.shape))
        return outputs


def stored(image: np.ndarray, detail: Any) -> np.ndarray:
    """An image, pixels 0..255, as a file takes it; `detail` is of its input."""
    dtype = detail["dtype"]
    if dtype == np.int16:
        scale, zero_point = detail["quantization"]
        pixels = calibration.to_uint8(image).astype(np.float32)
        steps = np.rint(pixels / np.float32(scale)) + zero_point
        return steps.clip(-32768, 32767).astype(np.int16)
    if dtype == np.uint8:
        return calibration.to_uint8(image)
    if dtype == np.int8:
        return (calibration.to_uint8(image).astype(np.int16) - 128).astype(np.int8)
    return image.astype(dtype)


def _without_channel(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of a class map `[1, H, W, 1]`, which is one as `[1, H, W]` is."""
    alone = name == "class_ids" and len(shape) == 4 and shape[3] == 1
    return shape[:3] if alone else shape


def _real(values: np.ndarray, detail: Any) -> np.ndarray:
    scale, zero_point = detail["quantization"]
    if values.dtype in (np.int8, np.uint8, np.int16) and scale:
        return (values.astype(np.float32) - zero_point) * np.float32(scale)
    return values


def _no_image(details: list[Any]) -> str | None:
    """Why inputs are not one color image of a given size, or None."""
    if len(details) != 1:
        shapes = [detail["shape"].tolist() for detail in details]
        return f"has {len(details)} inputs {shapes}, want one image [1, H, W, 3]"
    (detail,) = details
    shape, signature = detail["shape"].tolist(), detail["shape_signature"].tolist()
    dtype = np.dtype(detail["dtype"])
    if len(shape) == 4 and shape[3] == 1:
        return f"takes grayscale images {shape}, want color ones [1, H, W, 3]"
    if len(shape) != 4 or shape[0] != 1 or shape[3] != 3:
        return f"takes {shape}, want one image [1, H, W, 3]"
    if -1 in signature[1:3]:
        return (
            f"takes images of any size {signature}; export it with a fixed height and "
            "width"
        )
    if dtype not in (np.uint8, np.int8, np.int16, np.float32):
        return f"takes images of {dtype.name}, want uint8, int8, int16 or float32"
    return None


def _named_outputs(file: flatbuffer.File) -> dict[str, flatbuffer.Tensor]:
    """Files of others have no such names; their last ops and types tell."""
    # The first graph is the one that runs, and its ops come first.
    makers = {output.index: op for op in reversed(file.ops) for output in op.outputs}
    last = [makers.get(tensor.index) for tensor in file.outputs.values()]
    op = last[0] if last else None
    if op and op.name == detection_op.NAME and len(op.outputs) == last.count(op) == 4:
        return dict(zip(detection_op.OUTPUTS, op.outputs, strict=True))
    if len(file.outputs) != 1 or set(file.outputs) & set(export_spec.OUTPUTS):
        return file.outputs
    (tensor,) = file.outputs.values()
    seen = 0
    while (
        op and op.name in flatbuffer.SAME_VALUES and op.inputs and seen < len(file.ops)
    ):
        op, seen = makers.get(op.inputs[0].index), seen + 1
    counts = tensor.dtype in ("INT32", "INT64", *flatbuffer.INTEGER_8)
    if (counts and not tensor.scales) or (op and op.name == "ARG_MAX"):
        return {"class_ids": tensor}
    scores = op is not None and op.name in ("SOFTMAX", "LOGISTIC")
    return {"scores" if scores else "logits": tensor}
