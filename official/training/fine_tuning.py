"""How a network that starts from trained weights goes on: which levels, how fast."""

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence

import keras

from official import failures
from official.layers import batch_norm

NORMS = ("train", "inference", "reestimate")
LEVELS = ("stem", "C1", "C2", "C3", "C4", "C5", "embedding")

# The last convolution before pooling is the end of level C5.
_LEVEL_OF_PREFIX = {level: level for level in LEVELS} | {"last": "C5"}
_PREFIX = re.compile("(" + "|".join(_LEVEL_OF_PREFIX) + ")_")

Levels = Mapping[str, Sequence[keras.layers.Layer]]
"""The layers of a backbone by level, from the bottom to the top."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuning:
    """Which weights of the backbone change in a training, and how.

    The defaults change nothing: everything trains as from scratch. That goes wrong from
    published weights on few images. Batch norm trains with the statistics of a batch
    and evaluates with moving averages of them, of which a step renews 1 %: after the
    few steps of such a training they are still those of the old weights on the old
    images, and the network that reached 99 % in training is lost in evaluation. The
    other values of `norm` are ways out; a smaller `momentum` of the norms is a third.

    Attributes:
        freeze: Levels up to and including this one are frozen: "stem", "C1", ... "C5",
            "embedding" (the whole backbone). Their weights get no gradient, no decay
            and no L2, their norms use and keep the moving statistics.
        norm: Statistics of the backbone's other norms. "train": those of the batch in
            training, moving averages in evaluation. "inference": the moving ones that
            the training started with, in both. "reestimate": as "train", but for every
            evaluation they are computed anew with the averaged weights (Wu & Johnson,
            2021, https://arxiv.org/abs/2105.07576), of the head's norms too; these are
            evaluated, kept in the checkpoint and exported.
        reestimate_batches: Training batches that "reestimate" takes.
        backbone_rate: Factor of the learning rate for the weights of the backbone.
        unfreeze_every: Epochs after which the highest frozen level is released, and
            again the next; None leaves them frozen.
    """

    freeze: str | None = None
    norm: str = "train"
    reestimate_batches: int = 20
    backbone_rate: float = 1.0
    unfreeze_every: int | None = None

    def __post_init__(self):
        if self.freeze is not None and self.freeze not in LEVELS:
            raise ValueError(f"freeze {self.freeze!r}: want one of {LEVELS} or None")
        if self.norm not in NORMS:
            raise ValueError(f"norm {self.norm!r}: want one of {NORMS}")
        if not self.backbone_rate > 0:
            raise ValueError(
                f"backbone_rate {self.backbone_rate}: want more than 0 (to freeze the "
                "backbone, set freeze)"
            )
        if self.reestimate_batches < 1:
            raise ValueError(
                f"reestimate_batches {self.reestimate_batches}: want 1 or more"
            )
        if self.unfreeze_every is not None and self.unfreeze_every < 1:
            raise ValueError(
                f"unfreeze_every {self.unfreeze_every}: want 1 or more, or None"
            )
        if self.unfreeze_every is not None and self.freeze is None:
            raise ValueError("unfreeze_every: nothing is frozen; set freeze too")

    @property
    def keeps_something(self) -> bool:
        """Whether weights or statistics stay as they are at the start."""
        return self.freeze is not None or self.norm == "inference"

    def frozen(self, levels: Sequence[str], *, epoch: int) -> tuple[str, ...]:
        """Those of the levels that do not train in an epoch (counted from 0)."""
        if self.freeze is None:
            return ()
        released = epoch // self.unfreeze_every if self.unfreeze_every else 0
        return tuple(levels[: max(0, levels.index(self.freeze) + 1 - released)])

    def prepare(self, network: keras.Model) -> None:
        """Freezes what never trains and sets what the norms do.

        Raises:
            RequestError: If the network has no layers of the level to freeze.
        """
        levels = layers_by_level(network)
        if self.freeze is not None and self.freeze not in levels:
            raise failures.RequestError(
                f"fine_tuning.freeze = {self.freeze!r}: this backbone has no such "
                f"level (there are: {', '.join(levels) or 'none'})"
            )
        if self.unfreeze_every is None:
            self.set_epoch(network, 0)
        if self.norm == "inference":
            for layer in norms(backbone_layers(network)):
                layer.use_batch_statistics = False

    def set_epoch(self, network: keras.Model, epoch: int) -> bool:
        """Freezes the levels that do not train in an epoch, and no others.

        Returns:
            Whether this changed what is frozen: a compiled step is then out of date.
        """
        levels = layers_by_level(network)
        frozen = self.frozen(tuple(levels), epoch=epoch)
        changed = False
        for level, layers in levels.items():
            for layer in layers:
                if layer.trainable == (level in frozen):
                    layer.trainable = level not in frozen
                    changed = True
        return changed

    def factors(self, network: keras.Model) -> list[float]:
        """Of the learning rate, for the trainable variables of a network in order."""
        slow = {
            id(variable)
            for layer in backbone_layers(network)
            for variable in layer.trainable_variables
        }
        return [
            self.backbone_rate if id(variable) in slow else 1.0
            for variable in network.trainable_variables
        ]


def layers_by_level(network: keras.Model) -> Levels:
    """Its backbone's layers by level; only the levels that the backbone has."""
    found: dict[str, list[keras.layers.Layer]] = {level: [] for level in LEVELS}
    for layer in network.layers:
        if match := _PREFIX.match(layer.name):
            found[_LEVEL_OF_PREFIX[match[1]]].append(layer)
    return {level: layers for level, layers in found.items() if layers}


def backbone_layers(network: keras.Model) -> list[keras.layers.Layer]:
    """The layers whose names begin with a level."""
    return [layer for layers in layers_by_level(network).values() for layer in layers]


def norms(layers: Iterable[keras.layers.Layer]) -> list[batch_norm.BatchNormalization]:
    """The batch norms among layers."""
    return [x for x in layers if isinstance(x, batch_norm.BatchNormalization)]


def count(variables: Iterable[keras.Variable]) -> int:
    """Numbers that variables hold."""
    return sum(math.prod(variable.shape) for variable in variables)


def summary(network: keras.Model, fine_tuning: FineTuning, *, total: int) -> str:
    """A line: how many weights train, and how many are frozen at first.

    Args:
        total: Weights that would train if none were frozen.
    """
    trained = count(network.trainable_variables)
    inside = count(
        v for layer in backbone_layers(network) for v in layer.trainable_variables
    )
    rate = fine_tuning.backbone_rate
    slower = f" at {rate:g} times the learning rate" if rate != 1.0 else ""
    shares = f" (backbone {inside:,}{slower}, others {trained - inside:,})"
    parts = [f"  weights   {trained:,} train{shares if inside else ''}"]
    if frozen := fine_tuning.frozen(tuple(layers_by_level(network)), epoch=0):
        span = frozen[0] if len(frozen) == 1 else f"{frozen[0]} to {frozen[-1]}"
        parts.append(f"{total - trained:,} are frozen ({span})")
    if fine_tuning.unfreeze_every:
        parts.append(f"a level is released every {fine_tuning.unfreeze_every} epochs")
    return ", ".join(parts)
