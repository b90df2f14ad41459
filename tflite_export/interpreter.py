"""Running a .tflite file with LiteRT."""

import pathlib
from typing import Any

import numpy as np

from official import export_spec, failures
from tflite_export import calibration, flatbuffer, quiet

# Ops whose output means what their input means.
_SAME_VALUES = ("QUANTIZE", "DEQUANTIZE", "RESHAPE")


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
        line = " ".join(str(error).split())[:200]
        raise failures.RequestError(f"{path}: LiteRT cannot run it: {line}") from error
    return loaded


def fill(loaded: Any, *, seed: int = 0) -> None:
    """Sets every input to random values: all integers, floats in 0..255."""
    random = np.random.default_rng(seed)
    for detail in loaded.get_input_details():
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
    what they are: "logits", "scores" or "class_ids" where that can be told.

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
        shape = tuple(details[0]["shape"]) if len(details) == 1 else ()
        if len(shape) != 4 or shape[0] != 1 or shape[3] != 3:
            shapes = [tuple(map(int, detail["shape"])) for detail in details]
            raise failures.RequestError(
                f"{path}: takes {shapes}, want one image [1, H, W, 3]"
            )
        self.image_size: tuple[int, int] = (int(shape[1]), int(shape[2]))
        self._input = details[0]
        self.outputs = _named_outputs(self.file)
        self._details = {
            name: _detail(self._interpreter, tensor.index)
            for name, tensor in self.outputs.items()
        }

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
        return {
            name: _real(self._interpreter.get_tensor(detail["index"]), detail)
            for name, detail in self._details.items()
        }


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


def _real(values: np.ndarray, detail: Any) -> np.ndarray:
    scale, zero_point = detail["quantization"]
    if values.dtype in (np.int8, np.uint8, np.int16) and scale:
        return (values.astype(np.float32) - zero_point) * np.float32(scale)
    return values


def _detail(loaded: Any, index: int) -> Any:
    details = loaded.get_output_details()
    return next(detail for detail in details if detail["index"] == index)


def _named_outputs(file: flatbuffer.File) -> dict[str, flatbuffer.Tensor]:
    """Files of others have no such names: a lone output tells what it is."""
    if len(file.outputs) != 1 or set(file.outputs) & set(export_spec.OUTPUTS):
        return file.outputs
    (tensor,) = file.outputs.values()
    if tensor.dtype in ("INT32", "INT64"):
        return {"class_ids": tensor}
    makers = {output.index: op for op in file.ops for output in op.outputs}
    op, seen = makers.get(tensor.index), 0
    while op and op.name in _SAME_VALUES and seen < len(file.ops):
        op, seen = makers.get(op.inputs[0].index), seen + 1
    scores = op is not None and op.name in ("SOFTMAX", "LOGISTIC")
    return {"scores" if scores else "logits": tensor}
