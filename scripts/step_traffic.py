"""The bytes that a training step moves between a device and its memory.

Counted layer by layer. What is read and written, in tensors of the layer's inputs and
outputs, 2 bytes an element (bfloat16):

| layer | forward | backward |
|---|---|---|
| convolution, dense, attention | reads inputs, writes outputs | reads the outputs' gradient twice, for the inputs' and the kernel's, and the inputs; writes the inputs' gradient |
| norm | reads, writes; statistics come with the op before | reads outputs' gradient and inputs, writes inputs' gradient |
| activation, dropout | nothing: done on the way | nothing |
| sum | reads the second summand | reads its gradient, to add it |
| product (squeeze-and-excite) | reads, writes | reads outputs' gradient and inputs, writes inputs' gradient |
| mean over the image | nothing: done on the way | nothing |

That is `FUSED`, the least that a compiler is likely to reach: what can be computed while
a tensor passes costs nothing. `SEPARATE` is a kernel for each layer: a norm reads its
inputs twice forward and again backward, activations, sums and means read and write
what they work on. No gradient is computed of the image. Of the logits of attention
nothing is kept. Statistics, gates and masks are left out as small.

Weights, moments and averages (4 bytes an element) are read and written once a step,
gradients written and read, and bfloat16 copies of the weights written once, read twice.
"""  # noqa: E501

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from official import failures

BYTES = 2


class Passes(NamedTuple):
    """How often a step reads or writes a layer's tensors, forward and backward."""

    inputs: int
    outputs: int


NOTHING = Passes(0, 0)

FUSED = {
    "product of kernels": Passes(3, 3),
    "norm": Passes(3, 2),
    "activation": NOTHING,
    "sum": Passes(0, 2),
    "product": Passes(3, 2),
    "mean": NOTHING,
    "scaling of the image": NOTHING,
    "form": NOTHING,
}
SEPARATE = {
    "product of kernels": Passes(3, 3),
    "norm": Passes(5, 3),
    "activation": Passes(3, 2),
    "sum": Passes(1, 4),
    "product": Passes(3, 2),
    "mean": Passes(2, 0),
    "scaling of the image": Passes(1, 1),
    "form": NOTHING,
}

KINDS = {
    "Conv2D": "product of kernels",
    "DepthwiseConv2D": "product of kernels",
    "Dense": "product of kernels",
    "MultiQueryAttention": "product of kernels",
    "BatchNormalization": "norm",
    "ReLU": "activation",
    "HardSwish": "activation",
    "HardSigmoid": "activation",
    "Activation": "activation",
    "Dropout": "activation",
    "LayerScale": "activation",
    "Add": "sum",
    "Multiply": "product",
    "GlobalAveragePooling2D": "mean",
    "Rescaling": "scaling of the image",
    "InputLayer": "form",
    "Reshape": "form",
}
"""By the name of a layer's class."""

KEPT = ("product of kernels", "norm", "product")
"""Kinds of layer whose inputs are kept until the backward pass, under `FUSED`."""


def of_image(model: Any, rule: dict[str, Passes]) -> int:
    """Bytes of the activations of one image, forward and backward.

    Raises:
        RequestError: If a layer is of a class that is not counted here.
    """
    total = 0
    seen: set[int] = set()  # tensors that a trained layer has touched
    for layer, kind in _layers(model):
        inputs, outputs = _tensors(layer.input), _tensors(layer.output)
        elements = rule[kind].inputs * _elements(inputs)
        elements += rule[kind].outputs * _elements(outputs)
        trains = kind == "product of kernels" or any(id(t) in seen for t in inputs)
        if kind == "product of kernels" and not any(id(t) in seen for t in inputs):
            elements -= _elements(inputs)  # no gradient of the image
        if trains:
            seen |= {id(tensor) for tensor in outputs}
        total += elements
    return BYTES * total


def kept_of_image(model: Any) -> int:
    """Bytes of the activations of one image that wait for the backward pass.

    Raises:
        RequestError: As `of_image`.
    """
    kept = {
        id(tensor): tensor
        for layer, kind in _layers(model)
        if kind in KEPT
        for tensor in _tensors(layer.input)
    }
    return BYTES * _elements(kept.values())


def of_weights(parameters: int, states: int) -> int:
    """Bytes of a step that do not depend on the batch.

    Args:
        parameters: Number of trained values.
        states: Number of values that the optimizer keeps beside them.
    """
    gradients = 2 * 4 * parameters
    copies = 3 * BYTES * parameters
    return 2 * 4 * (parameters + states) + gradients + copies


def held(parameters: int, states: int) -> int:
    """Bytes of weights, their gradients and the optimizer's state; as `of_weights`."""
    return 4 * (2 * parameters + states)


def _layers(model: Any) -> Iterator[tuple[Any, str]]:
    for layer in model.layers:
        name = type(layer).__name__
        if name not in KINDS:
            raise failures.RequestError(
                f"layer {layer.name!r}: what {name} reads and writes is not known; "
                f"known are {', '.join(KINDS)}; add it to KINDS of {__file__}"
            )
        yield layer, KINDS[name]


def _tensors(found: Any) -> list[Any]:
    return list(found) if isinstance(found, list | tuple) else [found]


def _elements(tensors: Any) -> int:
    return sum(math.prod(tensor.shape[1:]) for tensor in tensors)
