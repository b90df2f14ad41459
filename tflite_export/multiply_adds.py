"""What the ops of a file cost."""

import math

from tflite_export import flatbuffer


def of(op: flatbuffer.Op) -> int:
    """Multiply-adds of one op from its shapes; 0 for one without a kernel or product.

    Elementwise products, pooling and resizing count nothing, as in the MobileNet
    papers. An op whose tensors do not fit together counts nothing either.
    """
    count = _COUNTS.get(op.name)
    if count is None or len(op.inputs) < 2 or not op.outputs:
        return 0
    shapes = [tensor.shape for tensor in (*op.inputs, op.outputs[0])]
    if any(size < 0 for shape in shapes for size in shape):
        # Only a batch that is not static is negative in practice: one image.
        shapes = [tuple(max(size, 1) for size in shape) for shape in shapes]
    return count(shapes)


def _convolution(shapes: list[tuple[int, ...]]) -> int:
    kernel, output = shapes[1], shapes[-1]  # [C_out, H, W, C_in / groups]
    return math.prod(output) * math.prod(kernel[1:])


def _depthwise(shapes: list[tuple[int, ...]]) -> int:
    kernel, output = shapes[1], shapes[-1]  # [1, H, W, C_out]
    return math.prod(output) * math.prod(kernel[1:3])


def _dense(shapes: list[tuple[int, ...]]) -> int:
    kernel, output = shapes[1], shapes[-1]  # [C_out, C_in]
    return math.prod(output) * math.prod(kernel[1:])


def _transposed(shapes: list[tuple[int, ...]]) -> int:
    # The first input is the size of the output. Kernel: [C_out, H, W, C_in].
    if len(shapes) < 4:
        return 0
    kernel, features = shapes[1], shapes[2]
    return math.prod(features) * math.prod(kernel[:3])


def _matrices(shapes: list[tuple[int, ...]]) -> int:
    left, output = shapes[0], shapes[-1]
    return math.prod(output) * (left[-1] if left else 1)


_COUNTS = {
    "BATCH_MATMUL": _matrices,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "TRANSPOSE_CONV": _transposed,
}
