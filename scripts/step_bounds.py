"""The least times that a training step takes on a machine.

`scaling.py` says what they are of.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import machines
import step_traffic

from official import failures

IMAGES, CLASSES = 1_281_167, 1000
"""Of ImageNet-1k's training set."""

IMAGENET = "imagenet2012"
"""By its name in TensorFlow Datasets."""

GRADIENT_BYTES = 4
"""Weights are float32 at any precision, and so are their gradients."""


class Network(NamedTuple):
    """What a step costs, of one image where not said otherwise.

    Attributes:
        multiply_adds: Forward.
        fused: Bytes of activations, by `step_traffic.FUSED`.
        separate: The same, a kernel for each layer.
        kept: Bytes of activations that wait for the backward pass.
        parameters: Of the network.
        weight_bytes: Of a step.
        held: Bytes of weights, gradients and the optimizer's state.
        norms: Number of norms that take their statistics over all devices.
    """

    multiply_adds: int
    fused: int
    separate: int
    kept: int
    parameters: int
    weight_bytes: int
    held: int
    norms: int


def network_of(experiment: Any) -> Network:
    """Builds and counts the network that an experiment trains.

    Raises:
        RequestError: If it is none of classification, or has a layer not counted.
    """
    from official.layers import cost
    from official.tasks import classification

    if not isinstance(experiment.task, classification.Classification):
        raise failures.RequestError(
            "this counts classification on ImageNet, and the task is "
            f"{type(experiment.task).__name__}; take an experiment NAME_cls_imagenet"
        )
    model = experiment.task.build(num_classes=CLASSES, training=True)
    parameters = sum(math.prod(w.shape) for w in model.trainable_weights)
    optimizer = experiment.optimizer.build(
        model.trainable_variables, total_steps=1, steps_per_epoch=1
    )
    optimizer.build(model.trainable_variables)
    states = sum(math.prod(v.shape) for v in optimizer.variables)
    return Network(
        multiply_adds=cost.multiply_adds(model),
        fused=step_traffic.of_image(model, step_traffic.FUSED),
        separate=step_traffic.of_image(model, step_traffic.SEPARATE),
        kept=step_traffic.kept_of_image(model),
        parameters=parameters,
        weight_bytes=step_traffic.of_weights(parameters, states),
        held=step_traffic.held(parameters, states),
        norms=sum(
            getattr(layer, "synchronized", False) is True for layer in model.layers
        ),
    )


def require_imagenet(name: str, recipe: Any) -> None:
    """Only the length of ImageNet's epochs is known here.

    Args:
        name: Of the experiment.
        recipe: The experiment as it comes; bindings may read the data otherwise.

    Raises:
        RequestError: If the recipe is of other data.
    """
    from official.data import tfds

    dataset = recipe.dataset
    if not (isinstance(dataset, tfds.TFDS) and dataset.name == IMAGENET):
        raise failures.RequestError(
            f"{name}: this counts epochs of ImageNet's {IMAGES:,} images, and the "
            f"recipe is of {dataset}; take an experiment NAME_cls_imagenet"
        )


def shared_out(batch: int, name: str) -> int:
    """Images on each device of a machine.

    Args:
        batch: The global one.
        name: Of the machine.

    Raises:
        RequestError: If the devices cannot have the same number each.
    """
    devices = machines.MACHINES[name].devices
    if batch % devices:
        raise failures.RequestError(
            f"train.batch_size = {batch} cannot be shared out evenly over the "
            f"{devices} devices of {name}; set a multiple of {devices}, or "
            "--batch_per_device"
        )
    return batch // devices


def all_reduce(bytes_: float, devices: int, link: float) -> float:
    """Seconds of a sum over a ring.

    Each device sends and receives `2 (n - 1) / n` of the whole: a share at each of
    n - 1 steps that add, and at each of n - 1 that spread.
    """
    return 2 * (devices - 1) / devices * bytes_ / link


