"""Segments as the slots of a mask transformer."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from official import failures
from official.data import base as data_base
from official.heads import base as heads_base
from official.layers import argmax
from official.losses import panoptic as losses_lib
from official.ops import mask_matching
from official.tasks import base, panoptic_merging, panoptic_method

if TYPE_CHECKING:
    import tensorflow as tf

_MOST_INSTANCES = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReMaX:
    """Relaxations of training (Sun et al., 2023, https://arxiv.org/abs/2306.17319).

    Files do not change: what is added is dropped after training.

    Attributes:
        remask: Mask logits of the layers that have a semantic branch are raised where
            it sees the class of the slot (`official.losses.relaxation.relaxed`).
        reclass: eta, what the share of a class that a slot covers counts as in its
            target of classes; 0 does nothing. The paper is recalled to have found 0.1
            best of 0, 0.01, 0.05, 0.1 and 0.2.
        gate: "sigmoid" or "softmax": what makes shares of classes.
        stop_gradient: Panoptic losses do not train the semantic branches, as in the
            paper.
    """

    remask: bool = True
    reclass: float = 0.1
    gate: str = "sigmoid"
    stop_gradient: bool = True
