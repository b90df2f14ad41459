"""Activation ranges for post-training quantization."""

from collections.abc import Iterable

import numpy as np

from tflite_export import observers


def recorded(model: bytes, inputs: Iterable[np.ndarray], *, calibration: str) -> bytes:
    """Replaces the extremes that the converter recorded by other ranges.

    The converter keeps the smallest and largest value that a tensor ever had, which is
    seldom the best range for 8 bits; see `observers`.

    Args:
        model: A float .tflite whose activations carry recorded extremes.
        inputs: `[1, H, W, 3]`, as the model takes them; at least one.
        calibration: One of `official.export_spec.CALIBRATIONS`.

    Returns:
        The model with other extremes. Those of its inputs stay: what an image can hold
        is known.
    """
    import tensorflow as tf
    from tensorflow.lite.tools import flatbuffer_utils

    resolver = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tf.lite.Interpreter(
        model_content=model,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=resolver,
    )
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    parsed = flatbuffer_utils.convert_bytearray_to_object(model)
    graph = parsed.subgraphs[0]
    kept = {
        index: tensor.quantization
        for index, tensor in enumerate(graph.tensors)
        if _has_extremes(tensor) and index != given["index"]
    }
    seen = {index: observers.BY_NAME[calibration]() for index in kept}
    for image in inputs:
        interpreter.set_tensor(given["index"], image)
        interpreter.invoke()
        for index, observer in seen.items():
            observer.see(interpreter.get_tensor(index))
    for index, quantization in kept.items():
        low, high = seen[index].range()
        quantization.min = [low]
        quantization.max = [high]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))


def _has_extremes(tensor) -> bool:
    quantization = tensor.quantization
    if quantization is None or quantization.min is None:
        return False
    return len(quantization.min) == 1