class Bound(NamedTuple):
    """Seconds that a step cannot be shorter than.

    Attributes:
        name: Of what takes them.
        seconds: Of one step.
        certain: False for what a compiler may avoid.
    """

    name: str
    seconds: float
    certain: bool = True


def bounds(
    network: Network, machine: machines.Machine, *, batch: int, images_per_core: float
) -> list[Bound]:
    """Of a step on all devices.

    Args:
        batch: Images on each device.
        images_per_core: A second.
    """
    fused, separate = (
        (batch * bytes_ + network.weight_bytes) / machine.memory_bandwidth
        for bytes_ in (network.fused, network.separate)
    )
    found = [
        Bound("arithmetic", batch * network.multiply_adds * 2 * 3 / machine.flops),
        Bound("memory traffic, fused", fused),
        Bound("memory traffic, a kernel a layer", separate, certain=False),
    ]
    if machine.link:
        gradients = GRADIENT_BYTES * network.parameters
        seconds = all_reduce(gradients, machine.devices, machine.link)
        found.append(Bound("all-reduce", seconds))
    if machine.cores:
        seconds = batch * machine.devices / (machine.cores * images_per_core)
        found.append(Bound("input", seconds))
    return found


def first(found: list[Bound]) -> Bound:
    """The bound that is met first: the longest time."""
    return max((bound for bound in found if bound.certain), key=lambda b: b.seconds)


def rate(optimizer: Any, *, recipe_batch: int, batch: int) -> tuple[float, str]:
    """A peak learning rate for another batch, and the rule that it follows."""
    from official.optim import optimizers

    learning_rate = optimizer.schedule.learning_rate
    ratio = batch / recipe_batch
    if ratio == 1:
        return learning_rate, "the recipe's batch and rate"
    if isinstance(optimizer, optimizers.AdamW):
        return learning_rate * math.sqrt(ratio), (
            "by the square root of the batch (Malladi et al., 2022, "
            "https://arxiv.org/abs/2205.10287); the recipe itself has no rule"
        )
    rule = f"from the recipe's {learning_rate:.4g} at {recipe_batch}"
    if math.isclose(learning_rate, 0.008 * recipe_batch / 128):
        rule = "the recipe's rule (Model Garden: 0.008 x batch / 128)"
    return learning_rate * ratio, f"in proportion to the batch, {rule}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """An experiment on a machine.

    Attributes:
        name: Of the experiment.
        experiment: The experiment.
        network: What it costs.
        machine_name: By which the script knows it.
        machine: The machine.
        batch: Images on each device.
        images_per_core: A second.
    """

    name: str
    experiment: Any
    network: Network
    machine_name: str
    machine: machines.Machine
    batch: int
    images_per_core: float

    @property
    def total(self) -> int:
        """The global batch."""
        return self.batch * self.machine.devices

    @property
    def held(self) -> int:
        """Bytes that a device keeps over the backward pass, at least."""
        return self.network.held + self.batch * self.network.kept

    @property
    def fits(self) -> bool:
        return self.held <= self.machine.memory

    @property
    def largest_batch(self) -> int:
        """Images that a device's memory can hold, at most."""
        return max(0, int(self.machine.memory - self.network.held) // self.network.kept)

    @property
    def bounds(self) -> list[Bound]:
        return bounds(
            self.network,
            self.machine,
            batch=self.batch,
            images_per_core=self.images_per_core,
        )

    @property
    def seconds(self) -> dict[str, float]:
        """Of each bound."""
        return {bound.name: bound.seconds for bound in self.bounds}

    @property
    def own(self) -> float:
        """Seconds that the devices take by themselves."""
        return max(self.seconds["arithmetic"], self.seconds["memory traffic, fused"])

    @property
    def epoch(self) -> float:
        """Seconds of an epoch, at least."""
        return IMAGES / self.total * first(self.bounds).seconds

    @property
    def rate(self) -> tuple[float, str]:
        """As the function of that name."""
        recipe = self.experiment.train.batch_size
        return rate(self.experiment.optimizer, recipe_batch=recipe, batch=self.total)
