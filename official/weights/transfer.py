"""Setting weights from arrays, layer by layer."""

import dataclasses
from collections.abc import Mapping

import keras
import numpy as np

from official.layers import fake_quant


@dataclasses.dataclass(frozen=True, kw_only=True)
class Skipped:
    """A layer that has arrays of other shapes.

    Attributes:
        layer: Its name.
        reason: The first weight that does not fit, with both shapes.
    """

    layer: str
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transfer:
    """What came of it, in names of layers with weights.

    Attributes:
        source: Where the arrays are from.
        taken: Layers that were set.
        skipped: Layers whose arrays do not fit; they keep their initial weights.
        random: Layers without arrays; they keep their initial weights.
        provenance: What the weights are, in words for people: "source", "file",
            "sha256" and, where known, "url", "licence", "training_data".
        warnings: What to know before trusting the result, with the way out.
    """

    source: str
    taken: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    random: tuple[str, ...]
    provenance: dict[str, str] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def summary(self) -> str:
        """A line, and one more for each other group that is not empty and warning."""
        total = len(self.taken) + len(self.skipped) + len(self.random)
        lines = [f"weights of {len(self.taken)} of {total} layers from {self.source}"]
        if self.skipped:
            lines.append(
                f"{len(self.skipped)} do not fit and start afresh: "
                + _some([f"{item.layer} ({item.reason})" for item in self.skipped], 8)
            )
        if self.random:
            lines.append(
                f"{len(self.random)} are not in it and start afresh: "
                + _some(self.random, 8)
            )
        lines += [f"warning: {warning}" for warning in self.warnings]
        return "\n  ".join(lines)


def transfer(
    network: keras.Model, arrays: Mapping[str, np.ndarray], *, source: str
) -> Transfer:
    """Sets each layer whose weights all have an array of their path and shape.

    Args:
        arrays: By path of the weight ("stem_conv/kernel").
        source: Where they are from, for the summary.
    """
    taken, skipped, random = [], [], []
    for layer in network.layers:
        found = [_fitting(weight, arrays.get(weight.path)) for weight in layer.weights]
        # Ranges of a network that trains quantization-aware are found in its training.
        fresh = all(map(fake_quant.is_range, layer.weights))
        if not found or (fresh and any(array is None for array in found)):
            continue
        if all(array is None for array in found):
            random.append(layer.name)
        elif reason := _mismatch(layer, found):
            skipped.append(Skipped(layer=layer.name, reason=reason))
        else:
            layer.set_weights(found)
            taken.append(layer.name)
    return Transfer(
        source=source, taken=tuple(taken), skipped=tuple(skipped), random=tuple(random)
    )


def _fitting(weight: keras.Variable, array: np.ndarray | None) -> np.ndarray | None:
    """The array; that of a 1x1 convolution in the shape of a dense layer's kernel.

    A network that was trained quantization-aware may have the one for the other.
    """
    if array is None or len(weight.shape) != 2 or array.ndim != 4:
        return array
    return array.reshape(array.shape[2:]) if array.shape[:2] == (1, 1) else array


def _mismatch(layer: keras.layers.Layer, arrays: list[np.ndarray | None]) -> str | None:
    """Why the arrays do not fit; None if they do."""
    for weight, array in zip(layer.weights, arrays, strict=True):
        wanted = tuple(weight.shape)
        if array is None:
            return f"no {weight.name}, wanted {wanted}"
        if array.shape != wanted:
            return f"{weight.name} is {array.shape}, wanted {wanted}"
    return None


def _some(names: list[str] | tuple[str, ...], limit: int) -> str:
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")
