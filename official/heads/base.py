"""What a head is."""

import abc
import dataclasses

import keras

from official.backbones import base as backbones_base

Outputs = dict[str, keras.KerasTensor]
"""Named output tensors: "logits", later "boxes", "mask_logits"."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head(abc.ABC):
    """Maps features to raw outputs; called on Keras tensors, it adds layers."""

    @abc.abstractmethod
    def __call__(
        self, features: backbones_base.Features, num_classes: int
    ) -> Outputs: ...
