"""What detection heads have in common: levels, and the convolutions that predict."""

import math
import re
from collections.abc import Sequence

import keras

from official.backbones import base as backbones_base
from official.heads import base, maps

INITIAL_STDDEV = 0.03
"""Of the kernels that predict, as in the Object Detection API and in torchvision."""

_TAP = re.compile(r"C([1-5])(_expand|_depthwise|_project)?")


def tap_stride(name: str, *, owner: str) -> int:
    """The stride that the name of a feature promises.

    Args:
        owner: The field that names it, for the message.

    Raises:
        ValueError: If it is no name of a feature map.
    """
    match = _TAP.fullmatch(name)
    if match is None:
        raise ValueError(
            f"{owner} = {name!r}: must be a feature of a backbone such as 'C4', "
            "'C5_expand' or 'C5'"
        )
    # An expansion is at the stride of the level before.
    return 2 ** (int(match[1]) - (match[2] == "_expand"))


def check_taps(taps: Sequence[str], *, owner: str) -> None:
    """Checks the features that a head starts from.

    Raises:
        ValueError: If there is none, or one is not of twice the stride of the one
            before.
    """
    found = [tap_stride(name, owner=owner) for name in taps]
    if not found or found != [found[0] * 2**number for number in range(len(found))]:
        raise ValueError(
            f"{owner} = {taps!r}: must be features each of twice the stride of the one "
            f"before; their strides are {found}"
        )


def strides(taps: Sequence[str], more: int, *, owner: str) -> tuple[int, ...]:
    """Of the levels of taps and of some more levels, each of half the size."""
    first = tap_stride(taps[0], owner=owner)
    return tuple(first * 2**number for number in range(len(taps) + more))


def tap(
    features: backbones_base.Features, name: str, *, owner: str
) -> keras.KerasTensor:
    """A feature, at the stride that its name promises.

    Where a backbone has no "C{k}_expand", the last output of the level before stands
    for it, which is of the same stride, as in SSD on MobileNetV1.

    Raises:
        ValueError: If there is none, or its stride is another.
    """
    if name.endswith("_expand") and name not in features:
        name = f"C{int(name[1]) - 1}"
    found = maps.feature(features, name, owner=owner)
    stride = tap_stride(name, owner=owner)
    if "C1" in features:
        size = maps.size(found)
        wanted = tuple(
            math.ceil(2 * side / stride) for side in maps.size(features["C1"])
        )
        if size != wanted:
            raise ValueError(
                f"{owner}: {name!r} is {size[0]} x {size[1]}, but a stride of {stride} "
                f"makes it {wanted[0]} x {wanted[1]}: set the backbone's output_stride "
                "to 32"
            )
    return found


def check_prior(prior: float, *, owner: str) -> None:
    """Checks the score that classes begin at.

    Args:
        owner: The field that holds it, for the message.

    Raises:
        ValueError: If it is not in (0, 1).
    """
    if not 0 < prior < 1:
        raise ValueError(f"{owner} = {prior!r}: must be in (0, 1)")


def bias(prior: float) -> float:
    """Of logits whose sigmoid is `prior`."""
    return math.log(prior / (1 - prior))


def predict(
    features: keras.KerasTensor,
    shapes: int,
    values: int,
    *,
    name: str,
    bias: float = 0.0,
) -> keras.KerasTensor:
    """A 1x1 convolution to values of each anchor, `[B, anchors, values]`.

    Args:
        shapes: Anchors of a cell.
        bias: Initial one of every channel.
    """
    rows, columns = maps.size(features)
    x = keras.layers.Conv2D(
        shapes * values,
        1,
        kernel_initializer=keras.initializers.TruncatedNormal(stddev=INITIAL_STDDEV),
        bias_initializer=keras.initializers.Constant(bias),
        name=f"{name}_conv",
    )(features)
    return keras.layers.Reshape(
        (rows * columns * shapes, values), name=f"{name}_reshape"
    )(x)


_MOST_JOINED = 5


def join(
    boxes: Sequence[keras.KerasTensor],
    logits: Sequence[keras.KerasTensor],
    *,
    name: str,
) -> base.Outputs:
    """The outputs of a head from those of its levels.

    XNNPACK joins up to five tensors; of more levels, the coarsest are joined before.
    """

    def concatenated(
        levels: Sequence[keras.KerasTensor], end: str
    ) -> keras.KerasTensor:
        if len(levels) == 1:
            return levels[0]
        fine = list(levels)
        if len(fine) > _MOST_JOINED:
            coarse = fine[_MOST_JOINED - 1 :]
            fine = fine[: _MOST_JOINED - 1]
            fine.append(concatenated(coarse, f"{end}_coarse"))
        return keras.layers.Concatenate(axis=1, name=f"{name}_{end}")(fine)

    return {
        "box_encodings": concatenated(boxes, "boxes"),
        "logits": concatenated(logits, "logits"),
    }
